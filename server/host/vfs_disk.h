// The primitive file operations below Vfs: one system call each. The order in which Vfs calls them
// is what makes a replace or an append durable, so the real disk and the fake one with memory
// (tests/support/vfs) share that order and differ only here. Paths are checked by Vfs before they
// arrive. Thread-safety as Vfs. Errors as Vfs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/host/vfs.h"

namespace basalt::host {

class Disk {
 public:
  enum class Open { kCreateNew, kAppend };  // kCreateNew: AlreadyExists when it is there

  virtual ~Disk() = default;
  virtual absl::StatusOr<int> OpenFile(const std::string& path, Open how, uint32_t mode) = 0;
  virtual absl::Status Write(int file, absl::string_view data) = 0;  // at the end; all or an error
  virtual absl::Status SyncFile(int file) = 0;
  virtual absl::StatusOr<uint64_t> Size(int file) = 0;
  virtual absl::Status Resize(int file, uint64_t size) = 0;
  virtual void Close(int file) = 0;

  virtual absl::StatusOr<std::string> Read(const std::string& path, size_t max_bytes) = 0;
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  virtual absl::Status Unlink(const std::string& path) = 0;                         // NotFound
  virtual absl::Status MakeDir(const std::string& path, uint32_t mode) = 0;         // AlreadyExists
  virtual absl::Status SyncDir(const std::string& path) = 0;  // "" is the root
  virtual absl::StatusOr<std::vector<std::string>> List(const std::string& dir) = 0;
  virtual bool Exists(const std::string& path) = 0;
  virtual absl::StatusOr<uint64_t> FreeBytes(const std::string& dir) = 0;
  virtual std::string Absolute(const std::string& path) const = 0;
};

std::unique_ptr<Vfs> MakeVfs(std::unique_ptr<Disk> disk);

// Below an existing directory, every path opened with openat2(RESOLVE_BENEATH).
absl::StatusOr<std::unique_ptr<Disk>> OpenPosixDisk(const std::string& root);

}  // namespace basalt::host
