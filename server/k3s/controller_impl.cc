#include "server/k3s/controller_impl.h"

#include <fcntl.h>

#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "machineconfig/schema/resolve.h"
#include "server/engine/blocking.h"

namespace basalt::k3s {
namespace {

constexpr absl::Duration kClockRetry = absl::Seconds(5);
constexpr absl::Duration kRestartRetry = absl::Seconds(30);

}  // namespace

ControllerImpl::ControllerImpl(const K3sDeps& deps, K3sParts parts)
    : deps_(deps), parts_(std::move(parts)) {}

ControllerImpl::~ControllerImpl() {
  if (probe_timer_ != 0) deps_.executor.CancelTimer(probe_timer_);
}

NodeFacts ControllerImpl::Facts() const {
  NodeFacts facts;
  facts.root = deps_.platform.paths().root;
  facts.architecture = deps_.platform.hardware().architecture;
  facts.address = deps_.platform.k3s_address();
  facts.confined = deps_.platform.k3s_confined();
  facts.addresses = parts_.files->Addresses();
  facts.hardened_kernel = deps_.platform.hardened_kernel();
  facts.resolv_conf = parts_.files->ResolvConf();
  return facts;
}

std::optional<host::ServiceStatus> ControllerImpl::FindService() const {
  absl::StatusOr<std::vector<host::ServiceStatus>> list = deps_.supervisor.List();
  if (!list.ok()) return std::nullopt;
  for (const host::ServiceStatus& service : *list) {
    if (service.name == kService) return service;
  }
  return std::nullopt;
}

ControllerImpl::Next ControllerImpl::Guarded(uint64_t epoch, engine::Done done,
                                             std::function<void()> next) {
  return [this, epoch, done = std::move(done), next = std::move(next)](absl::Status status) {
    if (epoch != epoch_) return done(absl::CancelledError("superseded by a newer configuration"));
    if (!status.ok()) return done(std::move(status));
    next();
  };
}

engine::Done ControllerImpl::Busy(engine::Done done) {
  ++busy_;
  return [this, done = std::move(done)](absl::Status status) {
    --busy_;
    done(std::move(status));
  };
}

void ControllerImpl::Execute(const v1::MachineConfig* to, engine::Done when_done) {
  engine::Done done = Busy(std::move(when_done));
  uint64_t epoch = ++epoch_;
  awaiting_clock_ = false;
  restart_note_.clear();
  rules_note_.clear();
  labels_refused_.clear();
  if (to == nullptr || !to->has_k3s()) {
    config_.reset();
    return FullStop(epoch, std::move(done));
  }
  absl::StatusOr<Rendered> rendered = Render(*to, Facts());
  if (!rendered.ok()) return done(rendered.status());
  bool role_changed = config_ && IsServer(config_->k3s()) != IsServer(to->k3s());
  config_ = *to;
  secrets_ = schema::SecretValues(*to);
  limits_ = LimitsOf(*to);
  std::optional<host::ServiceStatus> service = FindService();
  if (service && Alive(service->state) && service->state != host::ServiceState::kStopping &&
      service->tag == rendered->tag) {
    // What runs is what is wanted: it is not touched, only what it reads live.
    rendered_ = std::move(*rendered);
    absl::Status status = WriteFiles(rendered_);
    if (status.ok()) status = WriteManifests(rendered_);
    if (!health_.active()) health_.Adopted(IsServer(to->k3s()), *service, deps_.clock.SinceBoot());
    ScheduleProbe(absl::ZeroDuration());
    Changed();
    return done(std::move(status));
  }
  absl::StatusOr<std::vector<Wanted>> wanted = WantedArtifacts(*to);
  if (!wanted.ok()) return done(wanted.status());
  if (absl::Status status = deps_.vfs.MakeDirs("data/store"); !status.ok()) return done(status);
  EnsureAll(
      {wanted->begin(), wanted->end()}, Outside(*to), nullptr,
      Guarded(epoch, done, [this, epoch, role_changed, rendered = std::move(*rendered), done] {
        if (!role_changed) return Run(epoch, rendered, done);
        // Pods of the old role belong to another control plane.
        StopThen(epoch, Guarded(epoch, done, [this, epoch, rendered, done] {
                   CleanUp(epoch, Guarded(epoch, done, [this, epoch, rendered, done] {
                             Run(epoch, rendered, done);
                           }));
                 }));
      }));
}

void ControllerImpl::Run(uint64_t epoch, Rendered rendered, engine::Done done) {
  StopThen(epoch, Guarded(epoch, done, [this, epoch, rendered = std::move(rendered), done] {
             rendered_ = rendered;
             absl::Status status = WriteFiles(rendered_);
             if (status.ok()) status = WriteManifests(rendered_);
             if (!status.ok()) return done(status);
             LinkImages(epoch, Guarded(epoch, done, [this, epoch, done] {
                          CheckTree(epoch, Guarded(epoch, done,
                                                   [this, epoch, done] { Launch(epoch, done); }));
                        }));
           }));
}

absl::Status ControllerImpl::WriteFiles(const Rendered& rendered) {
  std::set<std::string> wanted;
  for (const RenderedFile& file : rendered.files) {
    wanted.insert(file.path);
    absl::StatusOr<std::string> there = deps_.vfs.Read(file.path);
    if (there.ok() && *there == file.content) continue;  // a node at rest writes nothing
    std::string dir = file.path.substr(0, file.path.rfind('/'));
    if (absl::Status status = deps_.vfs.MakeDirs(dir); !status.ok()) return status;
    absl::Status status = file.volatile_file ? deps_.vfs.ReplaceVolatile(file.path, file.content)
                                             : deps_.vfs.Replace(file.path, file.content);
    if (!status.ok()) return api::Annotate(status, absl::StrCat("writing ", file.path));
  }
  std::vector<std::string> ours = {kRegistriesPath, kTokenPath, kAgentTokenPath};
  for (const char* name : {"ca.crt", "client.crt", "client.key"})
    ours.push_back(absl::StrCat(kDatastorePrefix, name));
  for (const std::string& name :
       deps_.vfs.List(kCertificatesDir).value_or(std::vector<std::string>{})) {
    ours.push_back(absl::StrCat(kCertificatesDir, "/", name));
  }
  for (const std::string& path : ours) {
    if (wanted.count(path) > 0 || !deps_.vfs.Exists(path)) continue;
    if (absl::Status status = deps_.vfs.Remove(path); !status.ok()) return status;
  }
  // Before K3s runs: its data directory with the mode that it gives it itself.
  return deps_.vfs.Exists(kDataDir) ? absl::OkStatus() : deps_.vfs.MakeDirs(kDataDir, 0755);
}

absl::Status ControllerImpl::WriteManifests(const Rendered& rendered) {
  std::set<std::string> wanted;
  for (const RenderedFile& file : rendered.manifests) {
    wanted.insert(file.path);
    absl::StatusOr<std::string> there = deps_.vfs.Read(file.path);
    if (there.ok() && *there == file.content) continue;
    if (absl::Status status = deps_.vfs.MakeDirs(kManifestsDir); !status.ok()) return status;
    if (absl::Status status = deps_.vfs.ReplaceVolatile(file.path, file.content); !status.ok())
      return status;
  }
  for (const std::string& name :
       deps_.vfs.List(kManifestsDir).value_or(std::vector<std::string>{})) {
    std::string path = absl::StrCat(kManifestsDir, "/", name);
    if (!absl::StartsWith(name, kOwnPrefix) || wanted.count(path) > 0) continue;
    if (absl::Status status = deps_.vfs.Remove(path); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void ControllerImpl::StopThen(uint64_t epoch, Next next) {
  std::optional<host::ServiceStatus> service = FindService();
  if (!service || !Alive(service->state)) return next(absl::OkStatus());
  health_.Stopped();
  if (absl::Status status = deps_.supervisor.Stop(kService);
      !status.ok() && !absl::IsNotFound(status)) {
    return next(api::Annotate(status, "stopping K3s"));
  }
  if (stop_waiter_) std::exchange(stop_waiter_, nullptr)(absl::CancelledError("superseded"));
  stop_waiter_ = std::move(next);
  // It may have ended already: then no event comes.
  deps_.executor.Post([this] { Refresh(); });
}

void ControllerImpl::CleanUp(uint64_t epoch, Next next) {
  OnPool<absl::Status>(
      deps_.executor,
      [files = parts_.files, dir = Abs(kDataDir), owns = deps_.platform.owns_namespaces()] {
        return files->CleanUp(dir, owns);
      },
      [this, epoch, next = std::move(next)](absl::Status status) {
        if (!status.ok()) {
          return next(
              api::Coded(absl::StatusCode::kUnavailable, "k3s-cleanup-failed", status.message()));
        }
        // An Execute that came meanwhile may have started K3s, which needs its rules.
        if (epoch != epoch_ || !deps_.platform.owns_namespaces()) return next(status);
        SweepRules(std::move(next));
      });
}

// After its processes: kube-proxy would put its rules back.
void ControllerImpl::SweepRules(Next next) {
  std::vector<std::string> dirs = absl::StrSplit(kPath, ':');
  for (const std::string& tree : parts_.files->Trees(Abs(kDataDir)))
    dirs.push_back(absl::StrCat(Abs(kDataDir), "/data/", tree, "/bin/aux"));
  parts_.rules->Sweep(std::move(dirs), [this, next = std::move(next)](std::string note) {
    rules_note_ = std::move(note);
    next(absl::OkStatus());
  });
}

void ControllerImpl::FullStop(uint64_t epoch, engine::Done done) {
  StopThen(epoch, Guarded(epoch, done, [this, epoch, done] {
             health_.Stopped();
             CleanUp(epoch, Guarded(epoch, done, [this, done] {
                       Rendered nothing;
                       rendered_ = nothing;
                       absl::Status status = WriteFiles(nothing);
                       for (const char* path : {kConfigPath, kKubeconfigPath}) {
                         if (status.ok() && deps_.vfs.Exists(path)) status = deps_.vfs.Remove(path);
                       }
                       if (status.ok()) status = WriteManifests(nothing);
                       Changed();
                       done(std::move(status));
                     }));
           }));
}

// Removing K3s from a config keeps its data, for the day that it comes back; a reset does not.
void ControllerImpl::Erase(engine::Done done) {
  parts_.store->Cancel();
  std::vector<std::string> places;
  for (const char* place :
       {kDataDir, "data/store", "etc/rancher/k3s", "etc/rancher/node", kTreesDir, kOwnedLabelsPath,
        kTokenPath, kAgentTokenPath, kKubeconfigPath}) {
    places.push_back(Abs(place));
  }
  for (const char* name : {"ca.crt", "client.crt", "client.key"})
    places.push_back(Abs(absl::StrCat(kDatastorePrefix, name)));
  OnPool<absl::Status>(
      deps_.executor, [files = parts_.files, places] { return files->Erase(places); },
      std::move(done));
}

void ControllerImpl::LinkImages(uint64_t epoch, Next next) {
  std::map<std::string, std::string> links;
  for (const auto& [name, sha256] : rendered_.images) links[name] = parts_.store->Path(sha256);
  OnPool<absl::Status>(
      deps_.executor,
      [files = parts_.files, dir = Abs(kImagesDir), links] {
        return files->LinkImages(dir, links);
      },
      std::move(next));
}

void ControllerImpl::CheckTree(uint64_t epoch, Next next) {
  tree_note_.clear();
  tree_recorded_ = false;
  absl::StatusOr<const v1::Artifact*> binary =
      ForArchitecture(config_->k3s().artifacts(), deps_.platform.hardware().architecture, "");
  if (!binary.ok()) return next(binary.status());
  absl::StatusOr<std::string> text =
      deps_.vfs.Read(absl::StrCat(kTreesDir, "/", (*binary)->sha256()));
  if (!text.ok()) return next(absl::OkStatus());  // never ran: it extracts anew
  absl::StatusOr<TreeRecord> record = DecodeTree(*text);
  using Found = std::vector<std::string>;
  auto work = [files = parts_.files, dir = Abs(kDataDir), record]() -> Found {
    if (!record.ok()) {
      // Without a record nothing proves any tree: all are made anew.
      for (const std::string& hash : files->Trees(dir)) files->RemoveTree(dir, hash);
      return {"(the record)"};
    }
    Found changed = files->CompareTree(dir, *record);
    if (!changed.empty()) files->RemoveTree(dir, record->hash);
    return changed;
  };
  OnPool<Found>(deps_.executor, work, [this, epoch, next = std::move(next)](Found changed) {
    if (epoch == epoch_ && !changed.empty()) {
      tree_note_ =
          absl::StrCat("K3s's extracted programs had been changed (", changed[0],
                       changed.size() > 1 ? absl::StrCat(" and ", changed.size() - 1, " more") : "",
                       "): they were removed and are extracted anew");
    }
    next(absl::OkStatus());
  });
}

// Certificates made with a wrong clock are of no use once it is right, and K3s makes its CA at the
// first start: so it waits.
void ControllerImpl::AwaitClock(uint64_t epoch) {
  awaiting_clock_ = true;
  Changed();
  deps_.executor.After(kClockRetry, [this, epoch] {
    if (epoch == epoch_) Launch(epoch, [this, epoch](absl::Status s) { RestartEnded(epoch, s); });
  });
}

void ControllerImpl::Launch(uint64_t epoch, Next next) {
  const bool allowed = deps_.unsynced_allowed != nullptr && deps_.unsynced_allowed();
  if (!deps_.clock.Synced() && !allowed) {
    AwaitClock(epoch);
    return next(absl::OkStatus());
  }
  awaiting_clock_ = false;
  absl::StatusOr<const v1::Artifact*> binary =
      ForArchitecture(config_->k3s().artifacts(), deps_.platform.hardware().architecture, "");
  if (!binary.ok()) return next(binary.status());
  parts_.store->Open(
      (*binary)->sha256(),
      [this, epoch, next = std::move(next)](absl::StatusOr<std::shared_ptr<host::UniqueFd>> file) {
        if (epoch != epoch_)
          return next(absl::CancelledError("superseded by a newer configuration"));
        if (!file.ok()) return next(file.status());
        host::ServiceSpec spec;
        spec.name = kService;
        spec.tag = rendered_.tag;
        spec.argv = rendered_.argv;
        spec.env = rendered_.env;
        spec.exec_fd = host::UniqueFd(fcntl((*file)->get(), F_DUPFD_CLOEXEC, 3));
        spec.cgroup = deps_.platform.k3s_confined() ? "" : "k3s";
        spec.restart.always = true;
        spec.notify = true;
        spec.apart = deps_.platform.keeps_volumes_from_k3s();
        output_start_ = deps_.supervisor.OutputOffset(kService).value_or(0);
        if (absl::Status status = deps_.supervisor.Start(std::move(spec)); !status.ok()) {
          return next(api::Annotate(status, "starting K3s"));
        }
        // A new start may begin a new ring of output.
        if (deps_.supervisor.OutputOffset(kService).value_or(0) < output_start_) output_start_ = 0;
        health_.Started(IsServer(config_->k3s()), deps_.clock.SinceBoot());
        if (std::optional<host::ServiceStatus> service = FindService()) {
          health_.Adopted(IsServer(config_->k3s()), *service, deps_.clock.SinceBoot());
        }
        ScheduleProbe(absl::Milliseconds(200));
        Changed();
        next(absl::OkStatus());
      });
}

absl::Status ControllerImpl::Restart() {
  if (!config_) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "no-k3s",
                      "this node's configuration has no K3s");
  }
  if (busy_ > 0) {
    return api::Coded(absl::StatusCode::kAborted, "busy", "K3s is being changed already",
                      "wait until that has ended");
  }
  absl::StatusOr<std::vector<Wanted>> wanted = WantedArtifacts(*config_);
  if (!wanted.ok()) return wanted.status();
  uint64_t epoch = ++epoch_;
  awaiting_clock_ = false;
  engine::Done done =
      Busy([this, epoch](absl::Status status) { RestartEnded(epoch, std::move(status)); });
  // What is not there to be started again must not be stopped.
  parts_.store->Open(
      wanted->front().artifact.sha256(),
      [this, epoch, done, wanted = *wanted](absl::StatusOr<std::shared_ptr<host::UniqueFd>> file) {
        Next run = Guarded(epoch, done, [this, epoch, done] { Run(epoch, rendered_, done); });
        // A download for the next config is not given up for this one.
        if (file.ok() || preparing_) return run(file.status());
        EnsureAll({wanted.begin(), wanted.end()}, Outside(*config_), nullptr, run);
      });
  return absl::OkStatus();
}

void ControllerImpl::RestartEnded(uint64_t epoch, absl::Status status) {
  if (epoch != epoch_) return;
  restart_note_ = status.ok() ? "" : absl::StrCat("K3s could not be restarted: ", status.message());
  Changed();
  if (status.ok() || health_.active()) return;
  // It was stopped and is wanted: nobody else would start it again.
  deps_.executor.After(kRestartRetry, [this, epoch] {
    if (epoch == epoch_) (void)Restart();  // ignoring: busy means that somebody else does it
  });
}

std::unique_ptr<K3sController> MakeK3sController(const K3sDeps& deps, K3sParts parts) {
  return std::make_unique<ControllerImpl>(deps, std::move(parts));
}

std::unique_ptr<K3sController> MakeK3sController(const K3sDeps& deps) {
  K3sParts parts;
  parts.store = artifacts::MakeArtifactStore(
      deps.executor, deps.supervisor,
      {.dir = deps.vfs.Absolute("data/store"), .fetch_program = deps.fetch_program});
  parts.probe = MakeNodeProbe();
  parts.files = MakeNodeFiles();
  parts.rules = MakeRuleSweep(deps.executor, deps.supervisor);
  parts.release = MakeReleaseCheck(deps.executor, deps.supervisor, *parts.store);
  return MakeK3sController(deps, std::move(parts));
}

}  // namespace basalt::k3s
