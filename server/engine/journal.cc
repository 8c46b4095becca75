#include "server/engine/journal.h"

#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/string_view.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "server/engine/ledger.h"

namespace basalt::engine {
namespace {

constexpr absl::string_view kMagic = "BJR1";
constexpr size_t kSumBytes = 8;
constexpr size_t kHeader = 4 + 4 + kSumBytes;
constexpr uint32_t kMaxPayload = 4 << 20;

std::string Sum(absl::string_view payload) {
  Digest digest = Sha256(payload);
  return std::string(reinterpret_cast<const char*>(digest.bytes.data()), kSumBytes);
}

// The good record at the front of `data`, and its length.
std::optional<std::pair<stored::Record, size_t>> ReadRecord(absl::string_view data) {
  if (data.size() < kHeader || data.substr(0, 4) != kMagic) return std::nullopt;
  uint32_t length = 0;
  for (int i = 3; i >= 0; --i) {
    length = (length << 8) | static_cast<unsigned char>(data[4 + static_cast<size_t>(i)]);
  }
  if (length > kMaxPayload || data.size() - kHeader < length) return std::nullopt;
  absl::string_view payload = data.substr(kHeader, length);
  if (data.substr(8, kSumBytes) != Sum(payload)) return std::nullopt;
  stored::Record record;
  if (!record.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return std::nullopt;
  return std::make_pair(std::move(record), kHeader + length);
}

}  // namespace

std::string EncodeRecord(const stored::Record& record) {
  std::string payload = record.SerializeAsString();
  std::string out(kMagic);
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(payload.size() >> (8 * i)));
  out += Sum(payload);
  return out + payload;
}

absl::StatusOr<Journal> Journal::Open(host::Vfs& vfs, std::string path) {
  Journal journal(vfs, std::move(path));
  absl::StatusOr<std::string> bytes = vfs.Read(journal.path_);
  if (absl::IsNotFound(bytes.status())) {
    journal.report_.missing = true;
    // Made now, so that the first apply costs what every apply costs.
    if (absl::Status status = vfs.Replace(journal.path_, ""); !status.ok()) return status;
    return journal;
  }
  if (!bytes.ok()) return bytes.status();

  absl::string_view rest = *bytes;
  uint64_t good_end = 0, offset = 0, skipped = 0;
  while (!rest.empty()) {
    if (auto record = ReadRecord(rest)) {
      Fold(journal.ledger_, record->first);
      ++journal.report_.records;
      journal.report_.damaged_bytes += skipped;
      skipped = 0;
      offset += record->second;
      good_end = offset;
      rest.remove_prefix(record->second);
      continue;
    }
    // Go on at the next thing that could be a record; what lies between is lost.
    size_t next = rest.find(kMagic, 1);
    size_t step = next == absl::string_view::npos ? rest.size() : next;
    skipped += step;
    offset += step;
    rest.remove_prefix(step);
  }
  journal.report_.torn_bytes = skipped;
  journal.size_ = good_end;
  absl::Status mended;
  if (journal.report_.damaged_bytes > 0) {
    mended = journal.Rewrite();
  } else if (skipped > 0) {
    mended = vfs.Truncate(journal.path_, good_end);
  }
  // A disk that turned read-only after a crash: what is known can still be run, and nothing may be
  // appended behind what is torn.
  if (!mended.ok()) journal.degraded_ = true;
  journal.report_.mended = mended;
  return journal;
}

absl::Status Journal::Write(const stored::Record& record, bool sync) {
  if (degraded_) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "state-degraded",
                      "the node's disk failed to keep what it was given",
                      "check the disk; a restart of noded reads what is there");
  }
  std::string bytes = EncodeRecord(record);
  absl::Status status = sync ? vfs_->AppendSync(path_, bytes) : vfs_->Append(path_, bytes);
  if (!status.ok()) {
    degraded_ = absl::IsDataLoss(status);
    return status;
  }
  size_ += bytes.size();
  Fold(ledger_, record);
  return absl::OkStatus();
}

absl::Status Journal::CompactIfLarge() {
  if (size_ < kCompactBytes || degraded_) return absl::OkStatus();
  return Rewrite();
}

absl::Status Journal::Rewrite() {
  stored::Record record;
  *record.mutable_snapshot() = ledger_;
  std::string bytes = EncodeRecord(record);
  absl::Status status = vfs_->Replace(path_, bytes);
  if (status.ok()) size_ = bytes.size();
  degraded_ = absl::IsDataLoss(status);
  return status;
}

}  // namespace basalt::engine
