#include "server/logs/plan.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "google/protobuf/util/message_differencer.h"
#include "machineconfig/format/net.h"
#include "machineconfig/format/quantity.h"
#include "machineconfig/format/time.h"
#include "server/logs/logs_controller.h"

namespace basalt::logs {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr int64_t kDefaultKeepBytes = 64 << 20;

Encoding EncodingOf(v1::SinkEncoding encoding) {
  switch (encoding) {
    case v1::SINK_ENCODING_OTLP:
      return Encoding::kOtlp;
    case v1::SINK_ENCODING_JOURNAL:
      return Encoding::kJournal;
    case v1::SINK_ENCODING_LOKI:
      return Encoding::kLoki;
    default:
      return Encoding::kJsonLines;
  }
}

absl::StatusOr<SinkSpec> SinkSpecOf(const v1::Sink& sink) {
  static const auto* const kTransports =
      new std::map<std::string, std::pair<Transport, int>>{{"syslog+tls", {Transport::kTls, 6514}},
                                                           {"syslog+tcp", {Transport::kTcp, 514}},
                                                           {"syslog+udp", {Transport::kUdp, 514}},
                                                           {"https", {Transport::kHttps, 443}},
                                                           {"http", {Transport::kHttp, 80}}};
  auto bad = [&sink](absl::string_view why) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-sink",
                      absl::StrCat("system.logs.sinks[", sink.name(), "]: ", why));
  };
  absl::StatusOr<format::Url> url = format::ParseSinkUrl(sink.endpoint());
  if (!url.ok()) return bad(url.status().message());
  const auto transport = kTransports->find(url->scheme);
  if (transport == kTransports->end()) return bad("another kind of URL");
  SinkSpec spec = {.name = sink.name(),
                   .transport = transport->second.first,
                   .host = url->host,
                   .port = url->port == 0 ? transport->second.second : url->port,
                   .path = url->path,
                   .encoding = EncodingOf(sink.encoding()),
                   .ca = sink.ca(),
                   .certificate = sink.certificate(),
                   .key = sink.key().plain(),
                   .token = sink.token().plain()};
  // It would end its line of the request, and begin another.
  if (std::any_of(spec.token.begin(), spec.token.end(),
                  [](char c) { return !absl::ascii_isprint(static_cast<unsigned char>(c)); })) {
    return bad("the token holds characters that no header may");
  }
  if (sink.batch().has_size()) spec.batch = static_cast<int>(sink.batch().size());
  if (auto wait = format::ParseDuration(sink.batch().wait()); wait.ok()) spec.wait = *wait;
  return spec;
}

void Add(engine::ControllerPlan* plan, std::string what) {
  plan->steps.push_back(
      {.controller = kControllerName, .description = std::move(what), .effect = v1::EFFECT_LIVE});
}

}  // namespace

absl::StatusOr<ShipSpec> ShipSpecOf(const v1::MachineConfig& config) {
  ShipSpec spec = {.host_name = config.metadata().name()};
  const v1::Logs& logs = config.system().logs();
  for (const v1::Sink& sink : logs.sinks()) {
    absl::StatusOr<SinkSpec> one = SinkSpecOf(sink);
    if (!one.ok()) return one.status();
    spec.sinks.push_back(*std::move(one));
  }
  if (logs.has_retention()) {
    spec.keep_bytes =
        format::ParseQuantity(logs.retention().max_size()).value_or(kDefaultKeepBytes);
    spec.keep = format::ParseDuration(logs.retention().keep()).value_or(absl::InfiniteDuration());
  }
  return spec;
}

engine::ControllerPlan PlanLogs(const v1::MachineConfig* from, const v1::MachineConfig& to) {
  engine::ControllerPlan plan;
  const v1::Logs none;
  const v1::Logs& last = from == nullptr ? none : from->system().logs();
  const v1::Logs& next = to.system().logs();
  std::map<std::string, const v1::Sink*> before, after;
  for (const v1::Sink& sink : last.sinks()) before[sink.name()] = &sink;
  for (const v1::Sink& sink : next.sinks()) after[sink.name()] = &sink;
  for (const auto& [name, sink] : after) {
    const auto old = before.find(name);
    if (old == before.end() || old->second->endpoint() != sink->endpoint()) {
      Add(&plan, absl::StrCat("send logs to ", name, " (", sink->endpoint(), ")"));
    } else if (!MessageDifferencer::Equals(*old->second, *sink)) {
      Add(&plan, absl::StrCat("send logs to ", name, " in another way"));
    }
  }
  for (const auto& [name, sink] : before) {
    if (after.count(name) == 0) Add(&plan, absl::StrCat("send no more logs to ", name));
  }
  if (next.has_retention() == last.has_retention() &&
      MessageDifferencer::Equals(next.retention(), last.retention())) {
    return plan;
  }
  if (!next.has_retention()) {
    Add(&plan, "keep no more logs on disk");
    return plan;
  }
  const std::string size =
      next.retention().max_size().empty() ? "64Mi" : next.retention().max_size();
  Add(&plan,
      absl::StrCat(
          "keep ", size, " of each service's log on disk",
          next.retention().keep().empty() ? "" : absl::StrCat(", for ", next.retention().keep())));
  return plan;
}

}  // namespace basalt::logs
