// Rules for `storage`: disks that can be found, volumes that do not lie on each other, keys that
// exist at boot.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/format/format.h"
#include "machineconfig/format/quantity.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/rules.h"

namespace basalt::validate {
namespace {

constexpr int64_t kMiB = 1024 * 1024;
constexpr int64_t kLeastVolume = 64 * kMiB;
constexpr int64_t kLeastXfs = 300 * kMiB;
constexpr int64_t kLeastSwap = 16 * kMiB;
constexpr int64_t kMostSwap = 128 * 1024 * kMiB;

bool Below(absl::string_view path, absl::string_view root) {
  return path == root ||
         (absl::StartsWith(path, root) && path.size() > root.size() && path[root.size()] == '/');
}

// Whose the directory is, when it is not the owner's.
absl::string_view TakenBy(absl::string_view path) {
  // Here K3s's own provisioner keeps volumes of pods; another disk for them is a common wish.
  if (Below(path, "/var/lib/rancher/k3s/storage")) return "";
  for (absl::string_view root :
       {"/var/lib/rancher", "/var/lib/kubelet", "/var/lib/cni", "/var/lib/containerd"}) {
    if (Below(path, root) || Below(root, path)) return "K3s";
  }
  for (absl::string_view root : {"/var/lib/basalt", "/var/lib/noded"}) {
    if (Below(path, root)) return "noded";
  }
  return "";
}

void CheckSizes(absl::string_view least, absl::string_view most, const std::string& path,
                Report& report) {
  const auto a = format::ParseQuantity(least);
  const auto b = format::ParseQuantity(most);
  if (a.ok() && b.ok() && *a > *b) {
    report.Error(schema::Child(path, "maxSize"), "out-of-range", "is less than minSize");
  }
}

std::string PathOf(const v1::Volume& volume) {
  return volume.has_path() ? volume.path() : absl::StrCat("/var/mnt/", volume.name());
}

void CheckPath(const v1::Volume& volume, const std::string& at, Report& report) {
  const std::string path = PathOf(volume);
  const bool allowed = (Below(path, "/var/mnt") && path != "/var/mnt") ||
                       (Below(path, "/var/lib") && path != "/var/lib");
  if (!allowed) {
    report.Error(schema::Child(at, "path"), "refused",
                 "volumes are mounted below /var/mnt or /var/lib",
                 absl::StrCat("/var/mnt/", volume.name(), " is the default"));
  } else if (absl::string_view who = TakenBy(path); !who.empty()) {
    report.Error(
        schema::Child(at, "path"), "refused", absl::StrCat("the directory belongs to ", who),
        who == "K3s" ? "/var/lib/rancher/k3s/storage is free, for volumes of its local-path "
                       "provisioner"
                     : absl::StrCat("/var/mnt/", volume.name(), " is the default"));
  }
}

void CheckVolumes(const v1::Storage& storage, Report& report) {
  std::vector<std::pair<std::string, std::string>> mounts;  // path, path of its volume
  std::map<std::string, std::string> rests;                 // disk → who takes all that is left
  if (!storage.data().has_max_size()) {
    rests.emplace(storage.data().disk().SerializeAsString(), "storage.data");
  }
  const std::vector<std::string> paths = Elements("storage", storage, "volumes");
  for (int i = 0; i < storage.volumes_size(); ++i) {
    const v1::Volume& volume = storage.volumes(i);
    const std::string& at = paths[i];
    if (volume.has_disk()) CheckDiskSelector(volume.disk(), schema::Child(at, "disk"), report);
    CheckSizes(volume.min_size(), volume.max_size(), at, report);
    const bool xfs = volume.filesystem() == v1::FILESYSTEM_XFS;
    const auto most = format::ParseQuantity(volume.max_size());
    const int64_t least = xfs ? kLeastXfs : kLeastVolume;
    if (most.ok() && *most < least) {
      report.Error(schema::Child(at, "maxSize"), "out-of-range",
                   absl::StrCat("a volume with ", xfs ? "xfs" : "ext4", " has at least ",
                                least / kMiB, "Mi"));
    }
    const bool good_path = format::Check(v1::FORMAT_PATH, PathOf(volume)).ok();
    if (good_path) CheckPath(volume, at, report);
    if (volume.has_encryption()) {
      CheckEncryption(volume.encryption(), schema::Child(at, "encryption"), /*of_volume=*/true,
                      report);
    }
    const std::string path = PathOf(volume);
    for (const auto& [other, where] : mounts) {
      if (!good_path) break;
      if (path == other) {
        report.Error(schema::Child(at, "path"), "conflict",
                     absl::StrCat(where, " is mounted at ", path, " as well"),
                     "give each a directory of its own");
      } else if (Below(path, other) || Below(other, path)) {
        report.Error(schema::Child(at, "path"), "conflict",
                     absl::StrCat(path, " and ", other, " of ", where, " lie in each other"),
                     "put them beside each other");
      }
    }
    if (good_path) mounts.emplace_back(path, at);
    // On the disk of `data` when it names none. Which selectors mean one disk only the node can
    // tell: here those that say the same.
    const std::string disk =
        (volume.has_disk() ? volume.disk() : storage.data().disk()).SerializeAsString();
    if (auto it = rests.find(disk); it != rests.end()) {
      report.Error(volume.has_max_size() ? at : schema::Child(at, "maxSize"), "conflict",
                   absl::StrCat("nothing is left on its disk: ", it->second, " takes all of it"),
                   absl::StrCat("set maxSize of ", it->second));
    } else if (!volume.has_max_size()) {
      rests.emplace(disk, at);
    }
  }
}

void CheckSwap(const v1::MachineConfig& config, Report& report) {
  const v1::Storage& storage = config.storage();
  auto in_range = [&](absl::string_view text, const std::string& path) {
    const auto size = format::ParseQuantity(text);
    if (!size.ok() || (*size >= kLeastSwap && *size <= kMostSwap)) return;
    report.Error(path, "out-of-range", "allowed: from 16Mi to 128Gi");
  };
  in_range(storage.swap().size(), "storage.swap.size");
  in_range(storage.zram().size(), "storage.zram.size");
  if (storage.zram().percent() > 100) {
    report.Warning("storage.zram.percent", "large-zram",
                   "more than the memory: it helps when pages shrink to less than half, else it is "
                   "slow to death",
                   "50 suits most nodes");
  }
  if (storage.has_swap() && (storage.data().disk().type() == v1::DISK_TYPE_SD ||
                             storage.data().disk().type() == v1::DISK_TYPE_EMMC)) {
    report.Warning("storage.swap", "wear", "swapping wears the flash of `data` out",
                   "storage.zram, which needs no disk");
  }
  if ((!storage.has_swap() && !storage.has_zram()) || !config.has_k3s()) return;
  auto it = config.k3s().config().find("kubelet-arg");
  if (it == config.k3s().config().end()) return;
  std::vector<std::string> arguments(it->second.list().values().begin(),
                                     it->second.list().values().end());
  if (it->second.has_text()) arguments.push_back(it->second.text());
  for (const std::string& argument : arguments) {
    if (argument != "fail-swap-on=true" && argument != "fail-swap-on") continue;
    report.Error(storage.has_swap() ? "storage.swap" : "storage.zram", "conflict",
                 "kubelet would not start: k3s.config.kubelet-arg says fail-swap-on=true",
                 "remove one of the two; K3s itself sets fail-swap-on=false");
  }
}

}  // namespace

void CheckEncryption(const v1::Encryption& encryption, const std::string& path, bool of_volume,
                     Report& report) {
  const bool passphrase = encryption.passphrase().value_case() != v1::Secret::VALUE_NOT_SET;
  if (encryption.key() == v1::KEY_SOURCE_PASSPHRASE && !passphrase) {
    report.Error(schema::Child(path, "passphrase"), "required", "key: passphrase needs it",
                 "16 characters and more; openssl rand -base64 24 makes one");
  }
  if (encryption.key() == v1::KEY_SOURCE_PASSPHRASE && !of_volume) {
    report.Error(schema::Child(path, "key"), "refused",
                 "the passphrase would lie on the partition that it opens", "tpm2 or node");
  }
  if (encryption.key() == v1::KEY_SOURCE_TPM2 && !passphrase) {
    report.Warning(path, "no-recovery",
                   "when the TPM is cleared or the board dies nobody opens the partition again",
                   "a passphrase beside it is a second key");
  }
}

void CheckStorage(const v1::MachineConfig& config, Report& report) {
  const v1::Storage& storage = config.storage();
  if (storage.data().has_disk())
    CheckDiskSelector(storage.data().disk(), "storage.data.disk", report);
  CheckSizes(storage.data().min_size(), storage.data().max_size(), "storage.data", report);
  if (storage.has_encryption()) {
    CheckEncryption(storage.encryption(), "storage.encryption", /*of_volume=*/false, report);
  }
  CheckVolumes(storage, report);
  CheckSwap(config, report);
}

}  // namespace basalt::validate
