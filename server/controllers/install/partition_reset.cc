#include "server/controllers/install/partition_reset.h"

#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/gpt/wipe_order.h"

namespace basalt::install {
namespace {

using engine::WipeMethod;

constexpr size_t kBlock = 4096;  // a whole sector of any disk
constexpr char kRunCarried[] = "run/carried";

struct Target {
  host::BlockDisk disk;
  host::BlockPartition partition;
};

// In the order in which they are marked.
absl::StatusOr<std::vector<Target>> FindTargets(host::BlockDevices& block, const std::string& esp,
                                                const engine::ResetSpec& spec) {
  auto disks = block.Disks();
  if (!disks.ok()) return disks.status();
  const host::BlockDisk* own = nullptr;
  for (const host::BlockDisk& disk : *disks) {
    for (const host::BlockPartition& p : disk.partitions) {
      if (!esp.empty() && p.device == esp) own = &disk;
    }
  }
  std::vector<Target> targets;
  for (const auto& [wanted, name] :
       {std::pair(spec.data, "DATA"), std::pair(spec.state, "STATE")}) {
    if (!wanted) continue;
    const size_t before = targets.size();
    for (size_t i = 0; own != nullptr && i < own->partitions.size(); ++i) {
      if (own->partitions[i].name == name) targets.push_back({*own, own->partitions[i]});
    }
    if (targets.size() != before + 1) {
      return api::Coded(
          absl::StatusCode::kFailedPrecondition, "no-partition",
          absl::StrCat("the disk of this node has ",
                       targets.size() == before ? "no" : "more than one", " partition ", name),
          "write the image to the disk anew");
    }
  }
  return targets;
}

gpt::WipeMethod OnDisk(WipeMethod method) {
  switch (method) {
    case WipeMethod::kFast:
      return gpt::WipeMethod::kNone;
    case WipeMethod::kZero:
      return gpt::WipeMethod::kZero;
    case WipeMethod::kDiscard:
      return gpt::WipeMethod::kDiscard;
    case WipeMethod::kCryptoErase:
      return gpt::WipeMethod::kCrypto;
  }
  return gpt::WipeMethod::kZero;
}

absl::Status Mark(host::BlockDevices& block, const host::BlockPartition& partition,
                  WipeMethod method) {
  std::string order(kBlock, '\0'), mark(kBlock, '\0');
  if (method != WipeMethod::kFast) {
    gpt::WipeOrder said = {};
    memcpy(said.magic, gpt::kWipeMagic, sizeof said.magic);
    said.method = static_cast<uint8_t>(OnDisk(method));
    memcpy(order.data(), &said, sizeof said);
  }
  memcpy(mark.data(), gpt::kFormatMark, sizeof gpt::kFormatMark);
  absl::Status status = block.Write(partition.device, partition.size - gpt::kWipeDistance, order);
  if (!status.ok()) return status;
  return block.Write(partition.device, partition.size - gpt::kMarkDistance, mark);
}

absl::Status LayDown(host::Vfs& esp, const engine::Carried& carried,
                     const std::string& image_record) {
  const std::string dir = kCarriedOnEsp;
  if (carried.trust.empty()) {
    for (const char* name : {"/trust.json", "/floor", "/image"}) {
      if (absl::Status status = esp.Remove(dir + name); !status.ok()) return status;
    }
    return esp.Exists(dir) ? esp.SyncDir(dir) : absl::OkStatus();
  }
  absl::Status status = esp.MakeDirs(dir);
  // The trust last: without it nothing of this is looked at.
  if (status.ok()) status = esp.Replace(dir + "/floor", carried.floor);
  if (status.ok() && !image_record.empty()) status = esp.Replace(dir + "/image", image_record);
  if (status.ok()) status = esp.Replace(dir + "/trust.json", carried.trust);
  return status;
}

}  // namespace

absl::Status CheckPartitions(host::BlockDevices& block, const std::string& esp,
                             const engine::ResetSpec& spec) {
  auto targets = FindTargets(block, esp, spec);
  if (!targets.ok()) return targets.status();
  for (const Target& target : *targets) {
    if (spec.method == WipeMethod::kDiscard && !target.disk.discards) {
      return api::Coded(absl::StatusCode::kFailedPrecondition, "wipe-unsupported",
                        absl::StrCat(target.disk.device, " does not take discards"),
                        "--wipe zero overwrites it");
    }
    if (spec.method != WipeMethod::kCryptoErase) continue;
    auto head = block.Read(target.partition.device, 0, kBlock);
    if (!head.ok()) return head.status();
    if (head->compare(0, 6, "LUKS\xba\xbe", 6) != 0) {
      return api::Coded(
          absl::StatusCode::kFailedPrecondition, "not-encrypted",
          absl::StrCat(target.partition.name, " is not encrypted: there is no key to destroy"),
          "--wipe zero or --wipe discard");
    }
  }
  return absl::OkStatus();
}

absl::Status MarkPartitions(host::BlockDevices& block, const OpenFiles& files,
                            const std::string& esp, const engine::ResetSpec& spec,
                            const engine::Carried& carried, const std::string& image_record) {
  auto targets = FindTargets(block, esp, spec);
  if (!targets.ok()) return targets.status();
  if (spec.state) {
    auto boot = files(esp);
    if (!boot.ok()) return boot.status();
    if (absl::Status laid = LayDown(**boot, carried, image_record); !laid.ok()) {
      return api::Annotate(laid, "the boot partition cannot take what outlives STATE");
    }
  }
  for (const Target& target : *targets) {
    if (absl::Status marked = Mark(block, target.partition, spec.method); !marked.ok()) {
      return api::Annotate(marked, target.partition.name);
    }
  }
  return absl::OkStatus();
}

absl::Status TakeCarried(host::Vfs& vfs) {
  for (const auto& [from, to] :
       {std::pair("/floor", "state/carried-floor"), std::pair("/image", "state/image/record")}) {
    if (vfs.Exists(to) || !vfs.Exists(absl::StrCat(kRunCarried, from))) continue;
    auto text = vfs.Read(absl::StrCat(kRunCarried, from), 64 << 10);
    if (!text.ok()) return text.status();
    absl::Status status = vfs.MakeDirs("state/image");
    if (status.ok()) status = vfs.Replace(to, *text);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace basalt::install
