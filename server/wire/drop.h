// A program that speaks to strangers has no rights: what it was started with as root is in
// descriptors by now.
#pragma once

#include "absl/status/status.h"

namespace basalt::wire {

// User and group nobody, no capability, none to come, no core dump. OK for a process that is not
// root: it has no rights to give up.
absl::Status DropRights();

inline constexpr unsigned kNobody = 65534;

}  // namespace basalt::wire
