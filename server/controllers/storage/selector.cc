#include "server/controllers/storage/selector.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "machineconfig/format/quantity.h"

namespace basalt::storage {
namespace {

// `*` stands for any text. Only the last star is ever gone back to: what was matched before it
// matches still, so the time is at most the product of the lengths.
bool Glob(absl::string_view pattern, absl::string_view text) {
  size_t p = 0, t = 0, star = absl::string_view::npos, after = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      after = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      t = ++after;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

absl::string_view TypeName(host::DiskType type) {
  switch (type) {
    case host::DiskType::kNvme:
      return "nvme";
    case host::DiskType::kSsd:
      return "ssd";
    case host::DiskType::kHdd:
      return "hdd";
    case host::DiskType::kUsb:
      return "usb";
    case host::DiskType::kSd:
      return "sd";
    case host::DiskType::kEmmc:
      return "emmc";
    case host::DiskType::kVirtio:
      return "virtio";
    case host::DiskType::kOther:
      break;
  }
  return "";
}

std::string SizeText(uint64_t bytes) {
  constexpr uint64_t kMebibyte = 1 << 20;
  if (bytes >= 1024 * kMebibyte && bytes % (1024 * kMebibyte) == 0) {
    return absl::StrCat(bytes / 1024 / kMebibyte, " GiB");
  }
  if (bytes >= 100 * 1024 * kMebibyte) return absl::StrCat(bytes / 1024 / kMebibyte, " GiB");
  return absl::StrCat(bytes / kMebibyte, " MiB");
}

bool Matches(const v1::DiskSelector& selector, const host::BlockDisk& disk) {
  auto is_id = [&](const std::string& id) {
    return std::find(disk.ids.begin(), disk.ids.end(), id) != disk.ids.end();
  };
  if (selector.has_id() && !is_id(selector.id())) return false;
  if (selector.has_serial() && selector.serial() != disk.serial) return false;
  if (selector.has_wwn() && !absl::EqualsIgnoreCase(selector.wwn(), disk.wwn)) return false;
  if (selector.has_model() && !Glob(selector.model(), disk.model)) return false;
  if (selector.has_path() && selector.path() != disk.device) return false;
  if (selector.has_type()) {
    static_assert(static_cast<int>(host::DiskType::kVirtio) == v1::DISK_TYPE_VIRTIO);
    if (static_cast<int>(disk.type) != static_cast<int>(selector.type())) return false;
  }
  const auto least = format::ParseQuantity(selector.min_size());
  const auto most = format::ParseQuantity(selector.max_size());
  if (selector.has_min_size() && (!least.ok() || disk.size < static_cast<uint64_t>(*least))) {
    return false;
  }
  return !selector.has_max_size() || (most.ok() && disk.size <= static_cast<uint64_t>(*most));
}

std::string Describe(const host::BlockDisk& disk) {
  std::vector<std::string> about;
  if (!TypeName(disk.type).empty()) about.emplace_back(TypeName(disk.type));
  about.push_back(SizeText(disk.size));
  for (const std::string& text : {disk.model, disk.serial}) {
    if (!text.empty()) about.push_back(text);
  }
  return absl::StrCat(disk.device, " (", absl::StrJoin(about, ", "), ")");
}

absl::StatusOr<host::BlockDisk> SelectDisk(const v1::DiskSelector& selector,
                                           const std::vector<host::BlockDisk>& disks,
                                           const std::string& field) {
  std::vector<const host::BlockDisk*> found;
  std::vector<std::string> there;
  for (const host::BlockDisk& disk : disks) {
    if (Matches(selector, disk)) found.push_back(&disk);
  }
  if (found.size() == 1) return *found[0];
  for (const host::BlockDisk& disk : disks) {
    if (found.empty() || Matches(selector, disk)) there.push_back(Describe(disk));
  }
  const std::string list = there.empty() ? "none" : absl::StrJoin(there, "; ");
  if (found.empty()) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "disk-not-found",
                      absl::StrCat(field, ": no disk of this machine is like that"),
                      absl::StrCat("there are: ", list));
  }
  return api::Coded(absl::StatusCode::kFailedPrecondition, "disk-ambiguous",
                    absl::StrCat(field, ": ", found.size(), " disks are like that: ", list),
                    "say more, best the serial number or the id");
}

}  // namespace basalt::storage
