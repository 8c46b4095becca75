// What k3s-killall does, for one node: ends what runs from its data directory with everything that
// came of it, and unmounts what is mounted below. Never touches another node on the same machine:
// processes are found by the file they execute, mounts by where they are. Blocking, some seconds.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace basalt::k3s {

// `owns_namespaces`: the mount and network namespace that this runs in are this node's alone, so
// what K3s keeps outside its data directory goes too: /run/k3s, pods and plugins of the kubelet,
// CNI's leases and network namespaces, its links. Unavailable when something did not go away.
absl::Status FullStop(const std::string& data_dir, bool owns_namespaces);

// The tree that this program of K3s's was extracted to, ".../data/HASH"; "" when it is none of
// them.
std::string ExtractionTreeOf(const std::string& program);

}  // namespace basalt::k3s
