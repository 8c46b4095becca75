// Places of the read-only root that are written to, and what a node starts from.
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

inline constexpr char kMachineIdFile[] = "/state/machine-id";
inline constexpr char kTrustSeed[] = "/run/trust.json";

// Binds them to the volumes that are there; those that the image does not have are left out. /etc's
// own files are links into /run/etc, which is made. How many failed.
int BindPlaces(Machine& machine, bool state, bool data);

// The name by which K3s and its containers know this installation: random, made once, on STATE.
int TakeMachineId(Machine& machine);

// The trust that the medium was written with, for a node that has stored none: copied from the ESP
// to kTrustSeed, so that noded needs no ESP. 0 also when there is a stored one.
int TakeTrust(Machine& machine);

}  // namespace basalt::init
