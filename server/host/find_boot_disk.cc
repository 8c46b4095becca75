#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "server/host/boot_disk.h"
#include "server/host/medium.h"

namespace basalt::host {
namespace {

namespace fs = std::filesystem;

// Where noded mounts the boot partition: a place of its own, for noded-init has /esp.
constexpr char kMountAt[] = "/run/noded-esp";

absl::Status NoSlots(const std::string& why) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, "no-boot-slots",
                    absl::StrCat("this system was not started from a slot of a node image: ", why));
}

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// DEVNAME and PARTNAME of /sys/class/block/NAME/uevent.
std::map<std::string, std::string> Describe(const fs::path& device) {
  std::map<std::string, std::string> out;
  for (absl::string_view line : absl::StrSplit(ReadText(device / "uevent"), '\n')) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (parts.size() == 2) out[parts[0]] = parts[1];
  }
  return out;
}

absl::StatusOr<BootDiskPlaces> Find(const std::string& root, unsigned root_major,
                                    unsigned root_minor, bool medium) {
  BootDiskPlaces places;
  for (absl::string_view word :
       absl::StrSplit(ReadText(absl::StrCat(root, "/proc/cmdline")), absl::ByAnyChar(" \n"))) {
    if (!absl::ConsumePrefix(&word, "noded.root=")) continue;
    if (!places.running_root.empty() && places.running_root != word) {
      return NoSlots("the command line names two roots");
    }
    places.running_root = std::string(word);
  }
  if (places.running_root.empty()) return NoSlots("the command line names no root");

  std::error_code error;
  const std::string slaves =
      absl::StrCat(root, "/sys/dev/block/", root_major, ":", root_minor, "/slaves");
  fs::path below;
  for (const auto& entry : fs::directory_iterator(slaves, error)) {
    if (!below.empty()) return NoSlots("its root lies on two devices");
    below = fs::canonical(entry.path(), error);
  }
  if (below.empty()) return NoSlots("nothing is below its root");
  const std::string label = Describe(below)["PARTNAME"];
  if (label != "SLOT-A" && label != "SLOT-B") {
    return NoSlots(absl::StrCat("its root lies on the partition `", label, "`"));
  }
  places.running = label == "SLOT-A" ? BootSlot::kA : BootSlot::kB;
  // The same labels on another disk are another machine's.
  std::map<std::string, std::vector<std::string>> found;
  for (const auto& entry : fs::directory_iterator(below.parent_path(), error)) {
    if (!fs::exists(entry.path() / "partition", error)) continue;
    std::map<std::string, std::string> facts = Describe(entry.path());
    if (!facts["DEVNAME"].empty() && !absl::StrContains(facts["DEVNAME"], "..")) {
      found[facts["PARTNAME"]].push_back(absl::StrCat(root, "/dev/", facts["DEVNAME"]));
    }
  }
  for (const auto& [name, place] : std::vector<std::pair<std::string, std::string*>>{
           {"SLOT-A", &places.slot_a}, {"SLOT-B", &places.slot_b}, {"ESP", &places.esp}}) {
    if (medium && name == "SLOT-B" && found[name].empty()) continue;
    if (found[name].size() != 1) {
      return NoSlots(absl::StrCat("its disk has ", found[name].size(), " partitions ", name));
    }
    *place = found[name][0];
  }
  places.mount_at = absl::StrCat(root, kMountAt);
  return places;
}

}  // namespace

absl::StatusOr<BootDiskPlaces> FindBootDisk(const std::string& root, unsigned root_major,
                                            unsigned root_minor) {
  return Find(root, root_major, root_minor, /*medium=*/false);
}

absl::StatusOr<BootDiskPlaces> FindMedium(const std::string& root, unsigned root_major,
                                          unsigned root_minor) {
  absl::StatusOr<BootDiskPlaces> places = Find(root, root_major, root_minor, /*medium=*/true);
  if (places.ok() && !places->slot_b.empty()) return NoSlots("it has two slots: a node");
  return places;
}

}  // namespace basalt::host
