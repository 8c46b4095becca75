// A Supervisor with memory and no processes. It keeps every rule of the real one (the conformance
// suite in tests/component/init runs against both): what may be started, which state follows which,
// the ring of 64 events, restarts, the 256 KiB of output. What a process would do, the test does:
//
//   FakeSupervisor fake(clock);
//   controller starts "k3s"        -> starting
//   fake.Ready("k3s")              -> running, kReady event
//   fake.Exit("k3s", 1)            -> backing-off (restart.always) or failed
//   fake.PassBackoff("k3s")        -> starting again with a new pid
//
// A stopped service exits with SIGTERM at once; `obeys_stop = false` leaves it stopping until the
// test calls Exit. Single-threaded.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/host/clock.h"
#include "server/host/supervisor.h"

namespace basalt::testing {

class FakeSupervisor : public host::Supervisor {
 public:
  enum class Op { kStart, kStop, kList, kOutput, kEvents, kFeed };

  explicit FakeSupervisor(host::Clock& clock) : clock_(clock) {}

  absl::Status Start(host::ServiceSpec spec) override;
  absl::Status Stop(absl::string_view name) override;
  absl::StatusOr<std::vector<host::ServiceStatus>> List() override;
  absl::StatusOr<std::string> Output(absl::string_view name, size_t max_bytes = 256 << 10,
                                     uint64_t* end = nullptr) override;
  absl::StatusOr<uint64_t> OutputOffset(absl::string_view name) override;
  absl::StatusOr<std::vector<host::ServiceEvent>> Events(uint64_t after_seq) override;
  int event_fd() const override { return -1; }
  void DrainWakeups() override {}
  absl::Status Feed() override;
  absl::StatusOr<host::BootStatus> Boot() override;
  absl::Status Healthy() override;
  absl::StatusOr<absl::Duration> SetWatchdog(absl::Duration timeout) override;
  absl::Status EndMachine(bool reboot) override;

  // --- What a process would do. Each is a broken test (abort) when the service does not run. ---
  void Exit(absl::string_view name, int code, int signal = 0);
  void Ready(absl::string_view name);
  void Write(absl::string_view name, absl::string_view text);
  // The back-off of a service that waits for its restart is over.
  void PassBackoff(absl::string_view name);

  // The next call of `op` fails with `status` and does nothing; several queue up.
  void FailNext(Op op, absl::Status status);

  // The spec of the last Start of that name, with its descriptors still open (exec_fd can be read
  // to see what would run); nullptr when never started. Kept after the service stopped.
  const host::ServiceSpec* Spec(absl::string_view name) const;
  // nullptr when unknown.
  const host::ServiceStatus* Status(absl::string_view name) const;
  // Names in the order of their Start calls, repeated ones too.
  const std::vector<std::string>& started() const { return started_; }
  const std::vector<std::string>& stopped() const { return stopped_; }
  int feeds() const { return feeds_; }

  // Called after each event, also from within Start and Stop: post to the loop, do not act.
  std::function<void()> on_event;
  bool pid1 = false;  // noded-init is PID 1, and found this:
  host::BootStatus boot;
  absl::Status healthy_result;            // of Healthy()
  int healthy = 0;                        // calls
  std::vector<absl::Duration> watchdogs;  // what its device was told to wait
  std::vector<bool> ends;                 // orders to end: is it a reboot?
  bool obeys_stop = true;
  std::string written_after_output;  // each service writes this as soon as its output was read

 private:
  struct Service {
    host::ServiceSpec spec;
    host::ServiceStatus status;
    std::string output;
    uint64_t written = 0;
  };

  absl::Status TakeFailure(Op op);
  Service* Find(absl::string_view name);
  Service& Running(absl::string_view name);
  void Launch(Service& service);
  void Record(host::ServiceEvent::Kind kind, const Service& service);

  host::Clock& clock_;
  std::list<Service> services_;  // stable addresses: Spec() and Status() hand them out
  std::deque<host::ServiceEvent> events_;
  std::map<Op, std::deque<absl::Status>> failures_;
  std::vector<std::string> started_;
  std::vector<std::string> stopped_;
  uint64_t last_seq_ = 0;
  int next_pid_ = 1000;
  int feeds_ = 0;
};

}  // namespace basalt::testing
