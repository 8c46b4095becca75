// The record of the image, on STATE: which attempt is under way, and the highest epoch. Two copies,
// each with a checksum: a damaged one is left for the other. It is written before what it tells of
// is done, so that a power cut in between is understood. Any thread, one at a time.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/host/vfs.h"
#include "server/update/record.pb.h"

namespace basalt::update {

inline constexpr char kRecordDir[] = "state/image";
inline constexpr char kRecord[] = "state/image/record";
inline constexpr char kRecordCopy[] = "state/image/record.copy";

class RecordFile {
 public:
  explicit RecordFile(host::Vfs& vfs) : vfs_(vfs) {}

  // The newest good copy; an empty one where there is none. `damaged` says whether a copy was there
  // and could not be used.
  stored::ImageRecord Read(bool* damaged) const;
  // Durable in both copies. The sequence is counted here.
  absl::Status Write(stored::ImageRecord& record);

 private:
  host::Vfs& vfs_;
};

// "BIR1", 32 bytes of sha256, the message.
std::string EncodeImageRecord(const stored::ImageRecord& record);
// False for anything else.
bool DecodeImageRecord(absl::string_view bytes, stored::ImageRecord* record);

}  // namespace basalt::update
