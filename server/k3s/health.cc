#include "server/k3s/health.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "machineconfig/format/time.h"

namespace basalt::k3s {
namespace {

constexpr int kMissesThatCount = 3;
// A version or config that ends three times within two minutes does not work.
constexpr size_t kHopelessExits = 3;
constexpr absl::Duration kExitWindow = absl::Minutes(2);

}  // namespace

std::string ToString(Rung rung) {
  switch (rung) {
    case Rung::kStopped:
      return "stopped";
    case Rung::kProcess:
      return "process";
    case Rung::kPing:
      return "ping";
    case Rung::kNotified:
      return "notified";
    case Rung::kReadyz:
      return "readyz";
    case Rung::kNodeReady:
      return "nodeReady";
  }
  return "stopped";
}

HealthLimits LimitsOf(const v1::MachineConfig& config) {
  HealthLimits limits;
  const v1::K3sHealth& health = config.k3s().health();
  limits.readyz = format::ParseDuration(health.readyz()).value_or(limits.readyz);
  limits.node_ready = format::ParseDuration(health.node_ready()).value_or(limits.node_ready);
  limits.liveness = format::ParseDuration(health.liveness()).value_or(limits.liveness);
  return limits;
}

void Health::Forget() { *this = Health(); }

void Health::Started(bool server, absl::Duration now) {
  Forget();
  active_ = true;
  server_ = server;
}

void Health::Adopted(bool server, const host::ServiceStatus& status, absl::Duration now) {
  Started(server, now);
  if (status.exited) last_exit_at_ = status.exited_at;
  OnService(status, now);
}

void Health::Stopped() { Forget(); }

void Health::OnService(const host::ServiceStatus& status, absl::Duration now) {
  if (!active_) return;
  running_ = status.pid > 0 && (status.state == host::ServiceState::kRunning ||
                                status.state == host::ServiceState::kStarting);
  notified_ = running_ && status.ready;
  process_started_ = status.started_at;
  if (status.exited && status.exited_at > last_exit_at_) {
    last_exit_at_ = status.exited_at;
    exits_.push_back(status.exited_at);
    last_exit_ = status.signal != 0 ? absl::StrCat("ended by signal ", status.signal)
                                    : absl::StrCat("ended with status ", status.exit_code);
  }
  exits_.erase(std::remove_if(exits_.begin(), exits_.end(),
                              [now](absl::Duration at) { return now - at > kExitWindow; }),
               exits_.end());
  if (!running_ || status.pid != pid_) {
    // Another process: what the last one reached says nothing about it.
    pid_ = running_ ? status.pid : 0;
    rung_ = running_ ? Rung::kProcess : Rung::kStopped;
    was_ready_ = was_node_ready_ = false;
    misses_ = 0;
    failing_since_ = absl::InfiniteDuration();
    std::string hash = probe_.ca_hash;
    bool is_double = probe_.is_double;
    probe_ = ProbeResult();
    probe_.ca_hash = hash;
    probe_.is_double = is_double;
  }
}

void Health::OnProbe(const ProbeResult& result, absl::Duration now) {
  if (!active_ || !running_) return;
  Rung seen = Rung::kProcess;
  if (result.ping) seen = Rung::kPing;
  if (seen == Rung::kPing && notified_) seen = Rung::kNotified;
  if (seen == Rung::kNotified && result.readyz) seen = Rung::kReadyz;
  if (seen == Rung::kReadyz && result.node_ready) seen = Rung::kNodeReady;
  ProbeResult last = probe_;
  probe_ = result;
  if (probe_.ca_hash.empty()) probe_.ca_hash = last.ca_hash;
  if (probe_.kubelet_version.empty()) probe_.kubelet_version = last.kubelet_version;
  probe_.certificates_end = std::min(probe_.certificates_end, last.certificates_end);
  probe_.is_double = probe_.is_double || last.is_double;
  if (seen >= rung_) {
    rung_ = seen;
    misses_ = 0;
  } else if (++misses_ >= kMissesThatCount) {
    rung_ = seen;
  }
  if (rung_ >= Rung::kReadyz) was_ready_ = true;
  if (rung_ == Rung::kNodeReady) was_node_ready_ = true;
  // A process that was ready once and is not now hangs until it is again, whichever rung it is on.
  // Not an agent whose servers are away: to restart it brings none of them back.
  if (seen >= Rung::kReadyz || (!server_ && result.readyz)) {
    failing_since_ = absl::InfiniteDuration();
  } else if (was_ready_) {
    failing_since_ = std::min(failing_since_, now);
  }
  if (rung_ == Rung::kNodeReady) {
    finding_.reset();
    fatal_.clear();
    last_lines_.clear();
  }
}

void Health::OnOutput(std::optional<LogFinding> finding, std::string fatal,
                      std::vector<std::string> lines) {
  if (!active_ || rung_ == Rung::kNodeReady) return;
  finding_ = std::move(finding);
  fatal_ = std::move(fatal);
  last_lines_ = std::move(lines);
}

bool Health::LivenessExpired(absl::Duration limit, absl::Duration now) const {
  return running_ && was_ready_ && rung_ < Rung::kReadyz && now - failing_since_ >= limit;
}

engine::Condition Health::Failure(const char* type, const char* code, const char* reason,
                                  const std::string& message) const {
  engine::Condition condition{.type = type, .reason = reason, .message = message, .code = code};
  if (finding_) {
    condition.code = finding_->code;
    condition.reason = finding_->reason;
    condition.message = absl::StrCat(
        finding_->message, finding_->hint.empty() ? "" : absl::StrCat(" (", finding_->hint, ")"));
    condition.hopeless = finding_->hopeless;
  } else if (!fatal_.empty()) {
    condition.message = absl::StrCat(message, ": ", fatal_);
  }
  if (exits_.size() >= kHopelessExits) {
    condition.hopeless = true;
    condition.message =
        absl::StrCat(condition.message, "; it ended ", exits_.size(), " times within two minutes");
  }
  return condition;
}

std::vector<engine::Condition> Health::Conditions() const {
  if (!active_) return {};
  std::vector<engine::Condition> out;
  if (running_) {
    out.push_back({.type = "K3sRunning",
                   .holds = true,
                   .reason = "Running",
                   .message = absl::StrCat("pid ", pid_)});
  } else {
    out.push_back(Failure(
        "K3sRunning", "k3s-exited", "Exited",
        last_exit_.empty() ? std::string("K3s does not run") : absl::StrCat("K3s ", last_exit_)));
  }
  const bool hangs = running_ && was_ready_;
  const char* code = !running_ ? "k3s-exited" : hangs ? "k3s-hangs" : "k3s-not-ready";
  const char* reason = !running_ ? "Exited" : hangs ? "NotAnswering" : "NotReady";
  std::string detail =
      !running_ ? (last_exit_.empty() ? "K3s does not run" : absl::StrCat("K3s ", last_exit_))
      : probe_.detail.empty() ? (notified_ ? "K3s is not ready" : "K3s has not signalled READY yet")
                              : probe_.detail;
  if (rung_ >= Rung::kReadyz) {
    out.push_back({.type = "K3sReady",
                   .holds = true,
                   .reason = "Ready",
                   .message = server_ ? "/readyz answers" : "kubelet and kube-proxy answer"});
  } else {
    out.push_back(Failure("K3sReady", code, reason, detail));
  }
  if (rung_ == Rung::kNodeReady) {
    out.push_back(
        {.type = "NodeReady", .holds = true, .reason = "Ready", .message = "the Node is Ready"});
  } else if (rung_ == Rung::kReadyz) {
    out.push_back(Failure("NodeReady", "node-not-ready", "NodeNotReady", detail));
  } else {
    out.push_back(Failure("NodeReady", code, reason, detail));
  }
  return out;
}

engine::Condition Health::Worst() const {
  for (const engine::Condition& condition : Conditions()) {
    if (!condition.holds) return condition;
  }
  return {.holds = true};
}

}  // namespace basalt::k3s
