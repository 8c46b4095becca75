// Before anything that boots is touched: the manifest, whether the image fits, its files, the
// slot. Each step ends in the next or in Finish; a step whose job was cancelled ends nowhere.
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/engine/blocking.h"
#include "server/fetch/outside.h"
#include "server/update/controller_impl.h"

namespace basalt::update {
namespace {

std::vector<std::string> Environment(const v1::MachineConfig& config) {
  std::vector<std::string> env;
  for (const auto& [name, value] : fetch::OutsideEnvironment(config.system(), /*root=*/"")) {
    env.push_back(absl::StrCat(name, "=", value));
  }
  return env;
}

ReadAt Reading(int fd) {
  return [fd](uint64_t offset, size_t size) -> absl::StatusOr<std::string> {
    std::string bytes(size, '\0');
    const ssize_t n = pread(fd, bytes.data(), size, static_cast<off_t>(offset));
    if (n < 0) return absl::UnavailableError("reading what was fetched");
    bytes.resize(static_cast<size_t>(n));
    return bytes;
  };
}

}  // namespace

void ControllerImpl::Prepare(const v1::MachineConfig& to, engine::OnProgress progress,
                             engine::Done done) {
  std::optional<Wanted> wanted = WantedBy(&to);
  if (!wanted) return done(absl::OkStatus());
  if (deps_.disk == nullptr) {
    return done(api::Coded(absl::StatusCode::kUnimplemented, "unimplemented-on-platform",
                           deps_.unimplemented));
  }
  if (const sign::ImageManifest* known = Known(wanted->digest);
      known != nullptr && HasHadItsTry(record_, known->root, wanted->generation)) {
    return done(absl::OkStatus());
  }
  for (const char* dir : {"state/image/manifests", "data/image"}) {
    if (absl::Status status = deps_.vfs.MakeDirs(dir); !status.ok()) return done(status);
  }
  job_ = std::make_shared<Job>();
  job_->serial = ++last_serial_;
  job_->wanted = *std::move(wanted);
  job_->config = to;
  job_->progress = std::move(progress);
  job_->done = std::move(done);
  v1::Artifact artifact;
  artifact.set_sha256(job_->wanted.digest);
  for (const std::string& url : job_->wanted.urls) artifact.add_urls(url);
  deps_.manifests->Ensure("manifest of the image", artifact, Environment(to), job_->progress,
                          [this, job = job_](absl::Status status) {
                            if (!Current(*job)) return;
                            if (!status.ok()) return Finish(job, std::move(status));
                            ReadManifest(job);
                          });
}

void ControllerImpl::CancelPrepare() {
  if (job_ == nullptr) return;
  job_.reset();
  deps_.manifests->Cancel();
  deps_.files->Cancel();
}

void ControllerImpl::Finish(const JobPtr& job, absl::Status status) {
  job_.reset();
  on_change_();
  job->done(std::move(status));
}

void ControllerImpl::ReadManifest(const JobPtr& job) {
  deps_.manifests->Open(
      job->wanted.digest, [this, job](absl::StatusOr<std::shared_ptr<host::UniqueFd>> file) {
        if (!Current(*job)) return;
        if (!file.ok()) return Finish(job, file.status());
        using Read = absl::StatusOr<sign::ImageManifest>;
        // The policy of this moment: signatures are judged when a document is taken.
        engine::OnPool<Read>(
            deps_.executor,
            [file = *file, job, policy = deps_.policy()]() -> Read {
              absl::StatusOr<std::string> text = Reading(file->get())(0, kMostManifest);
              if (!text.ok()) return text.status();
              return CheckManifest(*text, job->wanted.digest, policy, job->config);
            },
            [this, job](Read manifest) {
              if (!Current(*job)) return;
              if (!manifest.ok()) {
                return Finish(job, api::Annotate(manifest.status(), "system.image"));
              }
              job->manifest = *std::move(manifest);
              known_[job->wanted.digest] = job->manifest;
              if (job->manifest.root == running_root()) return Finish(job, absl::OkStatus());
              if (absl::Status rest = FitsRest(job->config, job->manifest); !rest.ok()) {
                return Finish(job, std::move(rest));
              }
              CheckDisk(job);
            });
      });
}

Fits ControllerImpl::FitsOf(const Job& job) const {
  const auto& allow = job.config.metadata().allow();
  return {.architecture = deps_.architecture,
          .profile = deps_.running.profile,
          .running_version = deps_.running.version,
          .wanted_version = job.wanted.version,
          .epoch_floor = EpochFloor(),
          .allow_downgrade = std::find(allow.begin(), allow.end(), "downgrade") != allow.end()};
}

// What there is, and whether it fits: nothing was written yet.
void ControllerImpl::CheckDisk(const JobPtr& job) {
  struct Found {
    absl::Status status;
    BootView view;
    bool there = false;
  };
  Fits fits = FitsOf(*job);
  fits.data_free = deps_.vfs.FreeBytes("data/image").value_or(0);
  engine::OnPool<Found>(
      deps_.executor,
      [machine = machine_, job, fits]() mutable {
        std::lock_guard lock(machine->mu);
        Found found;
        host::BootDisk& disk = *machine->disk;
        const host::BootSlot slot = host::Other(disk.running_slot());
        absl::StatusOr<std::unique_ptr<host::BootFiles>> files =
            disk.OpenFiles(host::BootDisk::Open::kRead);
        absl::StatusOr<BootView> view =
            files.ok() ? LookAtBoot(disk, **files) : absl::StatusOr<BootView>(files.status());
        if (!view.ok()) return found.status = view.status(), found;
        found.view = *std::move(view);
        absl::StatusOr<uint64_t> size = disk.SlotSize(slot);
        if (!size.ok()) return found.status = size.status(), found;
        fits.slot_size = *size;
        absl::StatusOr<std::string> kernel = FindKernel(**files, found.view, job->manifest);
        absl::StatusOr<bool> holds = kernel.ok() && !kernel->empty()
                                         ? SlotHolds(disk, slot, job->manifest)
                                         : absl::StatusOr<bool>(false);
        found.there = holds.ok() && *holds;
        absl::StatusOr<std::vector<host::BootFile>> may_go = MayGo(found.view, disk.running_root());
        if (!found.there && !may_go.ok()) return found.status = may_go.status(), found;
        fits.boot_free = found.view.free_bytes;
        for (const host::BootFile& file : may_go.value_or(std::vector<host::BootFile>{})) {
          fits.boot_free += static_cast<uint64_t>(file.size);
        }
        // What is there already needs no room.
        if (found.there) fits.boot_free = fits.data_free = ~uint64_t{0};
        found.status = CheckFits(job->manifest, fits);
        return found;
      },
      [this, job](Found found) {
        if (!Current(*job)) return;
        view_ = std::move(found.view);
        if (!found.status.ok()) return Finish(job, std::move(found.status));
        if (found.there) return Prepared(job);
        Fetch(job);
      });
}

v1::Artifact ControllerImpl::ArtifactOf(const Job& job, const sign::ImageFile& file) const {
  v1::Artifact artifact;
  artifact.set_sha256(file.sha256.Hex());
  artifact.set_size(file.size);
  for (const std::string& url : job.wanted.urls) {
    artifact.add_urls(sign::BesideManifest(url, file.name));
  }
  return artifact;
}

void ControllerImpl::Fetch(const JobPtr& job) {
  const sign::ImageManifest& manifest = job->manifest;
  // The small one first: what is wrong with an image is wrong with its kernel image most of the
  // time.
  deps_.files->Ensure(
      absl::StrCat("kernel image ", manifest.version), ArtifactOf(*job, manifest.kernel),
      Environment(job->config), job->progress, [this, job](absl::Status status) {
        if (!Current(*job)) return;
        if (!status.ok()) return Finish(job, std::move(status));
        deps_.files->Ensure(absl::StrCat("root file system ", job->manifest.version),
                            ArtifactOf(*job, job->manifest.slot), Environment(job->config),
                            job->progress, [this, job](absl::Status fetched) {
                              if (!Current(*job)) return;
                              if (!fetched.ok()) return Finish(job, std::move(fetched));
                              CheckFetched(job);
                            });
      });
}

void ControllerImpl::CheckFetched(const JobPtr& job) {
  deps_.files->Open(
      job->manifest.kernel.sha256.Hex(),
      [this, job](absl::StatusOr<std::shared_ptr<host::UniqueFd>> file) {
        if (!Current(*job)) return;
        absl::Status status = file.status();
        if (status.ok()) {
          job->kernel = *file;
          absl::StatusOr<KernelImage> kernel = InspectKernel(Reading(job->kernel->get()));
          status = kernel.ok() ? CheckKernel(*kernel, job->manifest) : kernel.status();
        }
        if (!status.ok()) return Finish(job, std::move(status));
        MakeRoom(job);
      });
}

// From here on the image before the running one is gone.
void ControllerImpl::MakeRoom(const JobPtr& job) {
  engine::OnPool<absl::Status>(
      deps_.executor,
      [machine = machine_] {
        std::lock_guard lock(machine->mu);
        absl::StatusOr<std::unique_ptr<host::BootFiles>> files =
            machine->disk->OpenFiles(host::BootDisk::Open::kChange);
        if (!files.ok()) return files.status();
        absl::StatusOr<BootView> view = LookAtBoot(*machine->disk, **files);
        if (!view.ok()) return view.status();
        absl::StatusOr<std::vector<host::BootFile>> may_go =
            MayGo(*view, machine->disk->running_root());
        if (!may_go.ok()) return may_go.status();
        for (const host::BootFile& file : *may_go) {
          if (absl::Status status = (*files)->Remove(file.name); !status.ok()) return status;
        }
        return absl::OkStatus();
      },
      [this, job](absl::Status status) {
        if (!Current(*job)) return;
        if (!status.ok()) return Finish(job, std::move(status));
        deps_.files->Open(job->manifest.slot.sha256.Hex(),
                          [this, job](absl::StatusOr<std::shared_ptr<host::UniqueFd>> file) {
                            if (!Current(*job)) return;
                            if (!file.ok()) return Finish(job, file.status());
                            job->copy = std::make_unique<SlotCopy>(
                                *machine_->disk, host::Other(machine_->disk->running_slot()), *file,
                                job->manifest);
                            CopySlot(job);
                          });
      });
}

void ControllerImpl::CopySlot(const JobPtr& job) {
  using Done = absl::StatusOr<bool>;
  engine::OnPool<Done>(
      deps_.executor,
      [machine = machine_, job]() -> Done {
        std::lock_guard lock(machine->mu);
        // Some at a time: the loop stays in charge, and a cancel is heard.
        for (int i = 0; i < 16; ++i) {
          Done done = job->copy->Step();
          if (!done.ok() || *done) return done;
        }
        return false;
      },
      [this, job](Done done) {
        if (!Current(*job)) return;
        if (!done.ok()) return Finish(job, done.status());
        job->progress(
            absl::StrCat("write slot ", host::ToString(host::Other(deps_.disk->running_slot()))),
            job->copy->done(), job->copy->total());
        if (*done) return CopyKernel(job);
        CopySlot(job);
      });
}

void ControllerImpl::CopyKernel(const JobPtr& job) {
  engine::OnPool<absl::Status>(
      deps_.executor,
      [machine = machine_, job] {
        std::lock_guard lock(machine->mu);
        absl::StatusOr<std::unique_ptr<host::BootFiles>> files =
            machine->disk->OpenFiles(host::BootDisk::Open::kChange);
        if (!files.ok()) return files.status();
        return WriteKernel(**files, job->kernel->get(), job->manifest);
      },
      [this, job](absl::Status status) {
        if (!Current(*job)) return;
        if (!status.ok()) return Finish(job, std::move(status));
        deps_.files->KeepOnly({});
        Prepared(job);
      });
}

void ControllerImpl::Prepared(const JobPtr& job) {
  prepared_root_ = job->manifest.root;
  prepared_generation_ = job->wanted.generation;
  Finish(job, absl::OkStatus());
}

}  // namespace basalt::update
