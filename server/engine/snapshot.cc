#include "server/engine/snapshot.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace basalt::engine {
namespace {

void SetTime(int64_t unix, google::protobuf::Timestamp* out) {
  if (unix != 0) out->set_seconds(unix);
}

// Alarms that somebody should act on, and with which the node does all that it is asked for.
bool IsNoFailure(const std::string& alarm) {
  return alarm == "SignedByRevokedKey" || alarm == "SealedToMedium" ||
         alarm == "FirstConfigRefused";
}

// The parts of a resource that make it another version.
std::string Content(v1::Resource resource) {
  resource.clear_version();
  resource.clear_updated();
  return resource.SerializeAsString();
}

}  // namespace

v1::Generation ToGeneration(const stored::Entry& entry, bool active) {
  v1::Generation out;
  out.set_generation(entry.generation());
  out.set_digest(absl::StrCat("sha256:", entry.digest()));
  out.set_state(entry.state());
  SetTime(entry.accepted_unix(), out.mutable_accepted_at());
  if (entry.ended_unix() != 0) SetTime(entry.ended_unix(), out.mutable_ended_at());
  *out.mutable_signers() = entry.signers();
  out.set_reason(entry.reason());
  out.set_result(entry.result());
  out.set_result_code(entry.result_code());
  out.set_active(active);
  out.set_epoch(entry.epoch());
  out.set_committed_by_version(entry.committed_by_version());
  out.set_delivered_by(entry.delivered_by());
  *out.mutable_changed_paths() = entry.changed_paths();
  return out;
}

v1::Resource Publisher::Machine(const std::vector<Condition>& observed,
                                const std::vector<v1::Resource>& others) {
  const NodeDeps& deps = state_.deps;
  v1::Resource resource;
  resource.set_kind("MachineStatus");
  resource.set_name("machine");
  v1::MachineStatus& status = *resource.mutable_machine_status();
  const ApplyMachine::Pending* pending = machine_.pending();
  // A way back that fails again and again is no apply under way but a node in need.
  bool applying = pending != nullptr && pending->state != v1::APPLY_STATE_STAGED &&
                  pending->state != v1::APPLY_STATE_REVERT_FAILED;
  bool healthy = std::all_of(state_.alarms.begin(), state_.alarms.end(),
                             [](const auto& alarm) { return IsNoFailure(alarm.first); });
  std::map<std::string, v1::Condition> now;
  for (const Condition& condition : observed) {
    healthy &= condition.holds;
    v1::Condition& out = now[condition.type];
    out.set_type(condition.type);
    out.set_holds(condition.holds);
    out.set_reason(condition.reason);
    out.set_message(condition.message);
  }
  for (const auto& [type, condition] : state_.alarms) now[type] = condition;
  if (!deps.clock.Synced()) {
    v1::Condition& out = now["TimeUnverified"];
    out.set_type("TimeUnverified");
    out.set_holds(true);
    out.set_alarm(true);
    out.set_reason("ClockNotSynced");
    out.set_message(
        "the clock is not synchronised; times of documents are checked against the "
        "newest time that the node trusts");
  }
  for (auto& [type, condition] : now) {
    auto before = conditions_.find(type);
    bool same = before != conditions_.end() && before->second.holds() == condition.holds();
    if (same) {
      *condition.mutable_since() = before->second.since();
    } else if (!condition.has_since()) {
      condition.mutable_since()->set_seconds(state_.Unix());
    }
    *status.add_conditions() = condition;
  }
  conditions_ = std::move(now);
  bool configured = state_.committed != nullptr;
  status.set_stage(applying     ? "applying"
                   : !healthy   ? "degraded"
                   : configured ? "running"
                                : "maintenance");
  status.set_ready(configured && healthy);
  status.set_cluster(deps.trust.policy().cluster());
  if (configured) status.set_name(state_.committed->config->metadata().name());
  status.set_machine_id(deps.identity.machine_id());
  status.set_recipient(deps.sealing.recipient());
  status.set_platform(deps.platform.name());
  status.set_version(deps.version);
  status.set_boot_id(deps.clock.BootId());
  status.set_memory_total(deps.platform.hardware().memory_total);
  status.set_cpus(deps.platform.hardware().cpus);
  status.set_architecture(deps.platform.hardware().architecture);
  for (const v1::Resource& other : others) {
    if (other.has_k3s_status()) status.set_k3s_double(other.k3s_status().is_double());
  }
  return resource;
}

v1::Resource Publisher::Config() const {
  v1::Resource resource;
  resource.set_kind("ConfigStatus");
  resource.set_name("config");
  v1::ConfigStatus& status = *resource.mutable_config_status();
  if (state_.committed != nullptr) {
    const stored::Entry& entry = state_.committed->stored.entry();
    status.set_generation(entry.generation());
    status.set_digest(absl::StrCat("sha256:", entry.digest()));
    status.set_epoch(entry.epoch());
    *status.mutable_signers() = entry.signers();
    status.set_reason(entry.reason());
    SetTime(entry.ended_unix(), status.mutable_committed_at());
  }
  status.set_trust_version(state_.deps.trust.policy().version());
  status.set_floor_generation(state_.floor.generation());
  status.set_floor_epoch(state_.floor.epoch());
  if (const ApplyMachine::Pending* pending = machine_.pending()) {
    std::string digest = absl::StrCat("sha256:", pending->entry.digest());
    if (pending->state == v1::APPLY_STATE_STAGED) {
      status.set_staged_digest(digest);
      status.set_staged_generation(pending->entry.generation());
    } else {
      status.set_pending_digest(digest);
      status.set_pending_generation(pending->entry.generation());
      status.set_pending_state(pending->state);
    }
    if (pending->state == v1::APPLY_STATE_AWAITING_CONFIRM) {
      absl::Duration left = pending->confirm_deadline - state_.deps.clock.SinceBoot();
      SetTime(absl::ToUnixSeconds(state_.deps.clock.Now() + left),
              status.mutable_confirm_deadline());
    }
  }
  status.set_last_error(state_.last_error);
  status.set_last_error_code(state_.last_error_code);
  return resource;
}

void Publisher::AddServices(std::vector<v1::Resource>& out) const {
  auto services = state_.deps.supervisor.List();
  if (!services.ok()) {
    // Ignoring: the next change asks again; the conditions of the controllers say what is wrong.
    return;
  }
  const absl::Duration boot_now = state_.deps.clock.SinceBoot();
  const absl::Time now = state_.deps.clock.Now();
  for (const host::ServiceStatus& service : *services) {
    v1::Resource resource;
    resource.set_kind("Service");
    resource.set_name(service.name);
    v1::Service& body = *resource.mutable_service();
    body.set_state(std::string(host::ToString(service.state)));
    body.set_pid(service.pid);
    body.set_starts(service.starts);
    body.set_ready_seen(service.ready);
    if (service.exited) {
      body.set_last_exit_code(service.exit_code);
      body.set_last_signal(service.signal);
      body.set_last_exit(service.signal != 0 ? absl::StrCat("signal ", service.signal)
                                             : absl::StrCat("exit code ", service.exit_code));
    }
    bool runs = service.pid != 0;
    absl::Duration since = runs ? service.started_at : service.exited_at;
    SetTime(absl::ToUnixSeconds(now - (boot_now - since)), body.mutable_since());
    out.push_back(std::move(resource));
  }
}

void Publisher::AddHistory(Snapshot& snapshot) const {
  const stored::Ledger& ledger = state_.journal.ledger();
  auto add = [&](const stored::Entry& entry) {
    bool active = state_.committed != nullptr && state_.committed->digest() == entry.digest();
    *snapshot.history.add_generations() = ToGeneration(entry, active);
    snapshot.digests[entry.generation()] = entry.digest();
    v1::Resource resource;
    resource.set_kind("Generation");
    resource.set_name(absl::StrCat(entry.generation()));
    *resource.mutable_generation() = *snapshot.history.generations().rbegin();
    snapshot.resources.push_back(std::move(resource));
  };
  const ApplyMachine::Pending* pending = machine_.pending();
  if (pending != nullptr) add(pending->entry);
  for (int i = ledger.history_size() - 1; i >= 0; --i) {
    const stored::Entry& entry = ledger.history(i);
    if (pending != nullptr && pending->entry.digest() == entry.digest()) continue;
    add(entry);
  }
}

void Publisher::Version(v1::Resource& resource) {
  Seen& seen = seen_[absl::StrCat(resource.kind(), "/", resource.name())];
  std::string bytes = Content(resource);
  if (seen.version == 0 || seen.bytes != bytes) {
    ++seen.version;
    seen.updated = state_.Unix();
    seen.bytes = std::move(bytes);
  }
  resource.set_version(seen.version);
  SetTime(seen.updated, resource.mutable_updated());
}

void Publisher::Publish() {
  auto snapshot = std::make_shared<Snapshot>();
  std::vector<v1::Resource> others = controllers_.Resources();
  snapshot->resources.push_back(Machine(controllers_.Observe(), others));
  snapshot->resources.push_back(Config());
  AddServices(snapshot->resources);
  AddHistory(*snapshot);
  for (v1::Resource& other : others) snapshot->resources.push_back(std::move(other));
  std::map<std::string, Seen> gone = seen_;
  for (v1::Resource& resource : snapshot->resources) {
    Version(resource);
    gone.erase(absl::StrCat(resource.kind(), "/", resource.name()));
  }
  // Generations and services come and go: what is not there any more is not remembered.
  for (const auto& [name, seen] : gone) seen_.erase(name);
  std::sort(snapshot->resources.begin(), snapshot->resources.end(),
            [](const v1::Resource& a, const v1::Resource& b) {
              return std::tie(a.kind(), a.name()) < std::tie(b.kind(), b.name());
            });

  const NodeDeps& deps = state_.deps;
  v1::HelloReply& hello = snapshot->hello;
  hello.set_version(deps.version);
  hello.set_api_version("basalt/v1");
  hello.set_machine_id(deps.identity.machine_id());
  *hello.mutable_recipient() = deps.sealing.vouched();
  hello.set_platform(deps.platform.name());
  const auto& sections = *v1::MachineConfig::descriptor();
  for (int i = 0; i < sections.field_count(); ++i) {
    const std::string& section = sections.field(i)->json_name();
    std::string why = deps.platform.Unimplemented(section);
    if (!why.empty()) (*hello.mutable_unimplemented())[section] = std::move(why);
  }
  hello.set_architecture(deps.platform.hardware().architecture);
  hello.set_state(state_.committed == nullptr ? "no-config" : "configured");
  hello.set_trust_cluster(deps.trust.policy().cluster());
  hello.set_trust_epoch(deps.trust.policy().epoch());
  hello.set_trust_version(deps.trust.policy().version());
  hello.set_floor_epoch(state_.floor.epoch());
  hello.set_floor_generation(state_.floor.generation());
  hello.set_serial(deps.platform.hardware().serial);
  if (state_.alarms.count("AllGenerationsBad")) hello.set_condition("AllGenerationsBad");
  snapshot->policy = PolicyOf(machine_.config_in_force());
  hello.set_client_certificate_wanted(snapshot->policy.api.client_cas_size() > 0);
  if (state_.committed != nullptr) {
    hello.set_name(state_.committed->config->metadata().name());
    snapshot->committed_digest = state_.committed->digest();
    snapshot->committed_generation = state_.committed->stored.entry().generation();
  }
  snapshot->trust = std::make_shared<const v1::TrustPolicy>(deps.trust.policy());
  box_.Set(std::move(snapshot));
}

}  // namespace basalt::engine
