// Machine configs for tests of the network controller: a section `network`, as a person writes it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/validate/validate.h"

namespace basalt::testing {

// `network`: the lines below `network:`, not indented.
inline v1::MachineConfig NetworkConfig(const std::string& network) {
  absl::StatusOr<v1::MachineConfig> config = validate::Load(
      absl::StrCat("apiVersion: basalt/v1\nkind: MachineConfig\nmetadata:\n  cluster: home\n"
                   "  name: n1\nnetwork:\n  ",
                   absl::StrReplaceAll(network, {{"\n", "\n  "}}), "\n"),
      "test.yaml", validate::Stage::kSource);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? schema::Resolve(*config) : v1::MachineConfig();
}

}  // namespace basalt::testing
