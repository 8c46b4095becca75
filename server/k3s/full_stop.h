// What k3s-killall does, for one node: ends what runs from its data directory with everything that
// came of it, and unmounts what is mounted below. Never touches another node on the same machine:
// processes are found by the file they execute, mounts by where they are. Blocking, some seconds.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace basalt::k3s {

// `whole_machine`: K3s's places outside the data directory are this node's alone and are cleared
// too: /run/k3s, pods and plugins of the kubelet, its network links and namespaces. Unavailable
// when something did not go away.
absl::Status FullStop(const std::string& data_dir, bool whole_machine);

}  // namespace basalt::k3s
