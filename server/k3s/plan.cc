#include "server/k3s/plan.h"

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/util/message_differencer.h"

namespace basalt::k3s {
namespace {

using engine::PlanStep;
using google::protobuf::util::MessageDifferencer;

constexpr char kName[] = "k3s";

void Add(engine::ControllerPlan* plan, v1::Effect effect, const std::string& what) {
  plan->steps.push_back({.controller = kName, .description = what, .effect = effect});
}

std::string RoleName(const v1::K3s& k3s) { return IsServer(k3s) ? "server" : "agent"; }

template <typename T>
bool Same(const T& a, const T& b) {
  return MessageDifferencer::Equals(a, b);
}

// The top-level names below `k3s` that differ and need a restart, and what of `system` does.
std::string Changed(const v1::MachineConfig& from_config, const v1::MachineConfig& to_config) {
  const v1::K3s& from = from_config.k3s();
  const v1::K3s& to = to_config.k3s();
  static const std::set<std::string> live = {"manifests", "health", "overrides"};
  std::vector<std::string> names;
  MessageDifferencer differ;
  const auto* descriptor = v1::K3s::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (live.count(field->json_name()) > 0) continue;
    v1::K3s a, b;
    std::vector<const google::protobuf::FieldDescriptor*> one = {field};
    const auto* reflection = from.GetReflection();
    a = from;
    b = to;
    for (int k = 0; k < descriptor->field_count(); ++k) {
      if (k == i) continue;
      reflection->ClearField(&a, descriptor->field(k));
      reflection->ClearField(&b, descriptor->field(k));
    }
    if (field->json_name() == "node") {
      a.mutable_node()->clear_labels();
      b.mutable_node()->clear_labels();
    }
    if (!Same(a, b)) names.push_back(std::string(field->json_name()));
  }
  v1::System a, b;
  *a.mutable_ca_certificates() = from_config.system().ca_certificates();
  *b.mutable_ca_certificates() = to_config.system().ca_certificates();
  if (!Same(a, b)) names.push_back("system.caCertificates");
  if (!Same(from_config.system().proxy(), to_config.system().proxy())) {
    names.push_back("system.proxy");
  }
  return absl::StrJoin(names, ", ");
}

void PlanManifests(const v1::K3s& from, const v1::K3s& to, engine::ControllerPlan* plan) {
  std::map<std::string, std::string> before, after;
  for (const auto& m : from.manifests()) before[m.name()] = m.content().plain();
  for (const auto& m : to.manifests()) after[m.name()] = m.content().plain();
  for (const auto& [name, content] : after) {
    auto it = before.find(name);
    if (it == before.end())
      Add(plan, v1::EFFECT_LIVE, absl::StrCat("add manifest ", name));
    else if (it->second != content)
      Add(plan, v1::EFFECT_LIVE, absl::StrCat("replace manifest ", name));
  }
  for (const auto& [name, content] : before) {
    if (after.count(name) == 0) {
      Add(plan, v1::EFFECT_LIVE,
          absl::StrCat("remove manifest ", name, "; K3s leaves what it made from it"));
    }
  }
}

void PlanLabels(const v1::K3s& from, const v1::K3s& to, engine::ControllerPlan* plan) {
  std::map<std::string, std::string> before(from.node().labels().begin(),
                                            from.node().labels().end());
  std::map<std::string, std::string> after(to.node().labels().begin(), to.node().labels().end());
  for (const auto& [key, value] : after) {
    auto it = before.find(key);
    if (it == before.end() || it->second != value) {
      Add(plan, v1::EFFECT_LIVE, absl::StrCat("set node label ", key, "=", value));
    }
  }
  for (const auto& [key, value] : before) {
    if (after.count(key) == 0) Add(plan, v1::EFFECT_LIVE, absl::StrCat("remove node label ", key));
  }
}

std::string Taints(const v1::K3s& k3s) {
  std::set<std::string> sorted(k3s.node().taints().begin(), k3s.node().taints().end());
  return absl::StrJoin(sorted, ",");
}

// What the kubelet demands with protect-kernel-defaults and the config does not set; "" when all is
// set. The kubelet's own error for it is one line among hundreds.
std::string KernelDefaults(const v1::Kernel& kernel) {
  std::vector<std::string> missing;
  for (const auto& [key, value] :
       {std::pair{"vm.overcommit_memory", "1"}, std::pair{"vm.panic_on_oom", "0"},
        std::pair{"kernel.panic", "10"}, std::pair{"kernel.panic_on_oops", "1"},
        std::pair{"kernel.keys.root_maxkeys", "1000000"},
        std::pair{"kernel.keys.root_maxbytes", "25000000"}}) {
    const auto it = kernel.sysctls().find(key);
    if (it == kernel.sysctls().end() || it->second != value) {
      missing.push_back(absl::StrCat(key, "=", value));
    }
  }
  return absl::StrJoin(missing, ", ");
}

}  // namespace

absl::StatusOr<engine::ControllerPlan> PlanK3s(const v1::MachineConfig* from,
                                               const v1::MachineConfig& to, const NodeFacts& facts,
                                               const MachineSize& machine) {
  engine::ControllerPlan plan;
  const bool had = from != nullptr && from->has_k3s();
  if (!to.has_k3s()) {
    if (had) {
      Add(&plan, v1::EFFECT_RESTART_K3S,
          "stop K3s and everything that it started; its data is kept");
    }
    return plan;
  }
  const v1::K3s& next = to.k3s();
  absl::StatusOr<Rendered> rendered = Render(to, facts);
  if (!rendered.ok()) return rendered.status();
  absl::StatusOr<const v1::Artifact*> artifact =
      ForArchitecture(next.artifacts(), facts.architecture, "k3s.artifacts");
  if (!artifact.ok()) return artifact.status();
  std::string short_digest = (*artifact)->sha256().substr(0, 12);

  absl::StatusOr<Rendered> before =
      had ? Render(*from, facts) : absl::StatusOr<Rendered>(absl::NotFoundError("none"));
  bool new_binary = true;
  if (had) {
    absl::StatusOr<const v1::Artifact*> old =
        ForArchitecture(from->k3s().artifacts(), facts.architecture, "k3s.artifacts");
    new_binary = !old.ok() || (*old)->sha256() != (*artifact)->sha256();
  }
  GuardResult guards = CheckGuards(next, machine, new_binary ? (*artifact)->size() : 0);
  if (!guards.error.ok()) return guards.error;
  plan.warnings = std::move(guards.warnings);

  if (new_binary) {
    Add(&plan, v1::EFFECT_LIVE,
        absl::StrCat("fetch and verify K3s ", next.version(), " (sha256 ", short_digest, "…)"));
  }
  if (!had && facts.resolv_conf.empty() && next.config().count("resolv-conf") == 0) {
    plan.warnings.push_back(
        "the name servers of this machine are of no use to pods, so K3s gives them 8.8.8.8: "
        "k3s.config.resolv-conf names another file");
  }
  // Where the image has set them, validation has refused a config that says otherwise.
  if (next.has_hardening() && !facts.hardened_kernel && !(had && from->k3s().has_hardening())) {
    const std::string missing = KernelDefaults(to.system().kernel());
    if (!missing.empty()) {
      plan.warnings.push_back(
          absl::StrCat("k3s.hardening: the kubelet starts only where the kernel has ", missing,
                       ": system.kernel.sysctls can set them"));
    }
  }
  if (!had) {
    Add(&plan, v1::EFFECT_RESTART_K3S,
        absl::StrCat("start K3s ", next.version(), " as ", RoleName(next)));
  } else if (!before.ok() || before->tag != rendered->tag) {
    const v1::K3s& last = from->k3s();
    std::string what =
        absl::StrCat("restart K3s; pods keep running (changed: ", Changed(*from, to), ")");
    if (last.role() != next.role()) {
      what = absl::StrCat("stop the K3s ", RoleName(last), " and start K3s as ", RoleName(next));
    } else if (new_binary) {
      what = absl::StrCat("restart K3s as ", next.version(), " instead of ", last.version(),
                          "; pods keep running");
    }
    Add(&plan, v1::EFFECT_RESTART_K3S, what);
    if (Taints(last) != Taints(next)) {
      plan.warnings.push_back(
          "k3s.node.taints count when a node registers: change those of this Node with `kubectl "
          "taint`");
    }
  }
  const v1::K3s none;
  const v1::K3s& last = had ? from->k3s() : none;
  if (IsServer(next)) PlanManifests(last, next, &plan);
  if (had) {
    PlanLabels(last, next, &plan);
    if (!Same(last.health(), next.health()))
      Add(&plan, v1::EFFECT_LIVE, "use the new health deadlines");
  }
  return plan;
}

}  // namespace basalt::k3s
