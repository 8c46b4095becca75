#include "server/controllers/system/kernel_plan.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"

namespace basalt::system {
namespace {

using engine::ControllerPlan;

void Add(ControllerPlan* plan, std::string what) {
  plan->steps.push_back({.controller = kName,
                         .description = std::move(what),
                         .effect = v1::EFFECT_LIVE,
                         .unimplemented = {}});
}

absl::Status PlanSettings(const v1::Kernel& from, const v1::Kernel& to, const KernelFacts& facts,
                          ControllerPlan* plan) {
  // A module that is about to be loaded brings settings of its own.
  const bool loads = std::any_of(
      to.modules().begin(), to.modules().end(), [&facts](const v1::KernelModule& module) {
        const auto found = facts.modules.find(host::ModuleId(module.name()));
        return found == facts.modules.end() || !found->second.here();
      });
  const Settings wanted(to.sysctls().begin(), to.sysctls().end());
  for (const auto& [name, value] : wanted) {
    if (absl::Status status = CheckSetting(name, value, facts.memory); !status.ok()) return status;
    const auto found = facts.settings.find(name);
    const bool there = found != facts.settings.end() && found->second.has_value();
    if (!there && !OfInterface(name) && !loads) {
      return api::Coded(
          absl::StatusCode::kFailedPrecondition, "sysctl-unknown",
          absl::StrCat("system.kernel.sysctls.", name, ": this kernel has no such setting"),
          "correct its name, or load the module that it belongs to");
    }
    if (std::string weaker = WeakenedBy(name, value); !weaker.empty()) {
      plan->warnings.push_back(std::move(weaker));
    }
    if (!there) {
      Add(plan, absl::StrCat("set ", name, " to ", value, " as soon as the kernel has it"));
    } else if (!SameValue(*found->second, value)) {
      Add(plan, absl::StrCat("set ", name, " to ", value, " (is ", *found->second, ")"));
    }
  }
  for (const auto& [name, unused] : Settings(from.sysctls().begin(), from.sysctls().end())) {
    if (wanted.count(name) > 0) continue;
    const auto first = facts.first.find(name);
    const auto found = facts.settings.find(name);
    if (first == facts.first.end() || found == facts.settings.end() || !found->second ||
        SameValue(*found->second, first->second)) {
      continue;
    }
    Add(plan, absl::StrCat("set ", name, " back to ", first->second));
  }
  return absl::OkStatus();
}

absl::Status PlanModules(const v1::Kernel& to, const KernelFacts& facts, ControllerPlan* plan) {
  auto state = [&facts](absl::string_view name) {
    const auto found = facts.modules.find(host::ModuleId(name));
    return found == facts.modules.end() ? host::ModuleState{} : found->second;
  };
  for (const v1::KernelModule& module : to.modules()) {
    const host::ModuleState now = state(module.name());
    const std::string field = absl::StrCat("system.kernel.modules[", module.name(), "]");
    const std::string with =
        module.parameters().empty() ? "" : absl::StrCat(" with ", Joined(module));
    if (!now.here() && !now.on_image) {
      return api::Coded(absl::StatusCode::kFailedPrecondition, "module-missing",
                        absl::StrCat(field, ": the image of this node has no such module"),
                        "an image with it: a `module` line in its profile");
    }
    const auto given = facts.given.find(host::ModuleId(module.name()));
    const ModuleChange change =
        ChangeOf(module, now, given == facts.given.end() ? "" : given->second);
    switch (change.kind) {
      case ModuleChange::Kind::kNothing:
        break;
      case ModuleChange::Kind::kLoad:
        Add(plan, absl::StrCat("load the module ", module.name(), with));
        break;
      case ModuleChange::Kind::kSet:
        for (const auto& [name, value] : change.parameters) {
          Add(plan, absl::StrCat("set ", name, " of the module ", module.name(), " to ", value));
        }
        break;
      case ModuleChange::Kind::kLoadAnew:
        Add(plan, absl::StrCat("unload the module ", module.name(), " and load it", with));
        break;
      case ModuleChange::Kind::kImpossible:
        return api::Coded(
            absl::StatusCode::kFailedPrecondition, "module-in-use",
            absl::StrCat(field, ": it runs with other parameters, and ",
                         now.built_in ? "is part of the kernel" : "is in use"),
            now.built_in ? "parameters of what is part of the kernel are arguments of the image's "
                           "command line"
                         : "end what uses it, then apply this again");
    }
  }
  for (const std::string& name : to.blocked_modules()) {
    const host::ModuleState now = state(name);
    if (now.built_in || (now.loaded && now.users > 0)) {
      return api::Coded(
          absl::StatusCode::kFailedPrecondition, "module-in-use",
          absl::StrCat("system.kernel.blockedModules: ", name, " ",
                       now.built_in ? "is part of the kernel" : "is in use", " and stays"),
          now.built_in ? "remove it" : "end what uses it, then apply this again");
    }
    if (now.loaded) Add(plan, absl::StrCat("unload the module ", name));
  }
  return absl::OkStatus();
}

// The kernel shows a switch as Y or N, however it was set.
bool SameParameter(absl::string_view now, absl::string_view wanted) {
  if (now != "Y" && now != "N") return SameValue(now, wanted);
  const bool on =
      wanted.empty() || wanted == "1" || wanted == "y" || wanted == "Y" || wanted == "on";
  return on == (now == "Y");
}

}  // namespace

std::string Joined(const v1::KernelModule& module) {
  return absl::StrJoin(module.parameters(), " ");
}

ModuleChange ChangeOf(const v1::KernelModule& module, const host::ModuleState& state,
                      const std::string& given) {
  using Kind = ModuleChange::Kind;
  if (!state.here()) return {.kind = Kind::kLoad, .parameters = {}};
  ModuleChange change;
  bool anew = false;
  for (const std::string& parameter : module.parameters()) {
    const std::pair<std::string, std::string> split =
        absl::StrSplit(parameter, absl::MaxSplits('=', 1));
    const auto now = state.parameters.find(split.first);
    if (now == state.parameters.end()) {
      // What it runs with cannot be read: only what it was given by us is known.
      anew |= given != Joined(module);
    } else if (!SameParameter(now->second, split.second)) {
      change.parameters[split.first] = split.second;
      anew |= state.writable.count(split.first) == 0;
    }
  }
  if (anew) {
    change.kind = state.built_in || state.users > 0 ? Kind::kImpossible : Kind::kLoadAnew;
  } else if (!change.parameters.empty()) {
    change.kind = Kind::kSet;
  }
  return change;
}

absl::Status PlanKernel(const v1::Kernel& from, const v1::Kernel& to, const KernelFacts& facts,
                        ControllerPlan* plan) {
  if (absl::Status status = PlanModules(to, facts, plan); !status.ok()) return status;
  return PlanSettings(from, to, facts, plan);
}

}  // namespace basalt::system
