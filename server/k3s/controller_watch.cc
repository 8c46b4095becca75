// The watching half of the controller: events, probes, labels, status.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "server/engine/blocking.h"
#include "server/k3s/cluster_flags.h"
#include "server/k3s/controller_impl.h"
#include "server/k3s/kubeconfig.h"

namespace basalt::k3s {
namespace {

constexpr absl::Duration kProbeClimbing = absl::Seconds(1);
constexpr absl::Duration kProbeAtRest = absl::Seconds(30);
constexpr size_t kOutputBytes = 64 << 10;
constexpr size_t kLastLines = 50;
constexpr absl::Duration kRenewal = absl::Hours(90 * 24);  // of K3s's certificates

}  // namespace

ProbeTarget ControllerImpl::Target() const {
  const Ports ports = PortsOf(config_->k3s());
  ProbeTarget target;
  target.server = IsServer(config_->k3s());
  target.address = deps_.platform.k3s_address();
  target.local_address = LocalAddress(target.address);
  target.https_port = ports.https;
  target.lb_port = ports.load_balancer;
  target.node_name = config_->metadata().name();
  target.data_dir = Abs(kDataDir);
  // Once it said so itself its word counts: a wall clock that is set forward would make what it
  // posts every few minutes look older than its start. Kubernetes' times have whole seconds.
  if (!health_.was_node_ready())
    target.started = deps_.clock.Now() - (deps_.clock.SinceBoot() - health_.process_started()) -
                     absl::Seconds(1);
  return target;
}

void ControllerImpl::OnServiceEvent(const host::ServiceEvent& event) {
  parts_.store->OnServiceEvent(event);
  parts_.rules->OnServiceEvent(event);
  parts_.release->OnServiceEvent(event);
  if (event.name != kService && event.kind != host::ServiceEvent::Kind::kLost) return;
  Refresh();
  if (event.kind == host::ServiceEvent::Kind::kReady) ScheduleProbe(absl::ZeroDuration());
  if (event.kind == host::ServiceEvent::Kind::kStarted) ScheduleProbe(kProbeClimbing);
}

// Events are only a reason to look: several may have been lost or be of an earlier noded, the list
// is how things are.
void ControllerImpl::Refresh() {
  std::optional<host::ServiceStatus> service = FindService();
  if (stop_waiter_ && (!service || !Alive(service->state))) {
    std::exchange(stop_waiter_, nullptr)(absl::OkStatus());
    return;
  }
  if (!service || !health_.active()) return;
  health_.OnService(*service, deps_.clock.SinceBoot());
  if (health_.rung() == Rung::kStopped) ReadOutput();
  Changed();
}

void ControllerImpl::ScheduleProbe(absl::Duration delay) {
  if (probe_timer_ != 0) deps_.executor.CancelTimer(probe_timer_);
  probe_timer_ = deps_.executor.After(delay, [this] {
    probe_timer_ = 0;
    RunProbe();
  });
}

void ControllerImpl::RunProbe() {
  if (!config_ || !health_.active()) return;
  if (probing_) return ScheduleProbe(kProbeClimbing);
  Refresh();
  if (!health_.active() || health_.rung() == Rung::kStopped) {
    // Backing off: its next start is an event.
    return;
  }
  probing_ = true;
  uint64_t epoch = epoch_;
  int pid = health_.pid();
  OnPool<ProbeResult>(
      deps_.executor, [probe = parts_.probe, target = Target()] { return probe->Probe(target); },
      [this, epoch, pid](ProbeResult result) {
        probing_ = false;
        // An answer from before a restart says nothing about what runs now.
        if (epoch == epoch_ && pid == health_.pid()) {
          result.detail = Scrub(result.detail, secrets_);
          health_.OnProbe(result, deps_.clock.SinceBoot());
        }
        if (config_ && health_.active()) AfterProbe();
      });
}

void ControllerImpl::AfterProbe() {
  if (health_.rung() != Rung::kNodeReady) {
    ReadOutput();
  } else {
    ReconcileLabels();
    RecordTree();
  }
  // Often enough to see a hang within its own deadline.
  absl::Duration at_rest = std::clamp(limits_.liveness / 4, kProbeClimbing, kProbeAtRest);
  ScheduleProbe(health_.at_rest() ? at_rest : kProbeClimbing);
  Changed();
  if (busy_ == 0 && health_.LivenessExpired(limits_.liveness, deps_.clock.SinceBoot()) &&
      Restart().ok()) {
    ++liveness_restarts_;
  }
}

void ControllerImpl::ReadOutput() {
  uint64_t end = deps_.supervisor.OutputOffset(kService).value_or(0);
  uint64_t fresh = end > output_start_ ? end - output_start_ : 0;
  if (fresh == 0) return;
  absl::StatusOr<std::string> output =
      deps_.supervisor.Output(kService, std::min<uint64_t>(fresh, kOutputBytes));
  if (!output.ok()) return;  // ignoring: it only explains
  health_.OnOutput(FindFailure(*output), Scrub(FatalMessage(*output), secrets_),
                   LastLines(*output, kLastLines, secrets_));
}

void ControllerImpl::ReconcileLabels() {
  if (labels_busy_ || !labels_refused_.empty()) return;
  std::map<std::string, std::string> wanted(config_->k3s().node().labels().begin(),
                                            config_->k3s().node().labels().end());
  std::string owned_text = deps_.vfs.Read(kOwnedLabelsPath).value_or("");
  std::set<std::string> owned = absl::StrSplit(owned_text, '\n', absl::SkipEmpty());
  const std::map<std::string, std::string>& there = health_.probe().labels;
  LabelPatch patch;
  std::set<std::string> names;
  for (const auto& [key, value] : wanted) {
    names.insert(key);
    auto it = there.find(key);
    if (it == there.end() || it->second != value) patch[key] = value;
  }
  for (const std::string& key : owned) {
    if (wanted.count(key) == 0 && there.count(key) > 0) patch[key] = std::nullopt;
  }
  auto text = [](const std::set<std::string>& keys) {
    return keys.empty() ? std::string() : absl::StrCat(absl::StrJoin(keys, "\n"), "\n");
  };
  // First the record, then the Node: what was set and forgotten could never be removed.
  std::set<std::string> both = names;
  if (!patch.empty()) both.insert(owned.begin(), owned.end());
  if (text(both) != owned_text && !deps_.vfs.Replace(kOwnedLabelsPath, text(both)).ok()) {
    return;  // ignoring: the next probe tries again
  }
  if (patch.empty()) return;
  labels_busy_ = true;
  uint64_t epoch = epoch_;
  OnPool<absl::Status>(
      deps_.executor,
      [probe = parts_.probe, target = Target(), patch] {
        return probe->PatchLabels(target, patch);
      },
      [this, epoch](absl::Status status) {
        labels_busy_ = false;
        if (epoch != epoch_) return;
        if (absl::IsPermissionDenied(status)) labels_refused_ = std::string(status.message());
        ScheduleProbe(kProbeClimbing);
      });
}

void ControllerImpl::RecordTree() {
  if (tree_recorded_) return;
  absl::StatusOr<const v1::Artifact*> binary =
      ForArchitecture(config_->k3s().artifacts(), deps_.platform.hardware().architecture, "");
  if (!binary.ok()) return;
  tree_recorded_ = true;
  std::string path = absl::StrCat(kTreesDir, "/", (*binary)->sha256());
  const bool known = deps_.vfs.Exists(path);
  using Tree = absl::StatusOr<TreeRecord>;
  OnPool<Tree>(
      deps_.executor,
      [files = parts_.files, dir = Abs(kDataDir), pid = health_.pid(), known] {
        return files->ReadTree(dir, pid, /*contents=*/!known);
      },
      [this, path, known](Tree tree) {
        // Ignoring a failure: without a record the next start extracts or trusts what K3s checks,
        // and the next time it is Ready it is tried again.
        if (absl::IsFailedPrecondition(tree.status())) {
          tree_note_ = std::string(tree.status().message());
          if (on_change_) on_change_();
        }
        if (!tree.ok() || known) return;
        if (!deps_.vfs.MakeDirs(kTreesDir).ok() || !deps_.vfs.Replace(path, Encode(*tree)).ok()) {
          tree_recorded_ = false;
          return;
        }
        if (on_change_) on_change_();
      });
}

void ControllerImpl::Changed() {
  std::vector<engine::Condition> now = Observe();
  std::string rung = ToString(health_.rung());
  if (now == last_conditions_ && rung == last_rung_) return;
  last_conditions_ = std::move(now);
  last_rung_ = rung;
  if (on_change_) on_change_();
}

std::vector<engine::Condition> ControllerImpl::Observe() const {
  if (!config_) return {};
  if (health_.active()) return health_.Conditions();
  // Between stop and start, or never started: nothing holds, and that is awaited.
  std::vector<engine::Condition> out;
  for (const char* type : {"K3sRunning", "K3sReady", "NodeReady"}) {
    out.push_back({.type = type,
                   .reason = awaiting_clock_ ? "TimeUnverified" : "Starting",
                   .message = awaiting_clock_ ? "K3s waits for a clock that is right"
                                              : "K3s is being started",
                   .code = awaiting_clock_ ? "time-unsynced" : "k3s-not-ready"});
  }
  return out;
}

absl::Duration ControllerImpl::Deadline(const v1::MachineConfig& to,
                                        const std::string& condition) const {
  const HealthLimits limits = LimitsOf(to);
  if (condition == "NodeReady" || !IsServer(to.k3s())) return limits.node_ready;
  return limits.readyz;
}

std::vector<v1::Resource> ControllerImpl::Resources() const {
  v1::Resource resource;
  resource.set_kind("K3sStatus");
  resource.set_name("k3s");
  v1::K3sStatus& status = *resource.mutable_k3s_status();
  if (!config_) {
    // Gone, but for what could not be taken away.
    if (rules_note_.empty()) return {};
    status.set_rung(ToString(Rung::kStopped));
    status.set_reason("Removed");
    status.set_message(rules_note_);
    return {resource};
  }
  const v1::K3s& k3s = config_->k3s();
  const ProbeResult& probe = health_.probe();
  status.set_role(IsServer(k3s) ? "server" : "agent");
  status.set_version(probe.kubelet_version.empty() ? k3s.version() : probe.kubelet_version);
  if (absl::StatusOr<const v1::Artifact*> binary =
          ForArchitecture(k3s.artifacts(), deps_.platform.hardware().architecture, "");
      binary.ok()) {
    status.set_sha256((*binary)->sha256());
  }
  status.set_rung(ToString(health_.rung()));
  status.set_ready(health_.rung() == Rung::kNodeReady);
  engine::Condition worst = health_.active() ? health_.Worst() : Observe().front();
  status.set_reason(worst.holds ? "Ready" : worst.reason);
  std::vector<std::string> notes;
  if (!worst.holds) notes.push_back(worst.message);
  if (!labels_refused_.empty()) notes.push_back(labels_refused_);
  if (!tree_note_.empty()) notes.push_back(tree_note_);
  if (!restart_note_.empty()) notes.push_back(restart_note_);
  if (!rules_note_.empty()) notes.push_back(rules_note_);
  // A file that is pinned may be of any release, whatever the config calls it.
  if (!probe.kubelet_version.empty() && probe.kubelet_version != k3s.version()) {
    notes.push_back(absl::StrCat("this is K3s ", probe.kubelet_version, "; k3s.version says ",
                                 k3s.version(), ", whose keys k3s.config was checked against"));
  }
  if (probe.certificates_end - deps_.clock.Now() < kRenewal) {
    notes.push_back(
        absl::StrCat("certificates of K3s end on ",
                     absl::FormatTime("%Y-%m-%d", probe.certificates_end, absl::UTCTimeZone()),
                     ": it renews them when it is restarted, pods keep running"));
  }
  if (liveness_restarts_ > 0) {
    notes.push_back(
        absl::StrCat("restarted ", liveness_restarts_, " times because it did not answer"));
  }
  status.set_message(absl::StrJoin(notes, "; "));
  status.set_ca_hash(probe.ca_hash);
  if (k3s.cluster().has_server()) status.set_server_url(k3s.cluster().server());
  status.set_node_name(config_->metadata().name());
  for (const std::string& line : health_.last_lines()) status.add_last_lines(line);
  status.set_is_double(probe.is_double);
  status.set_config_digest(rendered_.config_digest);
  status.set_pid(health_.pid());
  for (const auto& [key, value] : ClusterFlags(k3s)) (*status.mutable_cluster_flags())[key] = value;
  return {resource};
}

absl::StatusOr<std::string> ControllerImpl::Kubeconfig(absl::Duration validity) {
  if (!config_ || !IsServer(config_->k3s())) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "k3s-not-server",
                      "only a K3s server can issue a kubeconfig", "ask a server of the cluster");
  }
  const std::string tls = absl::StrCat(kDataDir, "/server/tls/");
  absl::StatusOr<std::string> server_ca = deps_.vfs.Read(tls + "server-ca.crt", 1 << 20);
  absl::StatusOr<std::string> client_ca = deps_.vfs.Read(tls + "client-ca.crt", 1 << 20);
  absl::StatusOr<std::string> client_key = deps_.vfs.Read(tls + "client-ca.key", 1 << 20);
  if (!server_ca.ok() || !client_ca.ok() || !client_key.ok() || health_.rung() < Rung::kReadyz) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "k3s-not-ready",
                      "K3s is not ready yet", "`nodectl get k3s-status` shows how far it is");
  }
  KubeconfigInput input;
  input.cluster = config_->metadata().cluster();
  input.node_name = config_->metadata().name();
  std::string address = deps_.platform.k3s_address();
  if (absl::StrContains(address, ':')) address = absl::StrCat("[", address, "]");
  input.server_url = absl::StrCat("https://", address, ":", PortsOf(config_->k3s()).https);
  input.server_ca_pem = *server_ca;
  input.client_ca_pem = *client_ca;
  input.client_ca_key_pem = *client_key;
  input.now = deps_.clock.Now();
  input.validity = std::min(validity, absl::Hours(8));
  return MakeKubeconfig(input);
}

}  // namespace basalt::k3s
