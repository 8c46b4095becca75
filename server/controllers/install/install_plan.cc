#include "server/controllers/install/install_plan.h"

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/format/quantity.h"
#include "server/controllers/install/disk_wipe.h"
#include "server/controllers/storage/disk_table.h"
#include "server/controllers/storage/selector.h"

namespace basalt::install {
namespace {

absl::Status No(absl::string_view code, const std::string& message, absl::string_view hint) {
  return api::WithDetail(api::Coded(absl::StatusCode::kFailedPrecondition, code, message, hint),
                         "field", "system.install.disk");
}

bool IsMedium(const host::BlockDisk& disk, const std::string& medium) {
  return std::any_of(disk.partitions.begin(), disk.partitions.end(),
                     [&](const host::BlockPartition& p) { return p.device == medium; });
}

bool HoldsANode(const storage::DiskFacts& disk) {
  std::set<std::string> names;
  for (const storage::PartitionFacts& p : disk.partitions) names.insert(p.at.name);
  return names.count("SLOT-A") + names.count("SLOT-B") + names.count("STATE") +
             names.count("DATA") ==
         4;
}

}  // namespace

TableIds ReadTableIds(host::BlockDevices& block, const storage::StorageFacts& facts) {
  TableIds ids;
  auto table = std::make_unique<gpt::Table>();
  for (const storage::DiskFacts& disk : facts.disks) {
    if (disk.table != storage::DiskFacts::Table::kGood) continue;
    if (!storage::ReadTable(block, disk.disk, table.get()).ok()) continue;
    ids[disk.disk.device] = absl::BytesToHexString(
        absl::string_view(reinterpret_cast<const char*>(table->id), sizeof table->id));
  }
  return ids;
}

absl::StatusOr<InstallPlan> PlanInstall(const v1::MachineConfig& config,
                                        const storage::StorageFacts& facts, const TableIds& ids,
                                        const std::string& medium) {
  if (!config.system().has_install()) {
    return api::Coded(absl::StatusCode::kUnimplemented, "nothing-to-install",
                      "this node runs from an install medium and keeps nothing: system.install has "
                      "to say which disk it puts itself onto",
                      "nodectl install --disk SELECTOR");
  }
  const v1::Install& install = config.system().install();
  const v1::Metadata& about = config.metadata();
  const std::string id =
      InstallId(about.cluster(), about.name(), about.epoch(), about.generation());
  // Before the selector: the same disk may be ambiguous by now, and was installed all the same.
  for (const storage::DiskFacts& disk : facts.disks) {
    const auto known = ids.find(disk.disk.device);
    if (known == ids.end() || known->second != absl::BytesToHexString(id)) continue;
    if (IsMedium(disk.disk, medium)) continue;
    return No("already-installed",
              absl::StrCat("this config is installed on ", storage::Describe(disk.disk)),
              "take the medium out and restart; to install anew, sign it anew");
  }
  // The medium is a disk as well, and nobody means it.
  std::vector<host::BlockDisk> disks;
  bool medium_matches = false;
  for (const storage::DiskFacts& disk : facts.disks) {
    if (!IsMedium(disk.disk, medium)) {
      disks.push_back(disk.disk);
    } else if (storage::Matches(install.disk(), disk.disk)) {
      medium_matches = true;
    }
  }
  auto disk = storage::SelectDisk(install.disk(), disks, "system.install.disk");
  if (!disk.ok() && medium_matches && api::Reason(disk.status()) == "disk-not-found") {
    return No("disk-of-the-medium", "the only disk that is so is the install medium itself",
              "name the disk that the node shall live on");
  }
  if (!disk.ok()) return disk.status();
  const storage::DiskFacts& found = *facts.Disk(disk->device);
  InstallPlan plan{.disk = *disk, .id = id, .holds = WhatItHolds(found)};
  if (disk->read_only) {
    return No("disk-read-only", absl::StrCat(storage::Describe(*disk), " is read-only"), "");
  }
  if (!found.blank && !install.wipe()) {
    return No("disk-in-use",
              absl::StrCat(storage::Describe(*disk), " holds ", plan.holds, ": it is left alone"),
              "system.install.wipe: true consents to lose that");
  }
  uint64_t limit = 0;
  if (config.storage().data().has_max_size()) {
    limit = format::ParseQuantity(config.storage().data().max_size()).value_or(0);
  }
  auto layout = LayOut(*disk, limit);
  if (!layout.ok()) return layout.status();
  plan.layout = *layout;
  plan.text = absl::StrCat("install onto ", storage::Describe(*disk),
                           found.blank ? "" : absl::StrCat(", which loses ", plan.holds),
                           ", and restart from there");
  return plan;
}

std::string WhereInstalled(const storage::StorageFacts& facts, const std::string& medium) {
  for (const storage::DiskFacts& disk : facts.disks) {
    if (IsMedium(disk.disk, medium) || !HoldsANode(disk)) continue;
    return absl::StrCat("a node is installed on ", storage::Describe(disk.disk),
                        " already: take the medium out to start it");
  }
  return "";
}

}  // namespace basalt::install
