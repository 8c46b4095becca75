#include "server/controllers/storage/plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/format/quantity.h"
#include "machineconfig/schema/fields.h"
#include "server/controllers/storage/selector.h"
#include "server/controllers/storage/swap_plan.h"

namespace basalt::storage {
namespace {

constexpr char kName[] = "storage";
constexpr uint64_t kLeftFree = 512 << 20;  // of DATA, beside a swap file

void Add(engine::ControllerPlan* plan, std::string description, std::string unimplemented = "") {
  plan->steps.push_back({.controller = kName,
                         .description = std::move(description),
                         .effect = v1::EFFECT_LIVE,
                         .unimplemented = std::move(unimplemented)});
}

const v1::Volume* Find(const v1::Storage& storage, const std::string& name) {
  for (const v1::Volume& volume : storage.volumes()) {
    if (volume.name() == name) return &volume;
  }
  return nullptr;
}

// Compared, never shown.
std::string PassphraseOf(const v1::Encryption& encryption) {
  return encryption.passphrase().SerializeAsString();
}

void AddPassphrase(const std::string& of, const v1::Encryption& encryption,
                   engine::ControllerPlan* plan) {
  const bool has = encryption.passphrase().value_case() != v1::Secret::VALUE_NOT_SET;
  Add(plan, absl::StrCat(of, has ? ": set the passphrase that opens it beside its key"
                                 : ": take the recovery passphrase away"));
}

std::string KeyName(v1::KeySource key) {
  return key == v1::KEY_SOURCE_TPM2 ? "tpm2" : key == v1::KEY_SOURCE_NODE ? "node" : "passphrase";
}

void AddVolume(const VolumePlan& volume, engine::ControllerPlan* plan) {
  const std::string name = absl::StrCat("volume `", volume.name, "`: ");
  const std::string lock =
      volume.encrypted() ? absl::StrCat("encrypt it (", KeyName(volume.key), "), ") : "";
  switch (volume.step) {
    case VolumeStep::kCreate:
      Add(plan,
          absl::StrCat(name, "make a partition of ", SizeText(volume.size), " on ", volume.disk,
                       ", ", lock, "format it with ext4, mount it on ", volume.target));
      break;
    case VolumeStep::kFormat:
      Add(plan, absl::StrCat(name, "format ", volume.device, ", which is empty, with ext4, ", lock,
                             "mount it on ", volume.target));
      break;
    case VolumeStep::kMount:
      if (volume.unmount_first.empty()) {
        Add(plan, absl::StrCat(name, volume.encrypted() ? "open and mount " : "mount ",
                               volume.device, " on ", volume.target, "; what it holds stays"));
      } else {
        Add(plan, absl::StrCat(name, "mount ", volume.device, " anew on ", volume.target,
                               "; what uses it has to end before"));
      }
      break;
    case VolumeStep::kNone:
      break;
  }
  if (volume.grow_to > 0) {
    Add(plan,
        absl::StrCat(name, "grow from ", SizeText(volume.size), " to ", SizeText(volume.grow_to)));
  }
}

absl::Status PlanSwap(const v1::Storage& last, const v1::Storage& next, const StorageFacts& facts,
                      const MachineFacts& machine, engine::ControllerPlan* plan) {
  const SwapPlan before = SwapOf(last, machine.memory), after = SwapOf(next, machine.memory);
  const bool has_file = IsActive(facts, machine.swap_file, after.file);
  if (after.file > 0 && !has_file) {
    if (machine.data_available < after.file + kLeftFree) {
      return api::Coded(
          absl::StatusCode::kFailedPrecondition, "no-room",
          absl::StrCat("storage.swap.size: DATA has ", SizeText(machine.data_available), " left"),
          absl::StrCat("a smaller file: ", SizeText(kLeftFree), " beside it stay free"));
    }
    Add(plan, absl::StrCat("swap: make and use a file of ", SizeText(after.file), " on DATA"));
  } else if (after.file == 0 && before.file > 0) {
    Add(plan, "swap: empty the file on DATA and remove it");
  }
  const bool zram = IsActive(facts, kZramDevice, after.zram) &&
                    (before.algorithm.empty() || before.algorithm == after.algorithm);
  if (after.zram > 0 && !zram) {
    Add(plan, absl::StrCat("zram: swap up to ", SizeText(after.zram),
                           " into memory, compressed with ", after.algorithm));
  } else if (after.zram == 0 && before.zram > 0) {
    Add(plan, "zram: empty it and give its memory back");
  }
  if (after.swappiness.has_value() && after.swappiness != before.swappiness) {
    Add(plan, absl::StrCat("swap: vm.swappiness ", *after.swappiness));
  }
  return absl::OkStatus();
}

}  // namespace

v1::Storage Implemented(const v1::Storage& storage) {
  v1::Storage out = storage;
  out.clear_volumes();
  for (const v1::Volume& volume : storage.volumes()) {
    if (Unimplemented(volume).empty()) *out.add_volumes() = volume;
  }
  return out;
}

absl::StatusOr<engine::ControllerPlan> PlanStorage(const v1::MachineConfig* from,
                                                   const v1::MachineConfig& to,
                                                   const StorageFacts& facts,
                                                   const VolumeRecord& record,
                                                   const MachineFacts& machine) {
  engine::ControllerPlan plan;
  const v1::Storage last = from != nullptr ? from->storage() : v1::Storage();
  const v1::Storage& next = to.storage();
  if (absl::Status status = CheckData(next.data(), facts); !status.ok()) return status;
  if (absl::Status status = CheckEncryption(next, facts); !status.ok()) return status;
  if (PassphraseOf(next.encryption()) != PassphraseOf(last.encryption())) {
    AddPassphrase("STATE and DATA", next.encryption(), &plan);
  }
  for (const v1::Volume& volume : next.volumes()) {
    const std::string why = Unimplemented(volume);
    if (!why.empty()) Add(&plan, absl::StrCat("volume `", volume.name(), "`"), why);
  }
  auto volumes = PlanVolumes(Implemented(next), facts, record);
  if (!volumes.ok()) return volumes.status();
  for (const VolumePlan& volume : *volumes) {
    AddVolume(volume, &plan);
    const v1::Volume *before = Find(last, volume.name), *after = Find(next, volume.name);
    const bool stays = volume.step == VolumeStep::kNone || volume.step == VolumeStep::kMount;
    if (volume.encrypted() && stays && before != nullptr &&
        PassphraseOf(before->encryption()) != PassphraseOf(after->encryption())) {
      AddPassphrase(absl::StrCat("volume `", volume.name, "`"), after->encryption(), &plan);
    }
  }
  for (const v1::Volume& volume : last.volumes()) {
    if (Find(next, volume.name()) != nullptr) continue;
    Add(&plan, absl::StrCat("volume `", volume.name(),
                            "`: unmount it; its partition goes with all that it "
                            "holds when a generation after this one is committed"));
  }
  if (absl::Status status = PlanSwap(last, next, facts, machine, &plan); !status.ok())
    return status;
  const PartitionFacts* data = facts.Data();
  const auto limit = format::ParseQuantity(next.data().max_size());
  if (next.data().has_max_size() && limit.ok()) {
    if (data != nullptr && data->at.size > static_cast<uint64_t>(*limit)) {
      plan.warnings.push_back(
          absl::StrCat("storage.data.maxSize: DATA has ", SizeText(data->at.size),
                       " already and does not shrink; an image written with --data-limit "
                       "keeps it smaller from the start"));
    }
    if (next.data().max_size() != last.data().max_size()) {
      Add(&plan, absl::StrCat("DATA grows to at most ", SizeText(static_cast<uint64_t>(*limit))));
    }
  }
  return plan;
}

}  // namespace basalt::storage
