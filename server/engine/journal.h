// The append-only journal of applies: state/journal. Each record is
//
//   "BJR1" | length, u32 little-endian | first 8 bytes of sha256(payload) | payload (stored.Record)
//
// so that a torn tail, a flipped byte or a hole of zeros is found. Loop thread only.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/engine/state.pb.h"
#include "server/host/vfs.h"

namespace basalt::engine {

class Journal {
 public:
  // What reading found.
  struct Report {
    bool missing = false;        // there was none
    uint64_t torn_bytes = 0;     // dropped at the end: a write that a cut interrupted
    uint64_t damaged_bytes = 0;  // skipped before a good record: the disk or somebody changed it
    int records = 0;
    absl::Status mended;  // why the file could not be: it is degraded() from the start then
  };

  // Reads, folds, drops a torn tail. With damage the whole is rewritten from what is known. Makes
  // the file when it is missing. Errors: those of Vfs when it can be neither read nor made.
  static absl::StatusOr<Journal> Open(host::Vfs& vfs, std::string path);

  const stored::Ledger& ledger() const { return ledger_; }
  const Report& report() const { return report_; }

  // Appends, with an fsync when `sync`, then folds. On an error the ledger is as before. After a
  // failed fsync (DataLoss) the file cannot be believed any more and nothing more is appended:
  // FailedPrecondition "state-degraded" until the next Open.
  absl::Status Write(const stored::Record& record, bool sync);
  bool degraded() const { return degraded_; }

  // Replaces the file by one snapshot once it has grown past kCompactBytes. 2 fsyncs, rarely.
  absl::Status CompactIfLarge();

  static constexpr uint64_t kCompactBytes = 256 << 10;

 private:
  Journal(host::Vfs& vfs, std::string path) : vfs_(&vfs), path_(std::move(path)) {}
  absl::Status Rewrite();

  host::Vfs* vfs_;
  std::string path_;
  stored::Ledger ledger_;
  Report report_;
  uint64_t size_ = 0;
  bool degraded_ = false;
};

// For tests and tools: the bytes of one record.
std::string EncodeRecord(const stored::Record& record);

}  // namespace basalt::engine
