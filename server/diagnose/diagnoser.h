// Probes and captures, as noded orders them: checked, bounded, each a run of noded-wire. Made and
// used on the loop thread, but for DiagnoseApi's methods, which come from any.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/diagnose/capture_task.h"
#include "server/diagnose/probe_result.h"
#include "server/engine/controller.h"
#include "server/engine/diagnose_api.h"
#include "server/engine/executor.h"
#include "server/engine/one_shot.h"
#include "server/host/clock.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"

namespace basalt::diagnose {

// InvalidArgument "bad-target", "bad-timeout"; PermissionDenied "needs-role". Pure.
absl::StatusOr<ProbeTask> TaskOf(const engine::Caller& caller, const v1::ProbeRequest& request);
absl::StatusOr<CaptureTask> TaskOf(const engine::Caller& caller, const v1::CaptureRequest& request);
v1::ProbeReply ReplyOf(const ProbeResult& result, absl::Time now);

class Diagnoser : public engine::DiagnoseApi {
 public:
  static constexpr int kProbes = 2;  // at a time

  // `program`: absolute path of noded-wire.
  Diagnoser(engine::Executor& executor, host::Supervisor& supervisor, host::Clock& clock,
            host::Vfs& vfs, std::string program);
  ~Diagnoser() override;

  void Probe(const engine::Caller& caller, v1::ProbeRequest request,
             engine::Reply<v1::ProbeReply> reply) override;
  void Capture(const engine::Caller& caller, v1::CaptureRequest request,
               std::shared_ptr<engine::CaptureWatcher> watcher) override;
  void ResumeCapture(const std::shared_ptr<engine::CaptureWatcher>& watcher) override;
  void EndCapture(const std::shared_ptr<engine::CaptureWatcher>& watcher) override;

  void OnServiceEvent(const host::ServiceEvent& event);
  // A capture that runs, and who has it.
  std::vector<engine::Condition> Alarms() const;

 private:
  struct Slot {
    std::unique_ptr<engine::OneShot> run;
    bool busy = false;
  };
  struct Running {
    std::shared_ptr<engine::CaptureWatcher> watcher;
    std::shared_ptr<host::UniqueFd> packets;  // where they come from
    std::shared_ptr<host::UniqueFd> summary;
    std::string who;
    std::string interface;
    bool waiting = false;  // for ResumeCapture
    bool at_end = false;   // of the packets
    bool exited = false;
    absl::Status outcome;
  };

  void StartProbe(const ProbeTask& task, engine::Reply<v1::ProbeReply> reply);
  void StartCapture(const CaptureTask& task, const std::string& who,
                    std::shared_ptr<engine::CaptureWatcher> watcher);
  void ReadPackets();
  void FinishCapture();
  std::shared_ptr<host::UniqueFd> Program() const;
  std::vector<std::string> Environment() const;

  engine::Executor& executor_;
  host::Supervisor& supervisor_;
  host::Clock& clock_;
  host::Vfs& vfs_;
  const std::string program_;
  std::array<Slot, kProbes> probes_;
  engine::OneShot capture_run_;
  std::unique_ptr<Running> capture_;
};

}  // namespace basalt::diagnose
