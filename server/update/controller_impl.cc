#include "server/update/controller_impl.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"
#include "server/engine/blocking.h"

namespace basalt::update {
namespace {

constexpr char kManifests[] = "state/image/manifests";
constexpr absl::Duration kRefreshEvery = absl::Seconds(30);

std::string Short(const std::string& digest) { return digest.substr(0, 12); }

engine::Condition Condition(const char* type, const char* reason, std::string message,
                            const char* code) {
  return {.type = type,
          .reason = reason,
          .message = std::move(message),
          .code = code,
          .hopeless = true};
}

}  // namespace

ControllerImpl::ControllerImpl(ImageControllerDeps deps)
    : deps_(std::move(deps)), machine_(std::make_shared<Machine>()) {
  machine_->disk = deps_.disk;
  machine_->vfs = &deps_.vfs;
}

ControllerImpl::~ControllerImpl() {
  if (refresh_ != 0) deps_.executor.CancelTimer(refresh_);
}

std::optional<ControllerImpl::Wanted> ControllerImpl::WantedBy(const v1::MachineConfig* config) {
  if (config == nullptr || !config->system().has_image()) return std::nullopt;
  const v1::SystemImage& image = config->system().image();
  absl::string_view digest = image.digest();
  absl::ConsumePrefix(&digest, "sha256:");
  return Wanted{.digest = std::string(digest),
                .version = image.version(),
                .urls = {image.urls().begin(), image.urls().end()},
                .generation = config->metadata().generation()};
}

const sign::ImageManifest* ControllerImpl::Known(const std::string& digest) const {
  const auto it = known_.find(digest);
  return it == known_.end() ? nullptr : &it->second;
}

std::string ControllerImpl::DigestOfRoot(const std::string& root) const {
  for (const auto& [digest, manifest] : known_) {
    if (manifest.root == root) return digest;
  }
  return "";
}

int64_t ControllerImpl::EpochFloor() const {
  return std::max(record_.epoch_floor(), deps_.running.epoch);
}

void ControllerImpl::Load() {
  if (deps_.disk == nullptr) return;
  record_ = RecordFile(deps_.vfs).Read(&record_damaged_);
  for (const std::string& name : deps_.vfs.List(kManifests).value_or(std::vector<std::string>{})) {
    absl::string_view digest = name;
    if (!absl::ConsumePrefix(&digest, "sha256-")) continue;
    absl::StatusOr<std::string> text =
        deps_.vfs.Read(absl::StrCat(kManifests, "/", name), kMostManifest);
    absl::StatusOr<v1::SignedDocument> document =
        text.ok() ? sign::FromDsseJson(*text) : text.status();
    // Its signatures were good when it was taken, and its digest is the config's.
    if (!document.ok() || sign::DocumentDigest(*document).Hex() != digest) continue;
    absl::StatusOr<sign::ImageManifest> manifest = sign::ParseImageManifest(document->payload());
    if (manifest.ok()) known_[std::string(digest)] = *std::move(manifest);
  }
  absl::StatusOr<BootView> view = Look(*machine_);
  if (view.ok()) view_ = *std::move(view);
  Refresh();
}

absl::StatusOr<engine::ControllerPlan> ControllerImpl::Plan(const v1::MachineConfig* from,
                                                            const v1::MachineConfig& to) const {
  engine::ControllerPlan plan;
  const std::optional<Wanted> wanted = WantedBy(&to);
  if (!wanted) return plan;
  const std::optional<Wanted> before = WantedBy(from);
  const sign::ImageManifest* known = Known(wanted->digest);
  const bool same = before && before->digest == wanted->digest;
  if (deps_.disk != nullptr) {
    // What runs stays; what nobody knows better about stays as well.
    if (known != nullptr ? known->root == running_root() : same) return plan;
  }
  if (known != nullptr) {
    if (absl::Status rest = FitsRest(to, *known); !rest.ok()) return rest;
  }
  engine::PlanStep step{
      .controller = name(), .effect = v1::EFFECT_REBOOT, .unimplemented = deps_.unimplemented};
  const std::string version = known != nullptr ? known->version : wanted->version;
  const std::string image = absl::StrCat("image ", version, version.empty() ? "" : " ",
                                         "(sha256:", Short(wanted->digest), "...)");
  const BootEntry* there = known != nullptr && view_ ? view_->OfRoot(known->root) : nullptr;
  if (deps_.disk == nullptr) {
    step.description = absl::StrCat("write ", image, " into the other slot, restart the machine");
  } else if (there != nullptr && there->slot) {
    step.description = absl::StrCat("boot ", image, " that is in slot ",
                                    host::ToString(*there->slot), ", restart the machine");
  } else {
    step.description = absl::StrCat("write ", image, " into slot ",
                                    host::ToString(host::Other(deps_.disk->running_slot())),
                                    ", restart the machine");
  }
  plan.steps.push_back(std::move(step));
  absl::Duration within;
  if (to.metadata().apply().mode() == v1::APPLY_MODE_TRY &&
      absl::ParseDuration(to.metadata().apply().confirm_within(), &within) &&
      within > kTrialLimit / 3 * 2) {
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "confirm-too-late",
        absl::StrCat("a new image that is not confirmed within ", absl::FormatDuration(kTrialLimit),
                     " of its boot is given up by the machine itself"),
        absl::StrCat("metadata.apply.confirmWithin: at most ",
                     absl::FormatDuration(kTrialLimit / 3 * 2)));
  }
  return plan;
}

absl::StatusOr<BootView> ControllerImpl::Look(Machine& machine) {
  std::lock_guard lock(machine.mu);
  absl::StatusOr<std::unique_ptr<host::BootFiles>> files =
      machine.disk->OpenFiles(host::BootDisk::Open::kRead);
  if (!files.ok()) return files.status();
  return LookAtBoot(*machine.disk, **files);
}

void ControllerImpl::Execute(const v1::MachineConfig* to, engine::Done done) {
  wanted_ = WantedBy(to);
  wants_reboot_ = false;
  if (deps_.disk == nullptr) return done(absl::OkStatus());
  Situation now{.running = running_root(), .boot_id = deps_.clock.BootId(), .record = record_};
  Attempt attempt;
  if (wanted_) {
    const sign::ImageManifest* known = Known(wanted_->digest);
    // The record knows it where the manifest was lost.
    now.wanted = known != nullptr                             ? known->root
                 : wanted_->digest == record_.target_digest() ? record_.target_root()
                                                              : "";
    now.generation = wanted_->generation;
    now.prepared = !now.wanted.empty() && prepared_root_ == now.wanted &&
                   prepared_generation_ == now.generation;
    attempt = {.version = known != nullptr ? known->version : record_.target_version(),
               .digest = wanted_->digest,
               .running_version = deps_.running.version};
  }
  const Move move = Decide(now);
  if (move == Move::kNothing || move == Move::kDiffers) {
    on_change_();
    return done(absl::OkStatus());
  }
  engine::OnPool<Outcome>(
      deps_.executor,
      [machine = machine_, move, now, attempt] { return Do(*machine, move, now, attempt); },
      [this, done = std::move(done)](Outcome outcome) {
        absl::Status status = outcome.status;
        Take(std::move(outcome));
        done(std::move(status));
      });
}

void ControllerImpl::Take(Outcome outcome) {
  record_ = std::move(outcome.record);
  if (outcome.view) view_ = std::move(outcome.view);
  wants_reboot_ = outcome.wants_reboot;
  on_change_();
}

void ControllerImpl::Erase(engine::Done done) {
  if (deps_.disk == nullptr) return done(absl::OkStatus());
  stored::ImageRecord record;  // the floor stands, as that of generations
  record.set_sequence(record_.sequence());
  record.set_epoch_floor(record_.epoch_floor());
  absl::Status status = RecordFile(deps_.vfs).Write(record);
  if (status.ok()) record_ = std::move(record);
  done(std::move(status));
}

void ControllerImpl::RollBack(const v1::Action& action, engine::Done done) {
  if (deps_.disk == nullptr) {
    return done(api::Coded(absl::StatusCode::kUnimplemented, "unimplemented-on-platform",
                           deps_.unimplemented));
  }
  Situation now{.running = running_root(),
                .generation = wanted_ ? wanted_->generation : 0,
                .record = record_};
  Attempt attempt{.digest = DigestOfRoot(now.running), .running_version = deps_.running.version};
  if (auto it = action.arguments().find("version"); it != action.arguments().end()) {
    attempt.version = it->second;
  }
  const auto downgrade = action.arguments().find("allow");
  const bool below = downgrade != action.arguments().end() && downgrade->second == "downgrade";
  attempt.epoch_floor = below ? 0 : EpochFloor();
  engine::OnPool<Outcome>(
      deps_.executor, [machine = machine_, now, attempt] { return Back(*machine, now, attempt); },
      [this, done = std::move(done)](Outcome outcome) {
        absl::Status status = outcome.status;
        Take(std::move(outcome));
        done(std::move(status));
      });
}

std::vector<engine::Condition> ControllerImpl::Observe() const {
  std::vector<engine::Condition> conditions;
  if (record_damaged_) {
    conditions.push_back(Condition(
        "ImageRecordGood", "Damaged",
        "a copy of the record of the image was damaged; the other one is used", "image-record"));
  }
  if (!wanted_ || deps_.disk == nullptr) return conditions;
  const sign::ImageManifest* known = Known(wanted_->digest);
  engine::Condition runs =
      Condition("ImageRunning", "Differs",
                absl::StrCat("version ", deps_.running.version, " runs; the config names ",
                             known != nullptr ? known->version : wanted_->version,
                             " (sha256:", Short(wanted_->digest), "...)"),
                "image-differs");
  if (known != nullptr && known->root == running_root()) {
    runs = {.type = "ImageRunning", .holds = true, .reason = "AsWanted"};
  } else if (record_.target_digest() == wanted_->digest) {
    if (record_.phase() == stored::IMAGE_PHASE_FELL_BACK) {
      runs.reason = "FellBack";
      runs.code = "image-fell-back";
    } else if (record_.phase() == stored::IMAGE_PHASE_ROLLED_BACK) {
      runs.reason = "RolledBack";
      runs.code = "image-rolled-back";
    }
  }
  conditions.push_back(std::move(runs));
  return conditions;
}

std::vector<engine::Condition> ControllerImpl::TrialConditions(
    std::vector<engine::Condition> others) const {
  if (deps_.disk == nullptr || record_.target_root() != running_root()) return others;
  if (record_.phase() == stored::IMAGE_PHASE_NONE) return {};
  if (record_.phase() == stored::IMAGE_PHASE_ARMED ||
      record_.phase() == stored::IMAGE_PHASE_RETURNING) {
    others.push_back({.type = "ImageCommitted"});
  }
  return others;
}

std::string ControllerImpl::KernelReleaseFor(const v1::MachineConfig& config) const {
  const std::optional<Wanted> wanted = WantedBy(&config);
  const sign::ImageManifest* known = wanted ? Known(wanted->digest) : nullptr;
  return known != nullptr ? known->kernel_release : "";
}

absl::Status ControllerImpl::FitsRest(const v1::MachineConfig& config,
                                      const sign::ImageManifest& image) const {
  return deps_.fits_rest ? api::Annotate(deps_.fits_rest(config, image), "system.image")
                         : absl::OkStatus();
}

void ControllerImpl::OnServiceEvent(const host::ServiceEvent& event) {
  if (deps_.manifests != nullptr) deps_.manifests->OnServiceEvent(event);
  if (deps_.files != nullptr) deps_.files->OnServiceEvent(event);
}

// PID 1 calls an entry good behind our back: as long as one is on trial it is looked at again.
void ControllerImpl::Refresh() {
  const BootEntry* own = view_ ? view_->OfRoot(running_root()) : nullptr;
  if ((own != nullptr && own->name.good()) || refresh_ != 0) return;
  refresh_ = deps_.executor.After(kRefreshEvery, [this] {
    refresh_ = 0;
    engine::OnPool<absl::StatusOr<BootView>>(
        deps_.executor, [machine = machine_] { return Look(*machine); },
        [this](absl::StatusOr<BootView> view) {
          if (view.ok() && (!view_ || view->entries != view_->entries)) {
            view_ = *std::move(view);
            on_change_();
          }
          Refresh();
        });
  });
}

// Called when a config was committed: then its image is no attempt any more.
void ControllerImpl::CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) {
  if (deps_.disk == nullptr || kept.empty()) return;
  const std::optional<Wanted> committed = WantedBy(kept.front());
  const sign::ImageManifest* known = committed ? Known(committed->digest) : nullptr;
  if (known != nullptr && known->root == running_root()) {
    const bool attempt = record_.phase() != stored::IMAGE_PHASE_NONE;
    const bool raise = known->epoch > record_.epoch_floor();
    record_.set_phase(stored::IMAGE_PHASE_NONE);
    record_.set_epoch_floor(std::max(record_.epoch_floor(), known->epoch));
    // Ignoring a failure: an attempt whose image runs and is wanted is nothing to undo, and the
    // epoch is raised with the next commit.
    if (attempt || raise) RecordFile(deps_.vfs).Write(record_).IgnoreError();
    Refresh();
  }
  std::set<std::string> digests = {DigestOfRoot(running_root())};
  for (const v1::MachineConfig* config : kept) {
    if (std::optional<Wanted> named = WantedBy(config)) digests.insert(named->digest);
  }
  if (const BootEntry* other =
          view_ ? view_->OfSlot(host::Other(deps_.disk->running_slot())) : nullptr) {
    digests.insert(DigestOfRoot(other->kernel->root.ToString()));
  }
  deps_.manifests->KeepOnly(digests);
  if (job_ == nullptr) deps_.files->KeepOnly({});
}

std::unique_ptr<ImageController> MakeImageController(ImageControllerDeps deps) {
  return std::make_unique<ControllerImpl>(std::move(deps));
}

}  // namespace basalt::update
