// Content-addressed artifacts: what a config pins by sha256 is in data/store, verified, or is
// fetched by noded-fetch, a process of its own under the supervisor. All calls and callbacks on the
// loop thread; hashing happens on the pool. One Ensure at a time. A store is one directory: K3s has
// one, the images of the node have others.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
#include "server/artifacts/store_files.h"
#include "server/engine/controller.h"
#include "server/engine/executor.h"
#include "server/host/fd.h"
#include "server/host/supervisor.h"

namespace basalt::artifacts {

class ArtifactStore {
 public:
  using OpenDone = std::function<void(absl::StatusOr<std::shared_ptr<host::UniqueFd>>)>;
  virtual ~ArtifactStore() = default;

  // OK when the artifact is there with the right bytes. A damaged one is removed and fetched again.
  // `proxies`: environment of the download. DataLoss "artifact-digest-mismatch"; Unavailable
  // "artifact-download-failed", "artifact-stalled", "artifact-redirect-loop"; FailedPrecondition
  // "artifact-too-large"; ResourceExhausted "disk-full"; Cancelled.
  virtual void Ensure(const std::string& what, const v1::Artifact& artifact,
                      const std::vector<std::string>& proxies, engine::OnProgress progress,
                      engine::Done done) = 0;
  // Ends the Ensure under way with Cancelled; what was downloaded stays for the next.
  virtual void Cancel() = 0;
  // The verified bytes, as a descriptor: hashed now unless this process hashed the very same file
  // before. DataLoss "artifact-damaged".
  virtual void Open(const std::string& sha256, OpenDone done) = 0;
  virtual std::string Path(const std::string& sha256) const = 0;
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
  virtual void KeepOnly(std::set<std::string> digests) = 0;
};

struct StoreOptions {
  std::string dir;  // absolute; exists before the first Ensure
  std::string fetch_program;
  // Of the services that download, at most 20 bytes: no other store has one that begins like it.
  std::string services = "fetch-";
  Digester digest_of = HashFd;
  int64_t most_bytes = int64_t{2} << 30;  // of an artifact whose size the config does not say
};
std::unique_ptr<ArtifactStore> MakeArtifactStore(engine::Executor& executor,
                                                 host::Supervisor& supervisor,
                                                 StoreOptions options);

}  // namespace basalt::artifacts
