// The boot, from the first instruction of PID 1 to noded's start: a straight list of steps. None of
// them is fatal: a node that answers can be mended, one that stopped at a step cannot. Each says in
// one line how it went.
#pragma once

#include "server/init/boot/machine.h"
#include "server/init/boot/volume.h"
#include "server/init/boot/watchdog.h"

namespace basalt::init {

struct BootReport {
  bool owns_kernel = false;
  bool clock_raised = false;
  bool installer = false;  // STATE and DATA are memory
  int failed_steps = 0;
  VolumeReport state;
  VolumeReport data;
};

// `watchdog` is opened on the way, as early as there are drivers for it.
BootReport Boot(Machine& machine, Watchdog& watchdog);

}  // namespace basalt::init
