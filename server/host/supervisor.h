// Services, as the rest of noded sees them. noded never forks: noded-init starts every child, keeps
// it across a noded that died, and reports exits with sequence numbers so that none is lost or seen
// twice. Real: a client of the SOCK_SEQPACKET channel (server/init/protocol.h). Fake:
// tests/support. Calls are short (one local round trip, at most 2 s) and come from the loop thread
// only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/host/fd.h"

namespace basalt::host {

struct RestartPolicy {
  bool always = false;                          // false: one run, kept in the list with its exit
  absl::Duration delay = absl::Seconds(5);      // after an ordinary exit
  absl::Duration max_delay = absl::Minutes(5);  // doubled on each exit within `rapid` of its start
  absl::Duration rapid = absl::Seconds(30);
};

struct ServiceSpec {
  std::string name;  // "k3s", "fetch-1"; at most 31 bytes
  std::string tag;   // opaque, at most 79 bytes: a new noded recognises what runs by it
  std::vector<std::string> argv;
  std::vector<std::string> env;  // whole environment; NOTIFY_SOCKET is added when `notify`
  UniqueFd exec_fd;              // executed with execveat(AT_EMPTY_PATH): the verified bytes
  std::vector<UniqueFd> fds;     // up to 4 more, from descriptor 3 on in the child
  std::string cgroup;            // relative; "" = none. Made when the platform allows it
  uint64_t nofile = 1048576;     // lowered to the hard limit
  RestartPolicy restart;
  bool notify = false;
  // In a mount namespace of its own that has neither STATE nor ESP. What it mounts is seen by the
  // next run all the same. Only where they are volumes, on metal.
  bool apart = false;
  absl::Duration stop_grace = absl::Seconds(20);  // SIGTERM, then SIGKILL to this process alone
};

enum class ServiceState { kStarting, kRunning, kBackingOff, kStopping, kStopped, kFailed };
absl::string_view ToString(ServiceState state);

struct ServiceStatus {
  std::string name;
  std::string tag;
  ServiceState state = ServiceState::kStopped;
  int pid = 0;
  int64_t starts = 0;
  bool ready = false;   // READY=1 seen since the last start
  bool exited = false;  // exit_code and signal are of the last exit
  int exit_code = 0;
  int signal = 0;
  absl::Duration started_at;  // boot clock
  absl::Duration exited_at;
  bool cgroup_missing = false;  // a cgroup was asked for and could not be had
};

struct ServiceEvent {
  enum class Kind {
    kExit,
    kReady,
    kStarted,
    kLost
  };  // kLost: older events fell out of the ring of 64
  uint64_t seq = 0;
  Kind kind = Kind::kExit;
  std::string name;
  int pid = 0;
  int exit_code = 0;
  int signal = 0;
};

// How noded-init found the machine when it booted it as PID 1.
struct BootStatus {
  enum class Entry { kUncounted, kTrial, kGood, kStale };
  bool owns_kernel = false;    // false: a container
  bool state_missing = false;  // STATE is not there: nothing would be kept
  bool data_missing = false;
  bool installer = false;     // an install medium: STATE and DATA are memory, nothing is kept
  bool state_locked = false;  // encrypted, and no key opens it; it is missing then too
  bool data_is_new = false;   // made at this boot
  std::string state_reason;   // for a person; "" when all is well
  std::string data_reason;
  Entry entry = Entry::kUncounted;  // of the boot loader: on trial, or called good
  std::string entry_reason;
  bool watchdog = false;  // a device resets the machine when noded stops feeding
  bool clock_raised = false;
  int failed_steps = 0;
};

class Supervisor {
 public:
  virtual ~Supervisor() = default;
  // AlreadyExists when a service of that name runs; a stopped one is replaced.
  virtual absl::Status Start(ServiceSpec spec) = 0;
  // Starts the ladder and returns; the exit comes as an event. NotFound. Restarting stops with it.
  virtual absl::Status Stop(absl::string_view name) = 0;
  virtual absl::StatusOr<std::vector<ServiceStatus>> List() = 0;
  // The last `max_bytes` of what the service wrote to stdout and stderr (ring of 256 KiB). `end`:
  // at which offset of all that it ever wrote they end, for following. It may write on meanwhile,
  // so that asking OutputOffset afterwards is asking about something else.
  virtual absl::StatusOr<std::string> Output(absl::string_view name, size_t max_bytes = 256 << 10,
                                             uint64_t* end = nullptr) = 0;
  // Bytes ever written by the service.
  virtual absl::StatusOr<uint64_t> OutputOffset(absl::string_view name) = 0;
  // All events after `after_seq`, oldest first.
  virtual absl::StatusOr<std::vector<ServiceEvent>> Events(uint64_t after_seq) = 0;
  // Readable when events wait; for the loop's epoll. -1: `on_event` alone is used (fakes).
  virtual int event_fd() const = 0;
  virtual void DrainWakeups() = 0;
  virtual absl::Status Feed() = 0;  // proof of life

  // Below PID 1 alone; Unimplemented "not-pid1" elsewhere.
  virtual absl::StatusOr<BootStatus> Boot() = 0;
  // This boot is good: the boot loader may keep it. May be repeated. FailedPrecondition
  // "entry-not-blessed": what was counted is not what runs, or the ESP could not be written.
  virtual absl::Status Healthy() = 0;
  // How long the watchdog of the machine waits for noded-init, which pets it while noded feeds;
  // what the device makes of it comes back. NotFound "no-watchdog".
  virtual absl::StatusOr<absl::Duration> SetWatchdog(absl::Duration timeout) = 0;
  // Begins the orderly end of the machine and returns: services, noded, everything.
  virtual absl::Status EndMachine(bool reboot) = 0;
};

// Takes over the channel that noded-init left in descriptor `fd`; says HELLO.
absl::StatusOr<std::unique_ptr<Supervisor>> ConnectSupervisor(UniqueFd fd);

}  // namespace basalt::host
