// The parts of the controller that reach outside, so that tests replace them. MakeK3sController of
// k3s_controller.h uses the real ones.
#pragma once

#include <memory>

#include "server/artifacts/artifact_store.h"
#include "server/k3s/k3s_controller.h"
#include "server/k3s/node_files.h"
#include "server/k3s/node_probe.h"
#include "server/k3s/release_check.h"
#include "server/k3s/rule_sweep.h"

namespace basalt::k3s {

struct K3sParts {
  std::unique_ptr<artifacts::ArtifactStore> store;
  std::shared_ptr<NodeProbe> probe;
  std::shared_ptr<NodeFiles> files;
  std::unique_ptr<RuleSweep> rules;
  std::unique_ptr<ReleaseCheck> release;  // uses the store
};

std::unique_ptr<K3sController> MakeK3sController(const K3sDeps& deps, K3sParts parts);

}  // namespace basalt::k3s
