// The accepted documents: state/generations/E-G-DIGEST, one file each:
//
//   "BGEN1\n" | sha256(payload), 32 bytes | payload (stored.StoredGeneration)
//
// Epoch and generation stand in the name, so that the floor survives a damaged content. Load and
// Read are thread-safe (they only read), the rest is for the loop thread.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/state.pb.h"
#include "server/host/vfs.h"

namespace basalt::engine {

class GenerationStore {
 public:
  struct Name {
    int64_t epoch = 0;
    int64_t generation = 0;
    std::string digest;  // lower-hex
    bool operator==(const Name&) const = default;
    auto operator<=>(const Name&) const = default;
  };

  GenerationStore(host::Vfs& vfs, std::string dir) : vfs_(&vfs), dir_(std::move(dir)) {}

  // Makes the directory, removes what a cut left behind. 0 writes when there is nothing to do.
  absl::Status Open();
  // Oldest first. Files whose name is not one of ours are left alone.
  std::vector<Name> Names() const;
  // 2 fsyncs. On an error nothing of it is left that a later start would count.
  absl::Status Put(const stored::StoredGeneration& generation);
  // DataLoss/"generation-damaged" when the checksum or the digest of the document is not that of
  // the name; NotFound.
  absl::StatusOr<stored::StoredGeneration> Load(const Name& name) const;
  absl::StatusOr<stored::StoredGeneration> Load(const std::string& digest) const;
  // All but the `count` highest and those in `keep` (digests). No fsync.
  void Prune(size_t count, const std::vector<std::string>& keep);
  absl::Status RemoveAll();  // 1 fsync

 private:
  std::string Path(const Name& name) const;
  host::Vfs* vfs_;
  std::string dir_;
};

}  // namespace basalt::engine
