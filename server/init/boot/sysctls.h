// Sets the hardening baseline (baseline.h).
#pragma once

#include "server/init/boot/baseline.h"
#include "server/init/boot/machine.h"

namespace basalt::init {

// How many could not be set; those that this kernel does not have do not count.
int SetBaseline(Machine& machine);

}  // namespace basalt::init
