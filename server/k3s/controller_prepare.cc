// Before anything that runs is touched: what a config needs (artifacts, ports, a disk), and what of
// it may go again.
#include <cstdlib>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/engine/blocking.h"
#include "server/fetch/outside.h"
#include "server/k3s/controller_impl.h"
#include "server/k3s/guards.h"
#include "server/k3s/plan.h"

namespace basalt::k3s {

bool ControllerImpl::Alive(host::ServiceState state) {
  return state == host::ServiceState::kStarting || state == host::ServiceState::kRunning ||
         state == host::ServiceState::kBackingOff || state == host::ServiceState::kStopping;
}

std::vector<std::string> ControllerImpl::Outside(const v1::MachineConfig& config) const {
  std::map<std::string, std::string> found;
  for (const char* name : {"http_proxy", "https_proxy", "no_proxy", "all_proxy", "SSL_CERT_FILE"}) {
    if (const char* value = getenv(name); value != nullptr) found[name] = value;
  }
  for (const auto& [name, value] :
       fetch::OutsideEnvironment(config.system(), deps_.platform.paths().root)) {
    found[name == "SSL_CERT_FILE" ? name : absl::AsciiStrToLower(name)] = value;
  }
  for (const v1::EnvVar& variable : config.k3s().env()) {
    std::string lower = absl::AsciiStrToLower(variable.name());
    if (lower == "http_proxy" || lower == "https_proxy" || lower == "no_proxy" ||
        lower == "all_proxy") {
      found[lower] = variable.value();
    }
  }
  std::vector<std::string> env;
  for (const auto& [name, value] : found) env.push_back(absl::StrCat(name, "=", value));
  return env;
}

absl::StatusOr<engine::ControllerPlan> ControllerImpl::Plan(const v1::MachineConfig* from,
                                                            const v1::MachineConfig& to) const {
  const host::Hardware& hardware = deps_.platform.hardware();
  MachineSize machine{.memory = hardware.memory_total,
                      .cpus = hardware.cpus,
                      .data_on_flash = hardware.data_on_flash};
  if (absl::StatusOr<uint64_t> free = deps_.vfs.FreeBytes("data"); free.ok()) {
    machine.free_bytes = static_cast<int64_t>(*free);
  }
  absl::StatusOr<engine::ControllerPlan> plan = PlanK3s(from, to, Facts(), machine);
  std::string unimplemented = deps_.platform.Unimplemented("k3s");
  if (plan.ok() && !unimplemented.empty()) {
    for (engine::PlanStep& step : plan->steps) step.unimplemented = unimplemented;
  }
  return plan;
}

absl::StatusOr<std::vector<ControllerImpl::Wanted>> ControllerImpl::WantedArtifacts(
    const v1::MachineConfig& to) const {
  const std::string& architecture = deps_.platform.hardware().architecture;
  std::vector<Wanted> wanted;
  absl::StatusOr<const v1::Artifact*> binary =
      ForArchitecture(to.k3s().artifacts(), architecture, "k3s.artifacts");
  if (!binary.ok()) return binary.status();
  wanted.push_back({absl::StrCat("K3s ", to.k3s().version()), **binary});
  for (const v1::K3sImage& image : to.k3s().images()) {
    absl::StatusOr<const v1::Artifact*> artifact = ForArchitecture(
        image.artifacts(), architecture, absl::StrCat("k3s.images[", image.name(), "]"));
    if (!artifact.ok()) return artifact.status();
    wanted.push_back({absl::StrCat("image ", image.name()), **artifact});
  }
  return wanted;
}

void ControllerImpl::EnsureAll(std::deque<Wanted> rest, std::vector<std::string> proxies,
                               engine::OnProgress progress, Next next) {
  if (rest.empty()) return next(absl::OkStatus());
  Wanted wanted = std::move(rest.front());
  rest.pop_front();
  parts_.store->Ensure(
      wanted.what, wanted.artifact, proxies, progress,
      [this, rest = std::move(rest), proxies, progress, next](absl::Status status) mutable {
        if (!status.ok()) return next(std::move(status));
        EnsureAll(std::move(rest), std::move(proxies), std::move(progress), std::move(next));
      });
}

absl::Status ControllerImpl::CheckPorts(const v1::MachineConfig& to) const {
  std::optional<host::ServiceStatus> service = FindService();
  if (service && Alive(service->state)) return absl::OkStatus();  // they are K3s's own
  const Ports ports = PortsOf(to.k3s());
  std::string address = deps_.platform.k3s_confined() ? deps_.platform.k3s_address() : "0.0.0.0";
  std::vector<int> needed = {10250, IsServer(to.k3s()) ? ports.https : ports.load_balancer};
  for (int port : needed) {
    std::string taken = parts_.files->PortTaken(address, port);
    if (taken.empty()) continue;
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "port-in-use",
        absl::StrCat("K3s cannot start: ", taken),
        "end what uses it (`ss -lntp` names it), or give K3s another port in k3s.config");
  }
  return absl::OkStatus();
}

void ControllerImpl::Prepare(const v1::MachineConfig& to, engine::OnProgress progress,
                             engine::Done done) {
  uint64_t epoch = ++prepare_epoch_;
  if (!to.has_k3s()) return done(absl::OkStatus());
  absl::StatusOr<Rendered> rendered = Render(to, Facts());
  if (!rendered.ok()) return done(rendered.status());
  absl::StatusOr<std::vector<Wanted>> wanted = WantedArtifacts(to);
  if (!wanted.ok()) return done(wanted.status());
  if (absl::Status status = CheckPorts(to); !status.ok()) return done(status);
  if (absl::Status status = deps_.vfs.MakeDirs("data/store"); !status.ok()) return done(status);
  preparing_ = true;
  Next ended = [this, epoch, done = std::move(done)](absl::Status status) {
    if (epoch == prepare_epoch_)
      preparing_ = false;
    else
      status = absl::CancelledError("superseded");
    done(std::move(status));
  };
  CheckDisk(to, [this, epoch, ended, version = to.k3s().version(), progress = std::move(progress),
                 proxies = Outside(to), wanted = *std::move(wanted)](absl::Status status) {
    if (!status.ok() || epoch != prepare_epoch_) return ended(std::move(status));
    EnsureAll({wanted.begin(), wanted.end()}, proxies, progress,
              [this, epoch, ended, version,
               sha256 = wanted.front().artifact.sha256()](absl::Status fetched) {
                if (!fetched.ok() || epoch != prepare_epoch_) return ended(std::move(fetched));
                parts_.release->Check(sha256, version, ended);
              });
  });
}

// Not where etcd runs already: its own writes would be in the way, and it is late to say so.
void ControllerImpl::CheckDisk(const v1::MachineConfig& to, Next next) {
  if (!WantsEtcdDisk(to.k3s()) || (config_ && UsesEtcd(config_->k3s())))
    return next(absl::OkStatus());
  using Took = absl::StatusOr<absl::Duration>;
  OnPool<Took>(
      deps_.executor, [files = parts_.files, dir = Abs("data")] { return files->MeasureDisk(dir); },
      [k3s = to.k3s(), next = std::move(next)](Took took) {
        // Ignoring a failure: what cannot be tried is not known to be slow.
        next(took.ok() ? CheckEtcdDisk(k3s, *took) : absl::OkStatus());
      });
}

void ControllerImpl::CancelPrepare() {
  if (!preparing_) return;
  ++prepare_epoch_;
  preparing_ = false;
  parts_.store->Cancel();
}

void ControllerImpl::CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) {
  std::set<std::string> digests;
  auto keep = [&digests](const v1::K3sArtifacts& artifacts) {
    for (const v1::Artifact* a : {&artifacts.amd64(), &artifacts.arm64(), &artifacts.arm()}) {
      if (a->has_sha256()) digests.insert(a->sha256());
    }
  };
  for (const v1::MachineConfig* config : kept) {
    if (!config->has_k3s()) continue;
    keep(config->k3s().artifacts());
    for (const v1::K3sImage& image : config->k3s().images()) keep(image.artifacts());
  }
  if (config_) {
    keep(config_->k3s().artifacts());
    for (const v1::K3sImage& image : config_->k3s().images()) keep(image.artifacts());
  }
  parts_.store->KeepOnly(digests);
  // K3s never removes the tree of a release that it does not run any more.
  std::set<std::string> trees;
  for (const std::string& name : deps_.vfs.List(kTreesDir).value_or(std::vector<std::string>{})) {
    std::string path = absl::StrCat(kTreesDir, "/", name);
    if (digests.count(name) == 0) {
      // Ignoring failure: it is found again the next time.
      (void)deps_.vfs.Remove(path);
      continue;
    }
    absl::StatusOr<std::string> text = deps_.vfs.Read(path);
    absl::StatusOr<TreeRecord> record = text.ok() ? DecodeTree(*text) : text.status();
    if (record.ok()) trees.insert(record->hash);
  }
  // One that is being made now has no record yet, and nothing runs from it.
  if (health_.active() && health_.rung() != Rung::kNodeReady) return;
  Submit(
      deps_.executor,
      [files = parts_.files, dir = Abs(kDataDir), trees] { files->KeepTrees(dir, trees); }, [] {});
}

}  // namespace basalt::k3s
