// Formats of texts: whatever the bytes, no crash; what an error says is not the text; and what a
// checker takes an editor must not mark, so the pattern of the format takes it too.
#include <re2/re2.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "machineconfig/docs/format_pattern.h"
#include "machineconfig/format/format.h"
#include "machineconfig/format/net.h"
#include "machineconfig/format/udev.h"

namespace {

using basalt::v1::Format;

void Require(bool ok, const char* what, Format format, const std::string& text) {
  if (ok) return;
  std::fprintf(stderr, "%s: %s: %s\n", basalt::v1::Format_Name(format).c_str(), what, text.c_str());
  std::abort();
}

const RE2& PatternOf(Format format) {
  static auto* const built = new std::map<Format, std::unique_ptr<RE2>>;
  std::unique_ptr<RE2>& pattern = (*built)[format];
  if (pattern == nullptr) {
    RE2::Options options(RE2::Quiet);
    options.set_encoding(RE2::Options::EncodingLatin1);
    pattern = std::make_unique<RE2>(std::string(basalt::docs::PatternOf(format)), options);
  }
  return *pattern;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto format = static_cast<Format>(data[0] % (basalt::v1::Format_MAX + 1));
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const absl::Status status = basalt::format::Check(format, text);
  if (status.ok()) {
    Require(RE2::PartialMatch(text, PatternOf(format)), "the pattern is stricter", format, text);
    if (format == basalt::v1::FORMAT_IP_PREFIX) {
      const auto address = basalt::format::ParseIpPrefix(text);
      Require(address->Network().Contains(address->address), "outside of its network", format,
              text);
    }
  }
  // Rules for devices: bounded faults, each with a line of the text; no line that starts a program.
  const basalt::format::UdevRules rules = basalt::format::ParseUdevRules(text);
  const auto lines = static_cast<int>(std::count(text.begin(), text.end(), '\n')) + 1;
  Require(rules.faults.size() <= 20, "too many faults", format, text);
  for (const auto& fault : rules.faults) {
    Require(fault.line >= 1 && fault.line <= lines, "a fault of no line", format, text);
  }
  for (const auto& line : rules.lines) {
    for (const auto& term : line.terms) {
      Require(term.key != "RUN" && term.key != "PROGRAM", "a program", format, text);
      basalt::format::UdevMatches(term.value, text.substr(0, 64));
    }
  }
  return 0;
}
