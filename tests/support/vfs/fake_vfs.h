// A Vfs over a disk in memory that distinguishes durable from volatile content. Thread-safe as the
// real one (one lock). A cut is final until CutPower() is called: operations fail, nothing changes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/host/vfs.h"

namespace basalt::testing {

class MemoryDisk;

// The primitive operations, each one point at which the power may go.
enum class DiskOp { kCreate, kWrite, kSyncFile, kRename, kSyncDir, kUnlink, kResize, kMakeDir };

// What a cut leaves of that which was not fsynced. All are legal.
enum class CutMode {
  kDropAll,  // nothing
  kKeepAll,  // everything
  kSeeded,   // names: any prefix of a directory's changes; contents: old, new, a torn prefix, zeros
};

// Promises that the disk breaks, for mutation tests.
struct Lies {
  bool sync_file = false;  // fsync of a file does nothing
  bool sync_dir = false;   // fsync of a directory does nothing
  bool rename = false;     // rename copies into the target in place, without durability
  std::string only;        // what part of a path tells where; "" = everywhere
};

class FakeVfs : public host::Vfs {
 public:
  FakeVfs();
  ~FakeVfs() override;

  // --- faults
  // The power goes when `n` more primitive operations have been done (0: before the next).
  void CutAfter(int64_t n);
  bool cut() const;  // it has gone
  // What a reboot finds; ends a cut and forgets planned faults.
  void CutPower(CutMode mode = CutMode::kDropAll, uint64_t seed = 0);
  // The next operation of this kind fails with `status` and has no effect; once.
  void FailNext(DiskOp op, absl::Status status) { FailFrom(op, 0, std::move(status), false); }
  // The one after `skip` more of this kind; `forever`: and every later one.
  void FailFrom(DiskOp op, int64_t skip, absl::Status status, bool forever);
  // Every operation that writes fails from now on (a full disk, a read-only remount); OK ends it.
  void FailAllWrites(absl::Status status);
  void ClearFaults();
  void SetLies(Lies lies);
  void SetFreeBytes(uint64_t bytes);

  // --- observation
  struct Counters {
    int64_t operations = 0;  // primitive operations that change something
    int64_t fsyncs = 0;      // of files and directories
    int64_t bytes_written = 0;
  };
  Counters counters() const;
  uint64_t TotalBytes() const;  // of all files as they are now
  std::vector<std::string> AllFiles() const;
  // Writes behind the node's back, durably: bit rot, an operator, an attacker.
  void Corrupt(const std::string& path, const std::string& content);

  // --- Vfs
  absl::StatusOr<std::string> Read(absl::string_view path, size_t max_bytes = 64 << 20) override;
  absl::Status Replace(absl::string_view path, absl::string_view data,
                       uint32_t mode = 0600) override;
  absl::Status ReplaceVolatile(absl::string_view path, absl::string_view data,
                               uint32_t mode = 0600) override;
  absl::Status AppendSync(absl::string_view path, absl::string_view data) override;
  absl::Status Append(absl::string_view path, absl::string_view data) override;
  absl::Status Truncate(absl::string_view path, uint64_t size) override;
  absl::Status Remove(absl::string_view path) override;
  absl::Status SyncDir(absl::string_view path) override;
  absl::Status MakeDirs(absl::string_view path, uint32_t mode = 0700) override;
  absl::StatusOr<std::vector<std::string>> List(absl::string_view dir) override;
  bool Exists(absl::string_view path) override;
  absl::StatusOr<uint64_t> FreeBytes(absl::string_view dir) override;
  std::string Absolute(absl::string_view path) const override;

 private:
  MemoryDisk* disk_;  // owned by vfs_
  std::unique_ptr<host::Vfs> vfs_;
};

}  // namespace basalt::testing
