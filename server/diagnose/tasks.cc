// What is asked for, judged; what came back, as the API says it.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/format/format.h"
#include "machineconfig/format/net.h"
#include "server/diagnose/diagnoser.h"

namespace basalt::diagnose {
namespace {

constexpr int64_t kDefaultProbeMs = 10000, kMaxProbeMs = 30000;
constexpr int64_t kDefaultCaptureMs = 30000, kMaxCaptureMs = 600000;
constexpr int64_t kDefaultCaptureBytes = 10 << 20, kMaxCaptureBytes = 256 << 20;
constexpr int64_t kSmallestCapture = 4096;
constexpr uint32_t kSnapLength = 262144;
constexpr int64_t kSecondsADay = 86400;

absl::Status Bad(absl::string_view code, absl::string_view why) {
  return api::Coded(absl::StatusCode::kInvalidArgument, code, why);
}
absl::Status NeedsAdmin(absl::string_view what) {
  return api::Coded(absl::StatusCode::kPermissionDenied, "needs-role",
                    absl::StrCat(what, " needs the role admin"));
}

absl::Status SetHost(const std::string& host, ProbeTask* task) {
  if (absl::Status s = format::Check(v1::FORMAT_IP_OR_DNS, host); !s.ok()) {
    return Bad("bad-target", absl::StrCat(host, ": ", s.message()));
  }
  task->host = host;
  return absl::OkStatus();
}

absl::Status SetHostPort(const std::string& target, ProbeTask* task) {
  auto address = format::ParseHostPort(target);
  if (!address.ok() || address->host.empty() || address->port == 0) {
    return Bad("bad-target", absl::StrCat(target, ": wants HOST:PORT, such as 192.168.1.1:443"));
  }
  task->port = address->port;
  return SetHost(address->host, task);
}

absl::Status SetUrl(const std::string& target, ProbeTask* task) {
  auto url = format::ParseUrl(target);
  if (!url.ok()) return Bad("bad-target", absl::StrCat(target, ": ", url.status().message()));
  if (url->scheme == "file") {
    return Bad("bad-target", absl::StrCat(target, ": wants http:// or https://"));
  }
  task->tls = url->scheme == "https";
  task->port = url->port != 0 ? url->port : task->tls ? 443 : 80;
  task->path = url->path;
  return SetHost(url->host, task);
}

}  // namespace

absl::StatusOr<ProbeTask> TaskOf(const engine::Caller& caller, const v1::ProbeRequest& request) {
  ProbeTask task;
  task.timeout_ms = request.timeout_ms() == 0 ? kDefaultProbeMs : request.timeout_ms();
  if (task.timeout_ms < 1 || task.timeout_ms > kMaxProbeMs) {
    return Bad("bad-timeout", "a probe takes at most 30 seconds");
  }
  task.any_address = request.any_address();
  if (task.any_address && !caller.Has(v1::ROLE_ADMIN)) {
    return NeedsAdmin("probing loopback, link-local and metadata services");
  }
  if (!request.server_name().empty()) {
    if (absl::Status s = format::Check(v1::FORMAT_IP_OR_DNS, request.server_name()); !s.ok()) {
      return Bad("bad-target", absl::StrCat(request.server_name(), ": ", s.message()));
    }
    task.server_name = request.server_name();
  }
  absl::Status status;
  switch (request.kind()) {
    case v1::PROBE_KIND_DNS:
      task.kind = ProbeTask::Kind::kDns;
      status = SetHost(request.target(), &task);
      break;
    case v1::PROBE_KIND_TCP:
    case v1::PROBE_KIND_TLS:
      task.kind =
          request.kind() == v1::PROBE_KIND_TCP ? ProbeTask::Kind::kTcp : ProbeTask::Kind::kTls;
      status = SetHostPort(request.target(), &task);
      break;
    case v1::PROBE_KIND_HTTP:
      task.kind = ProbeTask::Kind::kHttp;
      status = SetUrl(request.target(), &task);
      break;
    default:
      return Bad("bad-target", "a probe is one of dns, tcp, tls and http");
  }
  if (!status.ok()) return status;
  return task;
}

absl::StatusOr<CaptureTask> TaskOf(const engine::Caller& caller,
                                   const v1::CaptureRequest& request) {
  CaptureTask task;
  task.interface = request.interface();
  if (!task.interface.empty()) {
    if (absl::Status s = format::CheckInterfaceName(task.interface); !s.ok()) {
      return Bad("bad-target", absl::StrCat(task.interface, ": ", s.message()));
    }
  }
  task.peer = caller.peer;
  task.loopback = caller.Has(v1::ROLE_ADMIN);
  task.duration_ms = request.duration_ms() == 0 ? kDefaultCaptureMs : request.duration_ms();
  task.max_bytes = request.max_bytes() == 0 ? kDefaultCaptureBytes : request.max_bytes();
  task.snap_length = request.snap_length() <= 0
                         ? kSnapLength
                         : std::min(kSnapLength, static_cast<uint32_t>(request.snap_length()));
  if (task.duration_ms < 1 || task.duration_ms > kMaxCaptureMs) {
    return Bad("bad-timeout", "a capture takes at most 10 minutes");
  }
  if (task.max_bytes < kSmallestCapture || task.max_bytes > kMaxCaptureBytes) {
    return Bad("bad-size", "a capture has from 4 KiB to 256 MiB");
  }
  if (request.filters_size() > 4) return Bad("bad-filter", "at most 4 filters");
  for (const v1::CaptureFilter& filter : request.filters()) {
    if (filter.instructions_size() > static_cast<int>(kMaxInstructions) ||
        filter.instructions().empty()) {
      return Bad("bad-filter", "a filter has from 1 to 4096 instructions");
    }
    std::vector<Instruction>& all = task.filters[filter.link_type()];
    for (const v1::BpfInstruction& one : filter.instructions()) {
      if (one.code() > 0xFFFF || one.jump_true() > 0xFF || one.jump_false() > 0xFF) {
        return Bad("bad-filter", "an instruction has a field that is too large");
      }
      all.push_back({.code = static_cast<uint16_t>(one.code()),
                     .jump_true = static_cast<uint8_t>(one.jump_true()),
                     .jump_false = static_cast<uint8_t>(one.jump_false()),
                     .k = one.k()});
    }
  }
  return task;
}

v1::ProbeReply ReplyOf(const ProbeResult& result, absl::Time now) {
  v1::ProbeReply reply;
  reply.set_reached(result.reached);
  reply.set_error_code(result.code);
  reply.set_error(result.error);
  for (const ProbeResult::Step& step : result.steps) {
    v1::ProbeStep& out = *reply.add_steps();
    out.set_name(step.name);
    out.set_micros(step.micros);
  }
  for (const std::string& address : result.addresses) reply.add_addresses(address);
  reply.set_peer(result.peer);
  reply.set_tls_version(result.tls_version);
  reply.set_tls_cipher(result.tls_cipher);
  reply.set_tls_verified(!result.tls_version.empty() && result.tls_fault.empty());
  reply.set_tls_fault(result.tls_fault);
  for (const ProbeCertificate& certificate : result.certificates) {
    v1::ProbeCertificate& out = *reply.add_certificates();
    out.set_subject(certificate.subject);
    out.set_issuer(certificate.issuer);
    for (const std::string& name : certificate.names) out.add_names(name);
    out.mutable_not_before()->set_seconds(certificate.not_before);
    out.mutable_not_after()->set_seconds(certificate.not_after);
    const int64_t left = certificate.not_after - absl::ToUnixSeconds(now);
    out.set_days_left(left < 0 ? -1 - (-left - 1) / kSecondsADay : left / kSecondsADay);
    out.set_sha256(certificate.sha256);
  }
  reply.set_http_status(result.http_status);
  reply.set_http_location(result.http_location);
  reply.set_http_type(result.http_type);
  reply.set_http_bytes(result.http_bytes);
  return reply;
}

}  // namespace basalt::diagnose
