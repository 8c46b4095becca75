// What is mounted on every node, and which of it a container gets from its runtime instead.
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

// Mounts what the initramfs did not: first the kernel's own file systems and the volatile ones,
// later (kernel modules are there) those that a module brings. What is mounted stays as it is. How
// many failed; each is said.
int MountEarly(Machine& machine);
int MountLate(Machine& machine);

// Lets every controller that the kernel has reach the cgroups below the root: kubelet wants them
// all. Only where the kernel is ours.
int EnableControllers(Machine& machine);

// Mounts made later below / reach containers that ask for it, as kubelet wants.
int ShareMounts(Machine& machine);

}  // namespace basalt::init
