#include "server/diagnose/probe_result.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/wire/fields.h"

namespace basalt::diagnose {
namespace {

constexpr size_t kMaxText = 4096;
constexpr size_t kMaxList = 128;
constexpr size_t kArguments = 8;

std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

std::string Word(wire::FieldReader& in) { return Printable(in.Text(kMaxText)); }
int64_t Signed(wire::FieldReader& in) { return static_cast<int64_t>(in.Number()); }

}  // namespace

std::vector<std::string> ToArguments(const ProbeTask& task) {
  return {absl::StrCat(static_cast<int>(task.kind)),
          task.host,
          absl::StrCat(task.port),
          task.tls ? "tls" : "clear",
          task.path,
          task.server_name,
          absl::StrCat(task.timeout_ms),
          task.any_address ? "any" : "open"};
}

std::optional<ProbeTask> FromArguments(const std::vector<std::string>& arguments) {
  ProbeTask task;
  int kind = 0;
  if (arguments.size() != kArguments || !absl::SimpleAtoi(arguments[0], &kind) || kind < 1 ||
      kind > static_cast<int>(ProbeTask::Kind::kHttp) ||
      !absl::SimpleAtoi(arguments[2], &task.port) ||
      !absl::SimpleAtoi(arguments[6], &task.timeout_ms)) {
    return std::nullopt;
  }
  task.kind = static_cast<ProbeTask::Kind>(kind);
  task.host = arguments[1];
  task.tls = arguments[3] == "tls";
  task.path = arguments[4];
  task.server_name = arguments[5];
  task.any_address = arguments[7] == "any";
  return task;
}

std::string Pack(const ProbeResult& result) {
  wire::FieldWriter out;
  auto text = [&out](absl::string_view t) { out.Text(t.substr(0, kMaxText)); };
  auto number = [&out](int64_t n) { out.Number(static_cast<uint64_t>(n)); };
  number(result.reached);
  for (const std::string* t :
       {&result.code, &result.error, &result.peer, &result.tls_version, &result.tls_cipher,
        &result.tls_fault, &result.http_location, &result.http_type}) {
    text(*t);
  }
  number(result.http_status);
  number(result.http_bytes);
  number(static_cast<int64_t>(std::min(result.steps.size(), kMaxList)));
  for (size_t i = 0; i < std::min(result.steps.size(), kMaxList); ++i) {
    text(result.steps[i].name);
    number(result.steps[i].micros);
  }
  auto list = [&](const std::vector<std::string>& all) {
    number(static_cast<int64_t>(std::min(all.size(), kMaxList)));
    for (size_t i = 0; i < std::min(all.size(), kMaxList); ++i) text(all[i]);
  };
  list(result.addresses);
  number(static_cast<int64_t>(std::min(result.certificates.size(), kMaxList)));
  for (size_t i = 0; i < std::min(result.certificates.size(), kMaxList); ++i) {
    const ProbeCertificate& one = result.certificates[i];
    text(one.subject);
    text(one.issuer);
    text(one.sha256);
    number(one.not_before);
    number(one.not_after);
    list(one.names);
  }
  return out.Take();
}

std::optional<ProbeResult> UnpackResult(absl::string_view bytes) {
  wire::FieldReader in(bytes);
  ProbeResult result;
  result.reached = in.Number() != 0;
  for (std::string* t :
       {&result.code, &result.error, &result.peer, &result.tls_version, &result.tls_cipher,
        &result.tls_fault, &result.http_location, &result.http_type}) {
    *t = Word(in);
  }
  result.http_status = static_cast<int>(std::clamp<int64_t>(Signed(in), 0, 999));
  result.http_bytes = std::max<int64_t>(Signed(in), 0);
  auto count = [&in]() -> size_t {
    const uint64_t n = in.Number();
    return in.ok() && n <= kMaxList ? static_cast<size_t>(n) : 0;
  };
  for (size_t i = count(); i > 0 && in.ok(); --i) {
    ProbeResult::Step step = {.name = Word(in)};
    step.micros = std::max<int64_t>(Signed(in), 0);
    result.steps.push_back(std::move(step));
  }
  for (size_t i = count(); i > 0 && in.ok(); --i) result.addresses.push_back(Word(in));
  for (size_t i = count(); i > 0 && in.ok(); --i) {
    ProbeCertificate one;
    one.subject = Word(in);
    one.issuer = Word(in);
    one.sha256 = Word(in);
    one.not_before = Signed(in);
    one.not_after = Signed(in);
    for (size_t k = count(); k > 0 && in.ok(); --k) one.names.push_back(Word(in));
    result.certificates.push_back(std::move(one));
  }
  if (!in.done()) return std::nullopt;
  return result;
}

}  // namespace basalt::diagnose
