// What the tests of this directory share: one owner a program, a node with K3s ready.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/support/process/node_process.h"

namespace basalt::testing {

const Owner& TheOwner();

// Generation 1 with K3s ready. Use with ASSERT_NO_FATAL_FAILURE.
void StartWithK3s(NodeProcess& node);

// A config whose label `value` is a live change, or whose environment variable restarts K3s.
NodeConfig WithLabel(int64_t generation, const std::string& value);
NodeConfig WithRestart(int64_t generation, const std::string& value);

}  // namespace basalt::testing
