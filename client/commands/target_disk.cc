#include "client/commands/target_disk.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"

namespace basalt::client {
namespace {

namespace fs = std::filesystem;

std::string Text(const std::string& path) {
  std::ifstream in(path);
  std::string text(1024, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return std::string(absl::StripAsciiWhitespace(text));
}

absl::Status NotADisk(const std::string& path, absl::string_view why) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "not-a-disk", absl::StrCat(path, " ", why),
                    "a whole disk, like /dev/sdb (`lsblk` lists them), or a file");
}

// The disk itself and its partitions, and what lies upon them.
void AddUses(const std::string& root, const std::string& block, const std::string& name,
             std::vector<std::string>& out) {
  const std::string number = Text(absl::StrCat(block, "/dev"));
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() > 4 && words[2] == number)
      out.push_back(absl::StrCat(words[4], " (", name, ")"));
  }
  std::ifstream swaps(root + "/proc/swaps");
  for (std::string line; std::getline(swaps, line);) {
    const std::string device = line.substr(0, line.find_first_of(" \t"));
    if (device == absl::StrCat("/dev/", name)) out.push_back(absl::StrCat("swap (", name, ")"));
  }
  std::error_code error;
  for (const auto& holder : fs::directory_iterator(block + "/holders", error)) {
    out.push_back(absl::StrCat(holder.path().filename().string(), " (", name, ")"));
  }
}

}  // namespace

std::string Gigabytes(uint64_t bytes) {
  return absl::StrFormat("%.1f GB", static_cast<double>(bytes) / 1e9);
}

absl::StatusOr<TargetDisk> LookAt(const std::string& path, const std::string& root) {
  TargetDisk disk{.path = path};
  std::error_code error;
  const std::string seen = absl::StrCat(root, path);
  const fs::file_status status = fs::status(seen, error);
  if (!fs::exists(status) || fs::is_regular_file(status)) {
    if (absl::StartsWith(path, "/dev/")) return NotADisk(path, "is no device");
    disk.is_file = true;
    disk.exists = fs::exists(status);
    return disk;
  }
  // In tests a device is a directory below `root`: nobody can make one there.
  if (root.empty() && !fs::is_block_file(status))
    return NotADisk(path, "is neither a disk nor a file");
  disk.exists = true;
  disk.name = fs::canonical(seen, error).filename();
  const std::string block = absl::StrCat(root, "/sys/class/block/", disk.name);
  if (!fs::exists(block, error)) return NotADisk(path, "is no disk that the kernel knows");
  if (fs::exists(block + "/partition", error)) return NotADisk(path, "is a partition of a disk");
  uint64_t sectors = 0;
  if (!absl::SimpleAtoi(Text(block + "/size"), &sectors)) sectors = 0;
  disk.size = sectors * 512;
  disk.model = Text(block + "/device/model");
  if (disk.model.empty()) disk.model = Text(block + "/device/name");  // of a card
  disk.serial = Text(block + "/device/serial");
  const std::string place = fs::canonical(block, error);
  disk.removable = Text(block + "/removable") == "1" || absl::StrContains(place, "/usb") ||
                   Text(block + "/device/type") == "SD";
  disk.read_only = Text(block + "/ro") == "1";
  AddUses(root, block, disk.name, disk.used_by);
  std::vector<std::string> partitions;
  for (const auto& entry : fs::directory_iterator(block, error)) {
    if (fs::exists(entry.path() / "partition", error))
      partitions.push_back(entry.path().filename());
  }
  std::sort(partitions.begin(), partitions.end());
  for (const std::string& p : partitions) {
    AddUses(root, absl::StrCat(block, "/", p), p, disk.used_by);
  }
  return disk;
}

absl::Status CheckTarget(const TargetDisk& disk, uint64_t wanted) {
  if (disk.is_file) return absl::OkStatus();
  if (!disk.used_by.empty()) {
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "disk-in-use",
        absl::StrCat(Describe(disk), " is in use: ", absl::StrJoin(disk.used_by, ", ")),
        "unmount it first, if it is the right one; nothing else makes this go on");
  }
  if (disk.read_only) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "disk-read-only",
                      absl::StrCat(Describe(disk), " cannot be written"),
                      "cards have a switch for it");
  }
  if (disk.size < wanted) {
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "disk-too-small",
        absl::StrCat(Describe(disk), " is smaller than the image, which has ", Gigabytes(wanted)),
        "take a larger one");
  }
  return absl::OkStatus();
}

std::string Describe(const TargetDisk& disk) {
  if (disk.is_file) return disk.path;
  std::vector<std::string> parts;
  if (!disk.model.empty()) parts.push_back(disk.model);
  parts.push_back(Gigabytes(disk.size));
  if (!disk.serial.empty()) parts.push_back(absl::StrCat("serial ", disk.serial));
  if (!disk.removable) parts.push_back("NOT removable");
  return absl::StrCat(disk.path, ": ", absl::StrJoin(parts, ", "));
}

}  // namespace basalt::client
