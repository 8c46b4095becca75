// What an execute does to the boot partition and the record, in the pool. The record is written
// before what it tells of is done; what is undone is undone before it is forgotten.
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/update/controller_impl.h"

namespace basalt::update {
namespace {

absl::Status FellBack(const stored::ImageRecord& record, const std::string& running) {
  return api::Coded(
      absl::StatusCode::kFailedPrecondition, "image-fell-back",
      absl::StrCat("the machine was to boot image ", record.target_version(),
                   ", and came back with ", running,
                   ": the new one did not start, or did not become healthy, in its tries"),
      "what it said is on the console of the machine; another attempt is another generation");
}

}  // namespace

absl::Status ControllerImpl::Change(Machine& machine, host::BootFiles& files, Move move,
                                    const Situation& now, const Attempt& attempt, Outcome& out) {
  RecordFile file(*machine.vfs);
  stored::ImageRecord& record = out.record;
  absl::StatusOr<BootView> view = LookAtBoot(*machine.disk, files);
  if (!view.ok()) return view.status();
  switch (move) {
    case Move::kNothing:
    case Move::kDiffers:
      return absl::OkStatus();
    case Move::kArm: {
      const BootEntry* entry = view->OfRoot(now.wanted);
      const bool again = record.phase() == stored::IMAGE_PHASE_ARMED;
      if (!again) record.set_target_was_good(entry != nullptr && entry->name.good());
      record.set_phase(stored::IMAGE_PHASE_ARMED);
      record.set_target_root(now.wanted);
      record.set_target_version(attempt.version);
      record.set_target_digest(attempt.digest);
      record.set_previous_root(now.running);
      record.set_previous_version(attempt.running_version);
      record.set_generation(now.generation);
      record.set_boot_id(now.boot_id);
      record.set_returns(0);
      absl::Status status = again ? absl::OkStatus() : file.Write(record);
      if (status.ok()) status = Arm(files, *view, now.wanted, attempt.version, now.running);
      out.wants_reboot = status.ok();
      return status;
    }
    case Move::kDisarm: {
      absl::Status status =
          Disarm(files, *view, record.target_root(), record.target_was_good(), now.running);
      if (!status.ok()) return status;
      record.set_phase(stored::IMAGE_PHASE_NONE);
      return file.Write(record);
    }
    case Move::kReturn: {
      record.set_phase(stored::IMAGE_PHASE_RETURNING);
      record.set_returns(record.returns() + 1);
      absl::Status status = file.Write(record);
      if (status.ok()) status = GoBack(files, *view, record.previous_root(), now.running);
      out.wants_reboot = status.ok();
      return status;
    }
    case Move::kReturned:
      record.set_phase(stored::IMAGE_PHASE_FELL_BACK);
      return file.Write(record);
    case Move::kFellBack: {
      if (now.running == record.target_root()) {
        return api::Coded(absl::StatusCode::kFailedPrecondition, "image-fell-back",
                          absl::StrCat("image ", record.target_version(),
                                       " is about to be left: its config went back"));
      }
      record.set_phase(stored::IMAGE_PHASE_FELL_BACK);
      absl::Status status = file.Write(record);
      // An entry that firmware refuses keeps its tries: nobody counted it.
      if (status.ok()) status = Disarm(files, *view, record.target_root(), false, now.running);
      return status.ok() ? FellBack(record, attempt.running_version) : status;
    }
    case Move::kStuck:
      record.set_phase(stored::IMAGE_PHASE_FELL_BACK);
      if (absl::Status status = file.Write(record); !status.ok()) return status;
      return api::Coded(
          absl::StatusCode::kFailedPrecondition, "image-not-left",
          absl::StrCat("the machine was to go back to image ", record.previous_version(),
                       " and started with ", record.target_version(), " ", kMostReturns, " times"),
          "nodectl get slot shows what the boot loader has");
  }
  return absl::OkStatus();
}

ControllerImpl::Outcome ControllerImpl::Do(Machine& machine, Move move, const Situation& now,
                                           const Attempt& attempt) {
  std::lock_guard lock(machine.mu);
  Outcome out{.record = now.record};
  absl::StatusOr<std::unique_ptr<host::BootFiles>> files =
      machine.disk->OpenFiles(host::BootDisk::Open::kChange);
  out.status = files.ok() ? Change(machine, **files, move, now, attempt, out) : files.status();
  if (!files.ok()) return out;
  absl::StatusOr<BootView> view = LookAtBoot(*machine.disk, **files);
  if (view.ok()) out.view = *std::move(view);
  return out;
}

// An order of the owner: the image of the other slot, as it was.
ControllerImpl::Outcome ControllerImpl::Back(Machine& machine, const Situation& now,
                                             const Attempt& attempt) {
  std::lock_guard lock(machine.mu);
  Outcome out{.record = now.record};
  absl::StatusOr<std::unique_ptr<host::BootFiles>> files =
      machine.disk->OpenFiles(host::BootDisk::Open::kChange);
  if (!files.ok()) return out.status = files.status(), out;
  absl::StatusOr<BootView> view = LookAtBoot(*machine.disk, **files);
  if (!view.ok()) return out.status = view.status(), out;
  const BootEntry* other = view->OfSlot(host::Other(machine.disk->running_slot()));
  if (other == nullptr) {
    out.status = api::Coded(absl::StatusCode::kFailedPrecondition, "no-image-to-return-to",
                            "the other slot holds no image that a kernel image leads to",
                            "nodectl get slot shows what is; nodectl upgrade writes another one");
    return out;
  }
  if (!attempt.version.empty() && attempt.version != other->kernel->version) {
    out.status = api::Coded(absl::StatusCode::kFailedPrecondition, "wrong-version",
                            absl::StrCat("the other slot holds ", other->kernel->version,
                                         ", and the order names ", attempt.version),
                            "nodectl get slot shows what is");
    return out;
  }
  if (other->kernel->epoch < attempt.epoch_floor) {
    out.status = api::Coded(
        absl::StatusCode::kFailedPrecondition, "image-below-epoch",
        absl::StrCat("image ", other->kernel->version, " is of epoch ", other->kernel->epoch,
                     ", and this node ran epoch ", attempt.epoch_floor),
        "consent to it: nodectl upgrade --rollback --allow-downgrade");
    return out;
  }
  out.status = machine.CheckStarts(**files, other->file, other->size);
  if (!out.status.ok()) return out;
  stored::ImageRecord& record = out.record;
  record.set_phase(stored::IMAGE_PHASE_ROLLED_BACK);
  record.set_target_root(now.running);
  record.set_target_version(attempt.running_version);
  record.set_target_digest(attempt.digest);
  record.set_previous_root(other->kernel->root.ToString());
  record.set_previous_version(other->kernel->version);
  record.set_generation(now.generation);
  out.status = RecordFile(*machine.vfs).Write(record);
  if (out.status.ok()) {
    out.status = GoBack(**files, *view, other->kernel->root.ToString(), now.running);
  }
  out.wants_reboot = out.status.ok();
  absl::StatusOr<BootView> after = LookAtBoot(*machine.disk, **files);
  if (after.ok()) out.view = *std::move(after);
  return out;
}

}  // namespace basalt::update
