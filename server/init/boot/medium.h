// An install medium: a disc or a stick that starts a node only so that it puts itself onto a disk.
// It has no STATE and no DATA, and says what it is in a file of its ESP; both are memory then, and
// with them the identity: the next start of the medium is another node.
//
// The file alone is not enough: a disk with a STATE is a node, whatever its ESP says.
#pragma once

#include "server/init/boot/machine.h"
#include "server/init/boot/volume.h"

namespace basalt::init {

inline constexpr char kInstallerMark[] = "/esp/basalt/installer";

bool OnInstallMedium(Machine& machine);

// A volume in memory, mounted on `target`; `options` those of tmpfs, `flags` as of OpenVolume.
VolumeReport MemoryVolume(Machine& machine, const char* name, const char* target,
                          const char* options, unsigned long flags);

}  // namespace basalt::init
