// The first network of a node that has no config yet: loopback, and every Ethernet link up. The
// kernel then makes link-local addresses, and others as routers advertise them.
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

// How many links could not be brought up. In a namespace loopback alone.
int BringLinksUp(Machine& machine);

}  // namespace basalt::init
