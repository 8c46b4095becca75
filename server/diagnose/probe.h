// One probe, in noded-wire: resolve, choose an address that may be gone to, connect, shake hands,
// fetch. Blocks.
#pragma once

#include "server/diagnose/probe_result.h"

namespace basalt::diagnose {

ProbeResult RunProbe(const ProbeTask& task);

// The program: gives up its rights, probes, writes the result to kResultFd. Its exit code.
int ProbeMain(const std::vector<std::string>& arguments);

}  // namespace basalt::diagnose
