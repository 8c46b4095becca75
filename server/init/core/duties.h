// What noded-init does beside supervising when it is PID 1 of a machine; server/init/boot has it.
// In the sandbox there is none of it.
#pragma once

#include <cstdint>

#include "server/init/protocol.h"

namespace basalt::init {

class Duties {
 public:
  // noded says that this boot is good. 0 or errno; may be repeated.
  virtual int Healthy() = 0;
  // How long the watchdog device waits; what it really does comes back. 0 or errno.
  virtual int SetWatchdog(int64_t* timeout_ns) = 0;
  virtual void Tell(BootReply* reply) const = 0;
  // `sign_ns`: when noded last said something, 0 never yet. nullptr, or why the machine has to
  // restart now.
  virtual const char* OnTime(int64_t sign_ns) = 0;
  virtual int64_t NextDeadline(int64_t sign_ns) const = 0;

 protected:
  ~Duties() = default;
};

}  // namespace basalt::init
