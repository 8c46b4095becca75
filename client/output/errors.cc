#include "client/output/errors.h"

#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

constexpr absl::string_view kNodeUrl = "basalt.client/node";

// What stands as a key of its own is not said again in front of the message.
std::string Message(const absl::Status& status, const std::string& file) {
  absl::string_view text = status.message();
  if (!file.empty() && absl::ConsumePrefix(&text, file + ":")) {
    absl::string_view rest = text;
    while (!rest.empty() && absl::ascii_isdigit(rest.front())) rest.remove_prefix(1);
    if (rest.size() < text.size()) absl::ConsumePrefix(&rest, ":");
    absl::ConsumePrefix(&rest, " ");
    text = rest;
  }
  return std::string(text);
}

nlohmann::ordered_json ErrorJson(const absl::Status& status) {
  nlohmann::ordered_json out;
  const std::string file = api::Detail(status, "file");
  out["code"] = CodeOf(status);
  out["message"] = Message(status, file);
  if (std::string node = NodeOf(status); !node.empty()) out["node"] = node;
  if (!file.empty()) out["file"] = file;
  for (const char* name : {"line", "column"}) {
    int number = 0;
    if (absl::SimpleAtoi(api::Detail(status, name), &number)) out[name] = number;
  }
  if (std::string path = api::Detail(status, "path"); !path.empty()) out["path"] = path;
  if (std::string hint = api::Hint(status); !hint.empty()) out["hint"] = hint;
  for (const char* name : {"signedBy", "missing"}) {
    const std::string lines = api::Detail(status, name);
    if (lines.empty()) continue;
    out[name] = std::vector<std::string>(absl::StrSplit(lines, '\n', absl::SkipEmpty()));
  }
  return out;
}

}  // namespace

absl::Status AtNode(const absl::Status& status, absl::string_view node) {
  if (status.ok() || !NodeOf(status).empty()) return status;
  absl::Status out = status;
  out.SetPayload(kNodeUrl, absl::Cord(node));
  return out;
}

std::string NodeOf(const absl::Status& status) {
  auto payload = status.GetPayload(kNodeUrl);
  return payload ? std::string(*payload) : "";
}

std::string CodeOf(const absl::Status& status) {
  if (std::string reason = api::Reason(status); !reason.empty()) return reason;
  std::string code = absl::AsciiStrToLower(absl::StatusCodeToString(status.code()));
  for (char& c : code) {
    if (c == '_') c = '-';
  }
  return code;
}

void PrintViolations(Io& io, absl::string_view severity,
                     const std::vector<api::Violation>& violations) {
  for (const api::Violation& v : violations) {
    if (severity == "warning") io.err << Yellow(io, "warning: ");
    io.err << Escape(v.ToString(), true) << "\n";
  }
}

void PrintWarning(Io& io, absl::string_view text) {
  io.err << Yellow(io, "warning: ") << Escape(text, true) << "\n";
}

void MakeOutputPrivate(Io& io) {
  struct stat st;
  if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 &&
      fchmod(STDOUT_FILENO, 0600) != 0) {
    PrintWarning(io, "the output holds secrets and its mode cannot be set to 0600");
  }
}

void PrintError(Io& io, const absl::Status& status) {
  if (io.json()) {
    io.out << ErrorsJson(status) << "\n";
    return;
  }
  const std::string node = NodeOf(status);
  const std::vector<api::Violation> violations = api::Violations(status);
  PrintViolations(io, "error", violations);
  io.err << Red(io, "error: ");
  if (!node.empty()) io.err << Escape(node) << ": ";
  io.err << CodeOf(status) << ": ";
  if (violations.empty()) {
    io.err << Escape(status.message(), true) << "\n";
  } else {
    io.err << violations.size() << (violations.size() == 1 ? " error" : " errors") << "\n";
  }
  if (std::string hint = api::Hint(status); !hint.empty()) {
    io.err << "  hint: " << Escape(hint, true) << "\n";
  }
}

std::string ErrorsJson(const absl::Status& status) {
  nlohmann::ordered_json errors = nlohmann::ordered_json::array();
  const std::string node = NodeOf(status);
  for (const api::Violation& v : api::Violations(status)) {
    nlohmann::ordered_json one;
    one["code"] = v.reason;
    one["message"] = v.message;
    if (!node.empty()) one["node"] = node;
    if (!v.file.empty()) one["file"] = v.file;
    if (v.line > 0) one["line"] = v.line;
    if (v.line > 0) one["column"] = v.column;
    if (!v.path.empty()) one["path"] = v.path;
    if (!v.hint.empty()) one["hint"] = v.hint;
    errors.push_back(std::move(one));
  }
  if (errors.empty()) errors.push_back(ErrorJson(status));
  nlohmann::ordered_json out;
  out["errors"] = std::move(errors);
  // What a node says need not be UTF-8: replaced, because JSON must be. ASCII alone, here and
  // wherever JSON holds a node's text: a terminal obeys the one-character CSI and would reorder a
  // bidi text.
  return out.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace basalt::client
