#include "server/controllers/extensions/controller_impl.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"
#include "server/engine/blocking.h"

namespace basalt::extensions {

ControllerImpl::ControllerImpl(ExtensionsDeps deps)
    : deps_(std::move(deps)), machine_(std::make_shared<Machine>()) {
  machine_->mounts = deps_.mounts;
}

ControllerImpl::~ControllerImpl() {
  if (look_ != 0) deps_.executor.CancelTimer(look_);
  if (mend_ != 0) deps_.executor.CancelTimer(mend_);
}

std::string ControllerImpl::FileOf(const sign::ExtensionManifest& manifest) const {
  return deps_.files->Path(manifest.file.sha256.Hex());
}

std::string ControllerImpl::KernelFor(const v1::MachineConfig& config) const {
  const std::string next = deps_.next_kernel ? deps_.next_kernel(config) : "";
  return next.empty() ? deps_.kernel_release : next;
}

std::string ControllerImpl::IdOf(const Wanted& wanted) const {
  const auto it = known_.find(wanted.digest);
  return it == known_.end() ? "" : host::ExtensionId(SourceOf(it->second.manifest, ""));
}

void ControllerImpl::Load() {
  for (const std::string& name : deps_.vfs.List(kManifests).value_or(std::vector<std::string>{})) {
    absl::string_view digest = name;
    if (!absl::ConsumePrefix(&digest, "sha256-")) continue;
    absl::StatusOr<std::string> text =
        deps_.vfs.Read(absl::StrCat(kManifests, "/", name), kMostManifest);
    absl::StatusOr<v1::SignedDocument> document =
        text.ok() ? sign::FromDsseJson(*text) : text.status();
    // A config that names it was committed only after its signatures had been found good; whose
    // they are is as the policy of now says.
    if (!document.ok() || sign::DocumentDigest(*document).Hex() != digest) continue;
    absl::StatusOr<sign::ExtensionManifest> manifest =
        sign::ParseExtensionManifest(document->payload());
    if (!manifest.ok()) continue;
    KnownExtension& known = known_[std::string(digest)];
    known.manifest = *std::move(manifest);
    auto verified = sign::Verify(*document, v1::DOCUMENT_TYPE_IMAGE, deps_.policy());
    if (!verified.ok()) continue;
    for (const sign::Signer& signer : verified->signers()) known.signers.push_back(signer.name);
  }
  // Those of a noded before this one. Ignoring a failure: nothing is attached then, or the next
  // execute says why.
  attached_ = machine_->mounts->List().value_or(std::vector<host::AttachedExtension>{});
}

absl::StatusOr<engine::ControllerPlan> ControllerImpl::Plan(const v1::MachineConfig* from,
                                                            const v1::MachineConfig& to) const {
  // What is not known of an image that is yet to be fetched is judged when it is.
  const std::string kernel =
      to.system().has_image() && deps_.next_kernel ? deps_.next_kernel(to) : deps_.kernel_release;
  return PlanExtensions(from, to, known_, kernel);
}

absl::Status ControllerImpl::FitImage(const v1::MachineConfig& config,
                                      const sign::ImageManifest& image) const {
  for (const Wanted& wanted : WantedBy(&config)) {
    const auto it = known_.find(wanted.digest);
    if (it == known_.end()) continue;
    absl::Status fits = CheckKernel(it->second.manifest, image.kernel_release,
                                    absl::StrCat("image ", image.version));
    if (!fits.ok()) return fits;
  }
  return absl::OkStatus();
}

// Attaches what is missing, shows exactly these, lets go of the rest.
ControllerImpl::Outcome ControllerImpl::Change(Machine& machine,
                                               const std::vector<host::ExtensionSource>& sources) {
  std::lock_guard lock(machine.mu);
  Outcome out;
  std::vector<std::string> show;
  for (const host::ExtensionSource& source : sources) {
    const std::string id = host::ExtensionId(source);
    absl::Status status = machine.mounts->Attach(source);
    if (status.ok()) {
      show.push_back(id);
    } else {
      out.failed[id] = std::string(status.message());
    }
  }
  if (absl::Status status = machine.mounts->Show(show); !status.ok()) {
    for (const std::string& id : show) out.failed[id] = std::string(status.message());
  }
  absl::StatusOr<std::vector<host::AttachedExtension>> attached = machine.mounts->List();
  if (!attached.ok()) {
    for (const std::string& id : show) out.failed[id] = std::string(attached.status().message());
    return out;
  }
  for (const host::AttachedExtension& one : *attached) {
    const bool wanted = std::find(show.begin(), show.end(), one.id) != show.end();
    if (wanted || one.shown) continue;
    if (!machine.mounts->Detach(one.id).ok()) out.left_behind = true;
  }
  out.attached = machine.mounts->List().value_or(*attached);
  return out;
}

void ControllerImpl::Execute(const v1::MachineConfig* to, engine::Done done) {
  if (to != nullptr) {
    config_ = *to;
  } else {
    config_.reset();
  }
  wanted_ = WantedBy(to);
  wants_reboot_ = false;
  failed_.clear();
  module_failed_.clear();
  std::vector<host::ExtensionSource> sources;
  std::set<std::string> stay;
  for (const Wanted& wanted : wanted_) {
    const auto it = known_.find(wanted.digest);
    if (it == known_.end()) continue;
    const sign::ExtensionManifest& m = it->second.manifest;
    // One for the kernel of an image that is yet to boot.
    if (!CheckKernel(m, deps_.kernel_release, "").ok()) continue;
    sources.push_back(SourceOf(m, FileOf(m)));
    stay.insert(host::ExtensionId(sources.back()));
  }
  // Before anything is taken away: a module that cannot be unloaded keeps what it came from.
  const bool in_use = UnloadWhatGoes(stay);
  engine::OnPool<Outcome>(
      deps_.executor, [machine = machine_, sources] { return Change(*machine, sources); },
      [this, in_use, done = std::move(done)](Outcome outcome) {
        wants_reboot_ = in_use || outcome.left_behind;
        Take(std::move(outcome));
        LoadModules();
        on_change_();
        Look();
        Mend();
        done(absl::OkStatus());
      });
}

void ControllerImpl::Take(Outcome outcome) {
  attached_ = std::move(outcome.attached);
  failed_ = std::move(outcome.failed);
}

// True when a module of what goes stays in the kernel.
bool ControllerImpl::UnloadWhatGoes(const std::set<std::string>& stay) {
  bool in_use = false;
  for (const host::AttachedExtension& one : attached_) {
    if (stay.count(one.id) > 0) continue;
    for (const auto& [digest, known] : known_) {
      if (host::ExtensionId(SourceOf(known.manifest, "")) != one.id) continue;
      const auto& modules = known.manifest.modules;
      for (auto it = modules.rbegin(); it != modules.rend(); ++it) {
        in_use = !deps_.kernel.UnloadModule(*it).ok() || in_use;
      }
    }
  }
  return in_use;
}

// In the order of the manifests. What finds no device is no fault: the extension may be for a
// machine that has it sometimes.
void ControllerImpl::LoadModules() {
  for (const Wanted& wanted : wanted_) {
    const State state = StateOf(wanted);
    if (state.word != "active") continue;
    for (const std::string& module : known_[wanted.digest].manifest.modules) {
      absl::Status status = deps_.kernel.LoadModule(module, {});
      if (status.ok() || api::Reason(status) == "no-such-device") continue;
      module_failed_[wanted.name] = std::string(status.message());
    }
  }
}

void ControllerImpl::Look() {
  if (attached_.empty() || look_ != 0) return;
  look_ = deps_.executor.After(kLookEvery, [this] {
    look_ = 0;
    using Found = absl::StatusOr<std::vector<host::AttachedExtension>>;
    engine::OnPool<Found>(
        deps_.executor,
        [machine = machine_] {
          std::lock_guard lock(machine->mu);
          return machine->mounts->List();
        },
        [this](Found found) {
          if (found.ok() && *found != attached_) {
            attached_ = *std::move(found);
            on_change_();
          }
          Look();
        });
  });
}

// A manifest or a file is not there: what nothing but a download mends.
bool ControllerImpl::Lost() const {
  return std::any_of(wanted_.begin(), wanted_.end(), [this](const Wanted& wanted) {
    const std::string id = IdOf(wanted);
    return id.empty() || failed_.count(id) > 0;
  });
}

void ControllerImpl::Mend() {
  if (mend_ != 0 || !Lost()) return;
  const absl::Duration wait = std::exchange(mended_, true) ? kMendAgain : kMendFirst;
  mend_ = deps_.executor.After(wait, [this] {
    mend_ = 0;
    if (job_ != nullptr || !config_) return;  // a new config comes; its Finish asks again
    Prepare(
        *config_, [](const std::string&, int64_t, int64_t) {},
        [this](absl::Status status) {
          if (!status.ok() || !config_) return;
          const v1::MachineConfig same = *config_;
          Execute(&same, [](absl::Status) {});
        });
  });
}

void ControllerImpl::Erase(engine::Done done) {
  deps_.manifests->KeepOnly({});
  deps_.files->KeepOnly({});
  done(absl::OkStatus());
}

void ControllerImpl::CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) {
  if (job_ != nullptr) return;  // what it has fetched is named by no config that is kept yet
  std::set<std::string> digests, files;
  auto keep = [&](const std::vector<Wanted>& all) {
    for (const Wanted& wanted : all) {
      digests.insert(wanted.digest);
      const auto it = known_.find(wanted.digest);
      if (it != known_.end()) files.insert(it->second.manifest.file.sha256.Hex());
    }
  };
  for (const v1::MachineConfig* config : kept) keep(WantedBy(config));
  keep(wanted_);
  deps_.manifests->KeepOnly(digests);
  deps_.files->KeepOnly(files);
}

void ControllerImpl::OnServiceEvent(const host::ServiceEvent& event) {
  deps_.manifests->OnServiceEvent(event);
  deps_.files->OnServiceEvent(event);
}

std::unique_ptr<ExtensionsController> MakeExtensionsController(ExtensionsDeps deps) {
  return std::make_unique<ControllerImpl>(std::move(deps));
}

}  // namespace basalt::extensions
