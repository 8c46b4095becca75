// From what is seen of K3s to conditions: the readiness ladder, exits, liveness. Pure state, moved
// by observations with the boot time at which they were made; knows no process and no socket.
//
//   rung        server                                  agent
//   process     the process runs                        the process runs
//   ping        /ping on 6443                           /ping through the load balancer on 6444
//   notified    READY=1 was sent                        READY=1 was sent
//   readyz      /readyz with the admin certificate      kubelet 10248 and kube-proxy 10256
//   nodeReady   the Node's Ready condition is True      the same, through 6444
//
// Up, a rung counts as soon as it is seen; down, after three probes in a row, because an SD card
// stalls K3s for seconds at a time.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "basalt/v1/machine_config.pb.h"
#include "server/engine/controller.h"
#include "server/host/supervisor.h"
#include "server/k3s/join_failures.h"
#include "server/k3s/node_probe.h"

namespace basalt::k3s {

enum class Rung { kStopped, kProcess, kPing, kNotified, kReadyz, kNodeReady };
std::string ToString(Rung rung);

struct HealthLimits {
  absl::Duration readyz = absl::Seconds(120);
  absl::Duration node_ready = absl::Seconds(300);
  absl::Duration liveness = absl::Seconds(120);
  bool operator==(const HealthLimits&) const = default;
};

// From k3s.health of a resolved config.
HealthLimits LimitsOf(const v1::MachineConfig& config);

class Health {
 public:
  // A start of ours: nothing is known yet.
  void Started(bool server, absl::Duration now);
  // It runs already (a new noded): exits before now are not counted.
  void Adopted(bool server, const host::ServiceStatus& status, absl::Duration now);
  void Stopped();  // on purpose

  void OnService(const host::ServiceStatus& status, absl::Duration now);
  void OnProbe(const ProbeResult& result, absl::Duration now);
  // What its output says, when it is not ready; lines are redacted already.
  void OnOutput(std::optional<LogFinding> finding, std::string fatal,
                std::vector<std::string> lines);

  Rung rung() const { return rung_; }
  bool active() const { return active_; }
  bool at_rest() const { return rung_ == Rung::kNodeReady && misses_ == 0; }
  // It was ready, and for `limit` nothing has been: restart it.
  bool LivenessExpired(absl::Duration limit, absl::Duration now) const;
  std::vector<engine::Condition> Conditions() const;
  // Of the condition that fails first; empty when all hold.
  engine::Condition Worst() const;
  const ProbeResult& probe() const { return probe_; }
  const std::vector<std::string>& last_lines() const { return last_lines_; }
  int pid() const { return pid_; }
  bool was_node_ready() const { return was_node_ready_; }              // in this run of the process
  absl::Duration process_started() const { return process_started_; }  // boot clock
  int rapid_exits() const { return static_cast<int>(exits_.size()); }

 private:
  void Forget();
  engine::Condition Failure(const char* type, const char* code, const char* reason,
                            const std::string& message) const;

  bool active_ = false;
  bool server_ = true;
  bool running_ = false;
  bool notified_ = false;
  bool was_ready_ = false;  // in this run of the process
  bool was_node_ready_ = false;
  int pid_ = 0;
  absl::Duration process_started_;
  int misses_ = 0;  // probes in a row that were below the rung
  Rung rung_ = Rung::kStopped;
  ProbeResult probe_;
  std::string last_exit_;
  absl::Duration last_exit_at_ = -absl::InfiniteDuration();
  absl::Duration failing_since_ = absl::InfiniteDuration();
  std::vector<absl::Duration> exits_;  // of the last two minutes
  std::optional<LogFinding> finding_;
  std::string fatal_;
  std::vector<std::string> last_lines_;
};

}  // namespace basalt::k3s
