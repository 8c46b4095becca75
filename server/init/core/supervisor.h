// The services of noded-init: a table of 32 slots, a ring of 64 events, and this machine for each:
//
//   state        on                          to
//   ---------    -------------------------   -----------------------------------------------
//   (none)       START                       starting if `notify`, else running
//   starting     READY=1 of the main pid     running
//   starting,    exit, restart.always        backing-off; delay doubles on rapid exits
//   running      exit 0, one run             stopped
//                exit else, one run          failed
//                STOP                        stopping: SIGTERM now, SIGKILL after stop_grace
//   backing-off  the delay is over           starting or running; exec failed: backing-off
//                STOP                        stopped, at once and without an event
//   stopping     exit                        stopped
//   stopped,     START of that name          starting or running, output goes on in its ring
//   failed       the table is full           (none), the one that ended first
//
// Signals go to the main process alone: pods outlive a restart of K3s, so no process group and no
// cgroup is ever killed here. Nothing allocates; times are CLOCK_BOOTTIME. One thread. Results are
// errno values.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/init/core/os.h"
#include "server/init/protocol.h"

namespace basalt::init {

struct Service {
  bool used = false;
  State state = State::kStopped;
  bool ready = false;
  bool exited = false;
  bool cgroup_missing = false;
  bool killed = false;  // SIGKILL was sent in this stop
  StartBody spec = {};
  size_t strings_size = 0;
  char strings[kMaxStrings];  // not initialised: memory that no service uses is never touched
  int exec_fd = -1;
  int fds[kMaxExtraFds] = {-1, -1, -1, -1};
  ServiceIo io;
  int pid = 0;
  int exit_code = 0;
  int signal = 0;
  int64_t starts = 0;
  int64_t started_ns = 0;
  int64_t exited_ns = 0;
  int64_t next_delay_ns = 0;
  int64_t deadline_ns = Os::kNever;  // of the restart, or of SIGKILL
  uint64_t written = 0;
};

class Supervisor {
 public:
  // Watch tokens: which descriptor of which slot is readable.
  static constexpr uint64_t kOutputToken = 1ull << 32;
  static constexpr uint64_t kNotifyToken = 2ull << 32;
  static constexpr int64_t kLongestNs = 366ll * 24 * 3600 * 1000000000;
  static constexpr int64_t kShortestRestartNs = 10000000;  // a delay of 0 would spin

  explicit Supervisor(Os& os) : os_(os) {}
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  struct Started {
    int pid = 0;
    bool exec_failed = false;
  };
  // `body` and `strings` are untrusted. Takes the descriptors, also when it fails. EINVAL:
  // something is out of bounds; EEXIST: runs; ENOSPC: 32 services run; ESHUTDOWN; what fork or exec
  // said.
  int Start(const StartBody& body, const char* strings, size_t strings_size, int exec_fd,
            const int* fds, int fd_count, Started* started);
  int Stop(const char* name);  // ENOENT
  size_t List(ServiceRecord out[kMaxServices]) const;
  // Drains what waits first, so that the answer holds all that was written before. ENOENT.
  int Output(const char* name, OutputReply* reply, int* ring_fd);
  // Events after `after_seq`, oldest first, led by one kLost if some fell out of the ring.
  size_t Events(uint64_t after_seq, EventRecord out[kMaxEvents + 1]) const;
  uint64_t last_seq() const { return last_seq_; }

  bool OnExit(const Exited& exited);  // false: not one of ours
  void OnReadable(uint64_t token);
  void OnTime();
  int64_t NextDeadline() const;

  // No START and no restart from here on; every service gets its stop ladder, capped at `limit_ns`.
  void BeginShutdown(int64_t limit_ns);
  void KillAll();  // the same without any grace
  int alive() const;

 private:
  Service* Find(const char* name);
  Service* FreeSlot();
  int Launch(Service& service);
  void BackOff(Service& service);
  void Terminate(Service& service, int64_t grace_ns);
  void SendKill(Service& service);
  void DrainOutput(Service& service);
  void DrainNotify(Service& service);
  void CloseProgram(Service& service);
  void Release(Service& service);
  void Record(EventKind kind, const Service& service, int pid);

  Os& os_;
  Service services_[kMaxServices];
  EventRecord events_[kMaxEvents] = {};  // event seq lies at seq % kMaxEvents
  uint64_t last_seq_ = 0;
  bool shutting_down_ = false;
  const char* argv_[kMaxArgs + 1];
  const char* envp_[kMaxEnv + 2];
  char notify_variable_[64] = {};
  char buffer_[64 << 10];
};

}  // namespace basalt::init
