// A partition that is marked for its format may bring an order to destroy first what it holds
// (server/gpt/wipe_order.h): of a reset. It is done here, before anything mounts it, and in pieces
// between which the watchdog is petted: zeros over a large disk take hours.
//
// What was really done is left in /run/wiped/NAME for noded, one line: METHOD BYTES SECONDS. A disk
// that forgets nothing although it said that it would is overwritten with zeros instead: nothing of
// a wipe is left out in silence.
#pragma once

#include "server/gpt/wipe_order.h"
#include "server/init/boot/machine.h"

namespace basalt::init {

inline constexpr char kWipedDirectory[] = "/run/wiped";

// The order that lies at the end of a marked partition; kNone when there is none.
gpt::WipeMethod WipeOrderOf(Machine& machine, const char* device, uint64_t size);

// Does it, says how far it is, and takes the order away. 0, or an errno that was said: the order is
// still there, and the next boot tries again.
int Wipe(Machine& machine, const char* name, const char* device, uint64_t size,
         gpt::WipeMethod method);

}  // namespace basalt::init
