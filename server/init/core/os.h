// What the supervisor asks of the kernel, at the level it reasons in. Real: server/init/real_os.h.
// Fake with a stepped clock: tests/unit/server/init/fake_os.h. One thread. Results are errno
// values, negated where a number is also returned. Nothing here blocks, but for the wait of at most
// one second until a forked child has executed its program.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/init/protocol.h"

namespace basalt::init {

inline constexpr int kMaxPassedFds = 8;  // room for more than is allowed, so that it is seen

struct Packet {
  char data[kMaxPacket];
  size_t size = 0;
  bool truncated = false;  // bytes or descriptors were cut off
  int fds[kMaxPassedFds];
  int fd_count = 0;
};

// Descriptors of one service slot, kept across restarts: what a service left behind (containerd's
// shims) may still write to the pipe, and would die of SIGPIPE if it were replaced.
struct ServiceIo {
  int out_read = -1;          // pipe, not blocking
  int out_write = -1;         // stdout and stderr of the service
  int ring = -1;              // memfd of kRingSize
  int ring_reader = -1;       // the same, read-only, to be handed out
  int notify = -1;            // datagram socket
  char notify_name[32] = {};  // value of NOTIFY_SOCKET
};

struct SpawnRequest {
  int exec_fd;
  const char* const* argv;
  const char* const* envp;
  int output_fd;
  const int* fds;  // become 3, 4, ...
  int fd_count;
  const char* cgroup;  // "" = none
  uint64_t nofile;
  bool apart;  // from STATE and ESP
};

struct Exited {
  int pid;
  int code;    // when signal is 0
  int signal;  // that ended it
};

class Os {
 public:
  static constexpr int64_t kNever = INT64_MAX;

  virtual int64_t Now() = 0;  // CLOCK_BOOTTIME in ns: suspends count, wall clock jumps do not
  // The pid, or -errno of fork or exec. `cgroup_missing` is set when it runs outside its cgroup.
  virtual int Spawn(const SpawnRequest& request, bool* cgroup_missing) = 0;
  // Starts noded with a new channel; our end goes to `channel`. The pid, or -errno.
  virtual int SpawnNoded(int* channel) = 0;
  // Only ever to children that are not yet reaped, so a pid cannot have been reused.
  virtual int Kill(int pid, int signal) = 0;
  // One ended child, ours or adopted; false when there is none.
  virtual bool Reap(Exited* exited) = 0;
  virtual int OpenIo(ServiceIo* io) = 0;
  virtual int OpenNotify(ServiceIo* io) = 0;
  virtual long Read(int fd, void* data, size_t size) = 0;
  virtual long WriteAt(int fd, const void* data, size_t size, uint64_t offset) = 0;
  // One datagram and the pid that the kernel says sent it. Length or -errno.
  virtual long ReceiveNotify(int fd, char* data, size_t size, int* pid) = 0;
  // Bytes; 0 when the other end is gone; -errno (-EAGAIN: nothing waits).
  virtual long Receive(int channel, Packet* packet) = 0;
  virtual int Send(int channel, const void* data, size_t size, int fd) = 0;
  virtual int Watch(int fd, uint64_t token) = 0;  // until Close
  virtual void Close(int fd) = 0;                 // -1 is allowed
  virtual void Say(const char* text) = 0;         // one line for a person, never blocks

 protected:
  ~Os() = default;
};

}  // namespace basalt::init
