// noded-wire as the service "logs": started with what it is to do, given records, replaced when
// that changes or it ends. Loop thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "server/engine/executor.h"
#include "server/host/fd.h"
#include "server/host/supervisor.h"
#include "server/host/vfs.h"
#include "server/logs/record.h"

namespace basalt::logs {

class SenderProcess {
 public:
  static constexpr absl::Duration kStartAgain = absl::Seconds(5);

  SenderProcess(engine::Executor& executor, host::Supervisor& supervisor, host::Vfs& vfs,
                std::string program, std::function<void()> on_state)
      : executor_(executor),
        supervisor_(supervisor),
        vfs_(vfs),
        program_(std::move(program)),
        on_state_(std::move(on_state)) {}
  ~SenderProcess();
  SenderProcess(const SenderProcess&) = delete;
  SenderProcess& operator=(const SenderProcess&) = delete;

  // From now on; nullopt: nothing is sent and nothing kept.
  void Want(std::optional<ShipSpec> spec);
  bool wanted() const { return spec_.has_value(); }
  // False: it does not run, or has no room now.
  bool Offer(const Record& record);
  void OnServiceEvent(const host::ServiceEvent& event);

  // As it last said; of sinks that are wanted.
  const std::map<std::string, SinkState>& states() const { return states_; }
  // Why it does not run.
  const std::string& fault() const { return fault_; }

 private:
  void Replace();
  void Check();
  absl::Status Start();
  void CloseSocket();
  void ReadStates();
  void Later();

  engine::Executor& executor_;
  host::Supervisor& supervisor_;
  host::Vfs& vfs_;
  const std::string program_;
  const std::function<void()> on_state_;
  std::optional<ShipSpec> spec_;
  host::UniqueFd socket_;  // valid: it runs with spec_
  engine::Executor::TimerId timer_ = 0;
  std::map<std::string, SinkState> states_;
  std::string fault_;
};

}  // namespace basalt::logs
