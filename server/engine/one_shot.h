// A program that is run once, to its end, and what it said: noded never forks, so noded-init starts
// it. One run at a time under one service name; a later Run takes the place of an earlier one,
// whose `done` is not called then. On the loop thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/engine/executor.h"
#include "server/host/fd.h"
#include "server/host/supervisor.h"

namespace basalt::engine {

struct OneShotCommand {
  std::shared_ptr<host::UniqueFd> program;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::vector<std::shared_ptr<host::UniqueFd>> fds;  // from descriptor 3 on
};

struct OneShotResult {
  int exit_code = 0;
  int signal = 0;
  std::string output;  // the last 4 KiB of this run, of both streams
};

class OneShot {
 public:
  // What could not be started, or DeadlineExceeded: it was told to end.
  using Done = std::function<void(absl::StatusOr<OneShotResult>)>;

  OneShot(Executor& executor, host::Supervisor& supervisor, std::string service)
      : executor_(executor), supervisor_(supervisor), service_(std::move(service)) {}
  ~OneShot() { Forget(); }
  OneShot(const OneShot&) = delete;
  OneShot& operator=(const OneShot&) = delete;

  void Run(OneShotCommand command, absl::Duration limit, Done done);
  // Nobody waits for the run any more; it ends by itself.
  void Forget();
  void OnServiceEvent(const host::ServiceEvent& event);

 private:
  struct Running {
    OneShotCommand command;
    Done done;
    std::string tag;
    bool waiting = false;       // for the name to be free
    uint64_t output_start = 0;  // what earlier runs of this name wrote stands before it
  };
  void Start(bool again);
  void End(absl::StatusOr<OneShotResult> result);
  std::string Output() const;

  Executor& executor_;
  host::Supervisor& supervisor_;
  const std::string service_;
  std::optional<Running> running_;
  Executor::TimerId timer_ = 0;
  uint64_t last_id_ = 0;
};

}  // namespace basalt::engine
