#include "server/logs/encode.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace basalt::logs {
namespace {

constexpr char kVersion[] = "1";
constexpr int kKernelFacility = 0;
constexpr int kDaemonFacility = 3;

std::string Stamp(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

// PRINTUSASCII of RFC 5424, "-" when nothing is left.
std::string Word(absl::string_view text, size_t most) {
  std::string out;
  for (char c : text.substr(0, most)) out.push_back(c > 0x20 && c < 0x7F ? c : '_');
  return out.empty() ? "-" : out;
}

const char* Level(int severity) {
  static constexpr const char* kLevels[] = {"emergency", "alert",  "critical",      "error",
                                            "warning",   "notice", "informational", "debug"};
  return kLevels[severity & 7];
}

// OpenTelemetry's numbers.
int OtlpSeverity(int severity) {
  static constexpr int kNumbers[] = {24, 22, 21, 17, 13, 10, 9, 5};
  return kNumbers[severity & 7];
}

// Bytes of the UTF-8 sequence that `text` begins with; 0 when it is none.
size_t Sequence(absl::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xC0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, beyond the last code point.
  if ((first == 0xE0 && at(1) < 0xA0) || (first == 0xED && at(1) > 0x9F) ||
      (first == 0xF0 && at(1) < 0x90) || (first == 0xF4 && at(1) > 0x8F)) {
    return 0;
  }
  return size;
}

std::string JsonLines(const std::vector<Record>& records, const std::string& host) {
  std::string out;
  for (const Record& record : records) {
    absl::StrAppend(&out, "{\"time\":\"", Stamp(record.time), "\",\"host\":\"", host,
                    "\",\"service\":\"", JsonText(record.source), "\",\"severity\":\"",
                    Level(record.severity), "\",\"message\":\"", JsonText(record.text), "\"}\n");
  }
  return out;
}

std::string Otlp(const std::vector<Record>& records, const std::string& host) {
  std::vector<std::string> lines;
  for (const Record& record : records) {
    lines.push_back(absl::StrCat(
        "{\"timeUnixNano\":\"", absl::ToUnixNanos(record.time),
        "\",\"severityNumber\":", OtlpSeverity(record.severity), ",\"severityText\":\"",
        Level(record.severity), "\",\"body\":{\"stringValue\":\"", JsonText(record.text),
        "\"},\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"",
        JsonText(record.source), "\"}}]}"));
  }
  return absl::StrCat(
      "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"host.name\",\"value\":{"
      "\"stringValue\":\"",
      host, "\"}}]},\"scopeLogs\":[{\"scope\":{\"name\":\"basalt\"},\"logRecords\":[",
      absl::StrJoin(lines, ","), "]}]}]}");
}

// A stream for each service: Loki wants few labels.
std::string Loki(const std::vector<Record>& records, const std::string& host) {
  std::map<std::pair<std::string, int>, std::vector<std::string>> streams;
  for (const Record& record : records) {
    streams[{record.source, record.severity}].push_back(
        absl::StrCat("[\"", absl::ToUnixNanos(record.time), "\",\"", JsonText(record.text), "\"]"));
  }
  std::vector<std::string> out;
  for (const auto& [stream, values] : streams) {
    out.push_back(absl::StrCat("{\"stream\":{\"host\":\"", host, "\",\"service\":\"",
                               JsonText(stream.first), "\",\"level\":\"", Level(stream.second),
                               "\"},\"values\":[", absl::StrJoin(values, ","), "]}"));
  }
  return absl::StrCat("{\"streams\":[", absl::StrJoin(out, ","), "]}");
}

// systemd's export format. A text with control characters stands with its length before it.
std::string Journal(const std::vector<Record>& records, absl::string_view host) {
  std::string out;
  for (const Record& record : records) {
    absl::StrAppend(&out, "__REALTIME_TIMESTAMP=", absl::ToUnixMicros(record.time),
                    "\nPRIORITY=", record.severity, "\nSYSLOG_IDENTIFIER=", Word(record.source, 48),
                    "\n_HOSTNAME=", Word(host, 255), "\nMESSAGE\n");
    const uint64_t size = record.text.size();
    for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(size >> (8 * i)));
    absl::StrAppend(&out, record.text, "\n\n");
  }
  return out;
}

}  // namespace

std::string JsonText(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t size = Sequence(text);
    const unsigned char c = static_cast<unsigned char>(text[0]);
    if (size == 0) {
      out += "\xEF\xBF\xBD";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += text[0];
    } else if (c < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&out, "\\u%04x", c);
    } else {
      out.append(text.data(), size);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

std::string Syslog(const Record& record, absl::string_view host_name) {
  const int facility = record.source == "kernel" ? kKernelFacility : kDaemonFacility;
  std::string out =
      absl::StrCat("<", facility * 8 + record.severity, ">", kVersion, " ", Stamp(record.time), " ",
                   Word(host_name, 255), " ", Word(record.source, 48), " - - - ");
  // A line is a line at the other end too.
  for (char c : record.text) out.push_back(c == '\n' || c == '\0' ? ' ' : c);
  return out;
}

std::string Framed(absl::string_view message) { return absl::StrCat(message.size(), " ", message); }

Body Encode(Encoding encoding, const std::vector<Record>& records, absl::string_view host_name) {
  const std::string host = JsonText(host_name);
  switch (encoding) {
    case Encoding::kOtlp:
      return {"application/json", Otlp(records, host)};
    case Encoding::kJournal:
      return {"application/vnd.fdo.journal", Journal(records, host_name)};
    case Encoding::kLoki:
      return {"application/json", Loki(records, host)};
    case Encoding::kJsonLines:
      break;
  }
  return {"application/x-ndjson", JsonLines(records, host)};
}

std::string PostRequest(const SinkSpec& sink, const Body& body) {
  const bool v6 = sink.host.find(':') != std::string::npos;
  const bool standard = sink.port == (sink.transport == Transport::kHttps ? 443 : 80);
  return absl::StrCat(
      "POST ", sink.path.empty() ? "/" : "", sink.path[0] == '?' ? "/" : "", sink.path,
      " HTTP/1.1\r\nHost: ", v6 ? "[" : "", sink.host, v6 ? "]" : "",
      standard ? "" : absl::StrCat(":", sink.port),
      "\r\nUser-Agent: basalt\r\nContent-Type: ", body.content_type,
      "\r\nContent-Length: ", body.bytes.size(), "\r\n",
      sink.token.empty() ? "" : absl::StrCat("Authorization: Bearer ", sink.token, "\r\n"), "\r\n",
      body.bytes);
}

}  // namespace basalt::logs
