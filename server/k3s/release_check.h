// Is the artifact the release that k3s.version says? Asked of the program itself, before anything
// that runs is touched: a digest pins bytes, not what they are. On the loop thread.
#pragma once

#include <memory>
#include <string>

#include "server/artifacts/artifact_store.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/supervisor.h"

namespace basalt::k3s {

class ReleaseCheck {
 public:
  virtual ~ReleaseCheck() = default;
  // FailedPrecondition "wrong-k3s-release" (both are named), "k3s-not-runnable"; what Open of the
  // store says. An artifact that has passed once is not run again by this process.
  virtual void Check(const std::string& sha256, const std::string& version, engine::Done done) = 0;
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
};

// Outlived by `store`.
std::unique_ptr<ReleaseCheck> MakeReleaseCheck(engine::Executor& executor,
                                               host::Supervisor& supervisor,
                                               artifacts::ArtifactStore& store);

// The release in the first line of `k3s --version`: "k3s version v1.30.4+k3s1 (98262b5d)"; "" when
// there is none. The first word is the name that the program was started by.
std::string ReleaseIn(const std::string& output);

}  // namespace basalt::k3s
