// Before anything changes: manifests and files of all that a config names, and whether they go
// together. Each step ends in the next or in Finish; a step whose job was cancelled ends nowhere.
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/controllers/extensions/controller_impl.h"
#include "server/engine/blocking.h"
#include "server/fetch/outside.h"

namespace basalt::extensions {
namespace {

std::vector<std::string> Environment(const v1::MachineConfig& config) {
  std::vector<std::string> env;
  for (const auto& [name, value] : fetch::OutsideEnvironment(config.system(), /*root=*/"")) {
    env.push_back(absl::StrCat(name, "=", value));
  }
  return env;
}

std::string FieldOf(const Wanted& wanted) {
  return absl::StrCat("system.extensions[", wanted.name, "]");
}

}  // namespace

void ControllerImpl::Prepare(const v1::MachineConfig& to, engine::OnProgress progress,
                             engine::Done done) {
  CancelPrepare();  // of what mends
  std::vector<Wanted> wanted = WantedBy(&to);
  if (wanted.empty()) return done(absl::OkStatus());
  for (const char* dir : {kManifests, kFiles}) {
    if (absl::Status status = deps_.vfs.MakeDirs(dir); !status.ok()) return done(status);
  }
  job_ = std::make_shared<Job>();
  job_->serial = ++last_serial_;
  job_->config = to;
  job_->wanted = std::move(wanted);
  job_->kernel = KernelFor(to);
  job_->progress = std::move(progress);
  job_->done = std::move(done);
  FetchManifest(job_);
}

void ControllerImpl::CancelPrepare() {
  if (job_ == nullptr) return;
  job_.reset();
  deps_.manifests->Cancel();
  deps_.files->Cancel();
}

void ControllerImpl::Finish(const JobPtr& job, absl::Status status) {
  if (!status.ok() && job->at < job->wanted.size()) {
    status = api::Annotate(status, FieldOf(job->wanted[job->at]));
  }
  job_.reset();
  job->done(std::move(status));
  Mend();
}

void ControllerImpl::FetchManifest(const JobPtr& job) {
  if (job->at == job->wanted.size()) return CheckTogether(job);
  const Wanted& wanted = job->wanted[job->at];
  v1::Artifact artifact;
  artifact.set_sha256(wanted.digest);
  for (const std::string& url : wanted.urls) artifact.add_urls(url);
  deps_.manifests->Ensure(absl::StrCat("manifest of ", wanted.name), artifact,
                          Environment(job->config), job->progress, [this, job](absl::Status s) {
                            if (!Current(*job)) return;
                            if (!s.ok()) return Finish(job, std::move(s));
                            ReadManifest(job);
                          });
}

void ControllerImpl::ReadManifest(const JobPtr& job) {
  deps_.manifests->Open(
      job->wanted[job->at].digest,
      [this, job](absl::StatusOr<std::shared_ptr<host::UniqueFd>> file) {
        if (!Current(*job)) return;
        if (!file.ok()) return Finish(job, file.status());
        using Read = absl::StatusOr<KnownExtension>;
        // The policy of this moment: signatures are judged when a document is taken.
        engine::OnPool<Read>(
            deps_.executor,
            [file = *file, job, policy = deps_.policy()]() -> Read {
              std::string text(kMostManifest, '\0');
              const ssize_t n = pread(file->get(), text.data(), text.size(), 0);
              if (n < 0) return absl::UnavailableError("reading a manifest");
              text.resize(static_cast<size_t>(n));
              return CheckManifest(text, job->wanted[job->at].digest, policy, job->config);
            },
            [this, job](Read found) {
              if (!Current(*job)) return;
              if (!found.ok()) return Finish(job, found.status());
              const Wanted& wanted = job->wanted[job->at];
              absl::Status fits =
                  CheckFits(found->manifest, wanted.name, deps_.architecture, job->kernel);
              if (!fits.ok()) return Finish(job, std::move(fits));
              known_[wanted.digest] = *std::move(found);
              FetchFile(job);
            });
      });
}

void ControllerImpl::FetchFile(const JobPtr& job) {
  const Wanted& wanted = job->wanted[job->at];
  const sign::ImageFile& file = known_[wanted.digest].manifest.file;
  v1::Artifact artifact;
  artifact.set_sha256(file.sha256.Hex());
  artifact.set_size(file.size);
  for (const std::string& url : wanted.urls) {
    artifact.add_urls(sign::BesideManifest(url, file.name));
  }
  deps_.files->Ensure(absl::StrCat("extension ", wanted.name), artifact, Environment(job->config),
                      job->progress, [this, job](absl::Status s) {
                        if (!Current(*job)) return;
                        if (!s.ok()) return Finish(job, std::move(s));
                        ++job->at;
                        FetchManifest(job);
                      });
}

void ControllerImpl::CheckTogether(const JobPtr& job) {
  std::vector<sign::ExtensionManifest> manifests;
  for (const Wanted& wanted : job->wanted) manifests.push_back(known_[wanted.digest].manifest);
  std::vector<const sign::ExtensionManifest*> all;
  for (const sign::ExtensionManifest& m : manifests) all.push_back(&m);
  if (absl::Status status = CheckConflicts(all); !status.ok()) {
    return Finish(job, api::Annotate(status, kName));
  }
  // One that waits for another kernel is laid over another root than runs.
  std::erase_if(manifests, [this](const sign::ExtensionManifest& m) {
    return !CheckKernel(m, deps_.kernel_release, "").ok();
  });
  engine::OnPool<absl::Status>(
      deps_.executor,
      [machine = machine_, manifests]() -> absl::Status {
        std::lock_guard lock(machine->mu);
        for (const sign::ExtensionManifest& m : manifests) {
          std::vector<std::string> paths;
          for (const auto& [path, what] : m.files) paths.push_back(path);
          absl::Status status = RefuseOfRoot(m, machine->mounts->OfRoot(paths));
          if (!status.ok()) return api::Annotate(status, kName);
        }
        return absl::OkStatus();
      },
      [this, job](absl::Status status) {
        if (Current(*job)) Finish(job, std::move(status));
      });
}

}  // namespace basalt::extensions
