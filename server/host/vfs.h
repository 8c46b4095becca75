// Files of the node below one root, at the level we reason in: durable replace, append to a log,
// remove. Everything that must survive a power cut goes through here, so that a fake with memory
// can cut the power after any step (tests/fault). Paths are relative to the root, without "..", and
// opened beneath it (openat2 RESOLVE_BENEATH, O_NOFOLLOW): a symlink below the root leads nowhere
// else.
//
// Thread-safety: calls may come from several threads; two on the same path must be ordered by the
// caller. Errors: NotFound, ResourceExhausted (ENOSPC), FailedPrecondition (EROFS), DataLoss (EIO
// at fsync: the file must be treated as not durable; never retried), InvalidArgument (a path that
// leaves the root).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::host {

// How the names of temporary files begin. A power cut may leave one behind: List shows it, and who
// owns the directory removes it at start.
inline constexpr char kTempPrefix[] = ".tmp-";

class Vfs {
 public:
  virtual ~Vfs() = default;

  virtual absl::StatusOr<std::string> Read(absl::string_view path, size_t max_bytes = 64 << 20) = 0;
  // Temporary file, write, fsync, rename, fsync of the directory: 2 fsyncs. After a cut the old or
  // the new content, never another. A failure leaves no temporary file.
  virtual absl::Status Replace(absl::string_view path, absl::string_view data,
                               uint32_t mode = 0600) = 0;
  // The same without the fsyncs: for what is made anew at each start (run/).
  virtual absl::Status ReplaceVolatile(absl::string_view path, absl::string_view data,
                                       uint32_t mode = 0600) = 0;
  // Appends and fsyncs; the file is made if it is absent (its directory is fsynced then). After a
  // cut a prefix of `data` may be there: records carry their own checksum. On an error the file is
  // cut back.
  virtual absl::Status AppendSync(absl::string_view path, absl::string_view data) = 0;
  // The same without the fsync: survives the death of the process, not a power cut. A later
  // AppendSync makes it durable too.
  virtual absl::Status Append(absl::string_view path, absl::string_view data) = 0;
  virtual absl::Status Truncate(absl::string_view path, uint64_t size) = 0;  // and fsyncs
  virtual absl::Status Remove(absl::string_view path) = 0;  // no fsync; OK when it is absent
  virtual absl::Status SyncDir(absl::string_view path) = 0;
  // Each directory that it makes is durable in its parent; no fsync when all are there.
  virtual absl::Status MakeDirs(absl::string_view path, uint32_t mode = 0700) = 0;
  virtual absl::StatusOr<std::vector<std::string>> List(
      absl::string_view dir) = 0;  // names, sorted
  virtual bool Exists(absl::string_view path) = 0;
  // On the file system that `dir` lies on: below one root there may be several.
  virtual absl::StatusOr<uint64_t> FreeBytes(absl::string_view dir) = 0;
  // Absolute path, for what must be handed to another process (K3s's --config).
  virtual std::string Absolute(absl::string_view path) const = 0;
};

// The real one, below an existing directory.
absl::StatusOr<std::unique_ptr<Vfs>> OpenVfs(const std::string& root);

}  // namespace basalt::host
