// Puts this process into a network and mount namespace of its own, with /sys and /proc/sys of it.
// Everything in it goes with the process.
#pragma once

#include <string>

namespace basalt::testing {

// "" when this process is in namespaces of its own now, else why not. Once for a process.
std::string EnterNetworkNamespace();

// What a shell command prints; "failed: ..." when it does not end with 0.
std::string Shell(const std::string& command);

}  // namespace basalt::testing
