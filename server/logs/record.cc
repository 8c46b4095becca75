#include "server/logs/record.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "server/wire/fields.h"

namespace basalt::logs {
namespace {

constexpr size_t kMaxName = 63;
constexpr size_t kMaxSinks = 8;
constexpr size_t kMaxPem = 256 << 10;
constexpr size_t kMaxMessage = 512;

uint64_t Micros(absl::Time time) { return static_cast<uint64_t>(absl::ToUnixMicros(time)); }

}  // namespace

std::string Pack(const Record& record) {
  wire::FieldWriter out;
  out.Number(Micros(record.time)).Number(static_cast<uint64_t>(record.severity));
  out.Text(record.source).Text(absl::string_view(record.text).substr(0, kMaxText));
  return out.Take();
}

std::optional<Record> UnpackRecord(absl::string_view bytes) {
  wire::FieldReader in(bytes);
  Record record;
  record.time = absl::FromUnixMicros(static_cast<int64_t>(in.Number()));
  const uint64_t severity = in.Number();
  record.severity = static_cast<int>(std::min<uint64_t>(severity, 7));
  record.source = in.Text(kMaxName);
  record.text = in.Text(kMaxText);
  if (!in.done() || severity > 7) return std::nullopt;
  return record;
}

int SeverityOf(absl::string_view line) {
  // klog: "E1125 21:00:00.000000 ..."
  if (line.size() > 5 && absl::ascii_isdigit(line[1]) && absl::ascii_isdigit(line[2]) &&
      absl::ascii_isdigit(line[3]) && absl::ascii_isdigit(line[4]) && line[5] == ' ') {
    if (line[0] == 'I') return 6;
    if (line[0] == 'W') return 4;
    if (line[0] == 'E') return 3;
    if (line[0] == 'F') return 2;
  }
  // logrus: time="..." level=error msg="..."; only at the begin, where nobody else has a say.
  const absl::string_view begin = line.substr(0, 80);
  const size_t at = begin.find("level=");
  if (at == absl::string_view::npos) return 6;
  const absl::string_view level = line.substr(at + 6);
  if (absl::StartsWith(level, "debug") || absl::StartsWith(level, "trace")) return 7;
  if (absl::StartsWith(level, "warn")) return 4;
  if (absl::StartsWith(level, "error")) return 3;
  if (absl::StartsWith(level, "fatal") || absl::StartsWith(level, "panic")) return 2;
  return 6;
}

std::string Pack(const ShipSpec& spec) {
  wire::FieldWriter out;
  out.Text(spec.host_name).Number(static_cast<uint64_t>(spec.keep_bytes));
  out.Number(spec.keep == absl::InfiniteDuration()
                 ? 0
                 : static_cast<uint64_t>(absl::ToInt64Seconds(spec.keep)));
  out.Number(spec.sinks.size());
  for (const SinkSpec& sink : spec.sinks) {
    out.Text(sink.name).Number(static_cast<uint64_t>(sink.transport));
    out.Text(sink.host).Number(static_cast<uint64_t>(sink.port)).Text(sink.path);
    out.Number(static_cast<uint64_t>(sink.encoding));
    out.Text(sink.ca).Text(sink.certificate).Text(sink.key).Text(sink.token);
    out.Number(static_cast<uint64_t>(sink.batch));
    out.Number(static_cast<uint64_t>(absl::ToInt64Milliseconds(sink.wait)));
  }
  return out.Take();
}

std::optional<ShipSpec> UnpackShip(absl::string_view bytes) {
  wire::FieldReader in(bytes);
  ShipSpec spec;
  spec.host_name = in.Text(kMaxName);
  spec.keep_bytes = static_cast<int64_t>(in.Number());
  if (const uint64_t keep = in.Number(); keep > 0) {
    spec.keep = absl::Seconds(static_cast<int64_t>(std::min<uint64_t>(keep, INT32_MAX)));
  }
  const uint64_t sinks = in.Number();
  if (sinks > kMaxSinks || spec.keep_bytes < 0) return std::nullopt;
  for (uint64_t i = 0; i < sinks && in.ok(); ++i) {
    SinkSpec& sink = spec.sinks.emplace_back();
    sink.name = in.Text(kMaxName);
    const uint64_t transport = in.Number();
    sink.host = in.Text(255);
    const uint64_t port = in.Number();
    sink.path = in.Text(2048);
    const uint64_t encoding = in.Number();
    sink.ca = in.Text(kMaxPem);
    sink.certificate = in.Text(kMaxPem);
    sink.key = in.Text(kMaxPem);
    sink.token = in.Text(kMaxPem);
    const uint64_t batch = in.Number();
    const uint64_t wait = in.Number();
    if (transport > static_cast<uint64_t>(Transport::kHttp) || port > 65535 ||
        encoding > static_cast<uint64_t>(Encoding::kLoki) || batch == 0 || batch > 1000 ||
        wait > 600000) {
      return std::nullopt;
    }
    sink.transport = static_cast<Transport>(transport);
    sink.port = static_cast<int>(port);
    sink.encoding = static_cast<Encoding>(encoding);
    sink.batch = static_cast<int>(batch);
    sink.wait = absl::Milliseconds(static_cast<int64_t>(wait));
  }
  if (!in.done()) return std::nullopt;
  return spec;
}

std::string Pack(const SinkState& state) {
  wire::FieldWriter out;
  out.Text(state.name).Number(state.failing ? 1 : 0);
  for (int64_t n : {state.sent, state.dropped, state.refused}) out.Number(static_cast<uint64_t>(n));
  out.Text(absl::string_view(state.message).substr(0, kMaxMessage));
  return out.Take();
}

std::optional<SinkState> UnpackState(absl::string_view bytes) {
  wire::FieldReader in(bytes);
  SinkState state;
  state.name = in.Text(kMaxName);
  state.failing = in.Number() != 0;
  for (int64_t* n : {&state.sent, &state.dropped, &state.refused}) {
    *n = static_cast<int64_t>(std::min<uint64_t>(in.Number(), INT64_MAX));
  }
  // What a stranger answered may stand in it.
  for (char c : in.Text(kMaxMessage)) {
    state.message.push_back(c >= 0x20 && c < 0x7F ? c : '?');
  }
  if (!in.done()) return std::nullopt;
  return state;
}

}  // namespace basalt::logs
