#include "server/update/record.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "machineconfig/base/digest.h"

namespace basalt::update {
namespace {

constexpr absl::string_view kMagic = "BIR1";
constexpr size_t kMost = 64 << 10;

absl::string_view BytesOf(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

}  // namespace

std::string EncodeImageRecord(const stored::ImageRecord& record) {
  const std::string body = record.SerializeAsString();
  return absl::StrCat(kMagic, BytesOf(Sha256(body)), body);
}

bool DecodeImageRecord(absl::string_view bytes, stored::ImageRecord* record) {
  if (!absl::ConsumePrefix(&bytes, kMagic) || bytes.size() < sizeof(Digest::bytes)) return false;
  const absl::string_view body = bytes.substr(sizeof(Digest::bytes));
  return bytes.substr(0, sizeof(Digest::bytes)) == BytesOf(Sha256(body)) &&
         record->ParseFromArray(body.data(), static_cast<int>(body.size()));
}

stored::ImageRecord RecordFile::Read(bool* damaged) const {
  stored::ImageRecord best;
  *damaged = false;
  for (const char* path : {kRecord, kRecordCopy}) {
    absl::StatusOr<std::string> bytes = vfs_.Read(path, kMost);
    stored::ImageRecord found;
    if (bytes.ok() && DecodeImageRecord(*bytes, &found)) {
      if (found.sequence() >= best.sequence()) best = std::move(found);
    } else if (!absl::IsNotFound(bytes.status())) {
      *damaged = true;
    }
  }
  return best;
}

absl::Status RecordFile::Write(stored::ImageRecord& record) {
  if (absl::Status status = vfs_.MakeDirs(kRecordDir); !status.ok()) return status;
  record.set_sequence(record.sequence() + 1);
  const std::string bytes = EncodeImageRecord(record);
  for (const char* path : {kRecord, kRecordCopy}) {
    if (absl::Status status = vfs_.Replace(path, bytes); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace basalt::update
