// Kernel modules, from a list that the image's build put in load order.
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

inline constexpr char kModuleList[] = "/usr/lib/basalt/modules.list";

// Loads them in order; one that does not load is said and the next is tried: a driver of a device
// that is not there must not keep the others away. How many failed.
int LoadModules(Machine& machine, const char* list = kModuleList);

// The next line of text that is a path: not blank, not a comment. Moves *at behind it; nullptr at
// the end. Lines that are not absolute or longer than `size` are counted in *bad and left out.
const char* NextModule(const char* text, size_t length, size_t* at, char* path, size_t size,
                       int* bad);

}  // namespace basalt::init
