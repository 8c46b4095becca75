// Rules for `audit`, and for the places that records and logs are sent to.
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "machineconfig/format/quantity.h"
#include "machineconfig/format/time.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/rules.h"

namespace basalt::validate {
namespace {

bool Present(const v1::Secret& secret) { return secret.value_case() != v1::Secret::VALUE_NOT_SET; }

}  // namespace

void CheckSink(const v1::Sink& sink, const std::string& path, Report& report) {
  const bool https = absl::StartsWith(sink.endpoint(), "https://");
  const bool http = absl::StartsWith(sink.endpoint(), "http://");
  const bool syslog_tls = absl::StartsWith(sink.endpoint(), "syslog+tls://");
  const bool syslog = absl::StartsWith(sink.endpoint(), "syslog+");
  if (!https && !http && !syslog) return;  // reported, or missing
  if (!https && !syslog_tls) {
    const char* const kInstead = syslog ? "syslog+tls://" : "https://";
    report.Warning(schema::Child(path, "endpoint"), "insecure",
                   "what is sent can be read and changed on its way",
                   absl::StrCat("use ", kInstead));
    for (const auto& [present, field] : {std::make_pair(sink.has_ca(), "ca"),
                                         std::make_pair(sink.has_certificate(), "certificate"),
                                         std::make_pair(Present(sink.key()), "key")}) {
      if (!present) continue;
      report.Error(schema::Child(path, field), "conflict", "has no meaning without TLS",
                   absl::StrCat("use ", kInstead));
    }
  }
  if (http && Present(sink.token())) {
    report.Error(schema::Child(path, "token"), "conflict", "would be sent for everybody to read",
                 "use https://");
  }
  if (syslog && Present(sink.token())) {
    report.Error(schema::Child(path, "token"), "conflict", "syslog knows no tokens",
                 "a client certificate: certificate and key");
  }
  if (syslog && sink.has_encoding()) {
    report.Error(schema::Child(path, "encoding"), "conflict",
                 "is for https:// and http://; syslog is always RFC 5424", "remove it");
  }
  if (sink.has_certificate() != Present(sink.key())) {
    report.Error(schema::Child(path, sink.has_certificate() ? "key" : "certificate"), "required",
                 "a client certificate needs its key, and the key its certificate");
  }
  if (Present(sink.token()) && Present(sink.key())) {
    report.Warning(schema::Child(path, "token"), "two-credentials",
                   "the client certificate says who the node is already", "keep one of the two");
  }
  const auto wait = format::ParseDuration(sink.batch().wait());
  if (wait.ok() && *wait > absl::Minutes(10)) {
    report.Error(schema::Child(path, "batch.wait"), "out-of-range", "allowed: at most 10m",
                 "what waits is lost when the power goes");
  }
}

void CheckRetention(const v1::Retention& retention, const std::string& path, Report& report) {
  const auto size = format::ParseQuantity(retention.max_size());
  if (size.ok() && *size < 1024 * 1024) {
    report.Error(schema::Child(path, "maxSize"), "out-of-range", "allowed: at least 1Mi");
  }
  const auto keep = format::ParseDuration(retention.keep());
  if (keep.ok() && *keep < absl::Hours(1)) {
    report.Error(schema::Child(path, "keep"), "out-of-range", "allowed: at least 1h");
  }
}

void CheckAudit(const v1::MachineConfig& config, Report& report) {
  std::map<std::string, std::string> endpoints;
  const std::vector<std::string> paths = Elements("audit", config.audit(), "sinks");
  for (int i = 0; i < config.audit().sinks_size(); ++i) {
    const v1::Sink& sink = config.audit().sinks(i);
    const std::string& path = paths[i];
    CheckSink(sink, path, report);
    auto [it, fresh] = endpoints.try_emplace(sink.endpoint(), path);
    if (fresh || it->second == path || !sink.has_endpoint()) continue;
    report.Warning(
        schema::Child(path, "endpoint"), "conflict",
        absl::StrCat("is that of ", it->second, " as well: each record would arrive twice"),
        "remove one of the two");
  }
  CheckRetention(config.audit().retention(), "audit.retention", report);
}

}  // namespace basalt::validate
