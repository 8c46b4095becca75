// The files of the artifact store: DIR/sha256-HEX (0555, verified), DIR/partial-HEX. Blocking, for
// the pool; thread-safe as far as two calls on one digest are ordered. Symlinks are never followed.
//
// What is executed or handed on is always the descriptor whose bytes were hashed. Between hashing
// and use the file's change time must not have moved: a write through another descriptor moves it.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/host/fd.h"

namespace basalt::artifacts {

// Identity of a file's content, as far as the kernel tells: what was hashed is what is there.
struct FileStamp {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  bool operator==(const FileStamp&) const = default;
};

struct VerifiedFile {
  host::UniqueFd fd;  // read-only, at the start
  FileStamp stamp;
};

// What a file is known by: the lower-hex sha256 of what `fd` holds, or of what that means.
using Digester = std::function<absl::StatusOr<std::string>(int fd)>;

// Lower-hex sha256 of everything `fd` holds, read with pread. Unavailable on a read error.
absl::StatusOr<std::string> HashFd(int fd);
FileStamp StampOf(int fd);

class StoreFiles {
 public:
  explicit StoreFiles(std::string dir, Digester digest_of = HashFd)
      : dir_(std::move(dir)), digest_of_(std::move(digest_of)) {}

  std::string Path(const std::string& sha256) const;
  bool Exists(const std::string& sha256) const;
  // NotFound; DataLoss "artifact-damaged" when the bytes are not those of the name.
  absl::StatusOr<VerifiedFile> OpenVerified(const std::string& sha256) const;
  // Opens without hashing, if the file is still the one of `stamp`. Aborted when it is not.
  absl::StatusOr<host::UniqueFd> OpenStamped(const std::string& sha256,
                                             const FileStamp& stamp) const;

  // For the download: read-write, made if absent. ResourceExhausted "disk-full".
  absl::StatusOr<host::UniqueFd> OpenPartial(const std::string& sha256) const;
  void RemovePartial(const std::string& sha256) const;
  // Hashes the partial file through `fd`, makes it durable and gives it its name. DataLoss
  // "artifact-digest-mismatch" names both digests and leaves nothing in the store.
  absl::Status Commit(const std::string& sha256, int fd) const;

  void Remove(const std::string& sha256) const;
  // Everything but `keep`; partial files too.
  void KeepOnly(const std::set<std::string>& keep) const;

 private:
  const std::string dir_;
  const Digester digest_of_;
};

}  // namespace basalt::artifacts
