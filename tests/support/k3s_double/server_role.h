// `k3s server`, doubled: certificates, tokens, the supervisor's and the apiserver's endpoints that
// a node needs, and its own Node.
#pragma once

#include "tests/support/k3s_double/settings.h"

namespace basalt::k3s_double {

[[noreturn]] void RunServer(const Settings& settings, const Faults& faults);

}  // namespace basalt::k3s_double
