// Files of the owner: keys, tokens, the inventory. Written whole or not at all. Errors keep the
// text of errno; reasons: no-such-file, file-exists, file-too-large, file-error. Thread-safe.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::client {

// More than a document may have, so that the document's own check can say what is wrong with it.
inline constexpr size_t kMaxFile = 4 << 20;

// "-" is standard input.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max = kMaxFile);

// Temporary file beside it, fsync, rename, fsync of the directory: `path` holds the old bytes or
// the new ones. The mode is set before the first byte is written.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view data, mode_t mode);

// The same for many: each holds the old bytes or the new ones, and all are durable when it returns.
// The file systems are synchronised as a whole and not file by file, which for a fleet of files is
// the difference between a second and minutes. Their directories exist.
struct FileToWrite {
  std::string path;
  std::string data;
};
absl::Status WriteFilesAtomically(const std::vector<FileToWrite>& files, mode_t mode);

// New bytes for a file that a person keeps: through a symbolic link, and with the mode it has.
absl::Status EditFileAtomically(const std::string& path, absl::string_view data);

// Refuses what exists (file-exists), symbolic links too.
absl::Status WriteNewFile(const std::string& path, absl::string_view data, mode_t mode);

// With its parents; what exists is left as it is.
absl::Status MakeDirectory(const std::string& path, mode_t mode);

// What does not exist is removed already.
absl::Status RemoveFile(const std::string& path);

bool Exists(const std::string& path);
bool IsDirectory(const std::string& path);
// True also when it does not exist.
bool IsEmptyDirectory(const std::string& path);
// Names of regular files, sorted.
absl::StatusOr<std::vector<std::string>> ListFiles(const std::string& directory);
// `relative` seen from `directory`; absolute paths stay.
std::string JoinPath(absl::string_view directory, absl::string_view relative);
// `path` as another directory must write it; unchanged when the working directory is gone.
std::string AbsolutePath(const std::string& path);
std::string DirectoryOf(const std::string& path);

}  // namespace basalt::client
