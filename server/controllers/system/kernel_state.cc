#include "server/controllers/system/kernel_state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"

namespace basalt::system {
namespace {

std::string FieldOf(const v1::KernelModule& module) {
  return absl::StrCat("system.kernel.modules[", module.name(), "]: ");
}

}  // namespace

absl::Status KernelState::Apply(const v1::Kernel& wanted) {
  faults_.clear();
  changed_by_others_.clear();
  config_ = wanted;
  if (absl::Status status = vfs_.MakeDirs("run/system"); !status.ok()) return status;
  ApplyModules(wanted);
  return ApplySettings(wanted);
}

void KernelState::ApplyModules(const v1::Kernel& wanted) {
  const Settings given = Kept(kGiven);
  auto failed = [this](const std::string& field, const absl::Status& status) {
    const std::string reason = api::Reason(status);
    faults_.push_back(
        {reason.empty() ? "module-failed" : reason, absl::StrCat(field, status.message())});
  };
  for (const v1::KernelModule& module : wanted.modules()) {
    using Kind = ModuleChange::Kind;
    const std::string id = host::ModuleId(module.name());
    const std::vector<std::string> parameters(module.parameters().begin(),
                                              module.parameters().end());
    const auto last = given.find(id);
    const ModuleChange change =
        ChangeOf(module, kernel_.Module(id), last == given.end() ? "" : last->second);
    absl::Status status;
    if (change.kind == Kind::kImpossible) {
      status = api::Coded(absl::StatusCode::kFailedPrecondition, "module-in-use",
                          "it runs with other parameters and cannot be loaded anew");
    }
    if (change.kind == Kind::kLoadAnew) status = kernel_.UnloadModule(id);
    if (status.ok() && (change.kind == Kind::kLoadAnew || change.kind == Kind::kLoad)) {
      status = kernel_.LoadModule(id, parameters);
      if (status.ok()) Give(id, Joined(module));
    }
    for (const auto& [name, value] : change.parameters) {
      if (change.kind != Kind::kSet || !status.ok()) break;
      status = kernel_.SetModuleParameter(id, name, value);
    }
    if (!status.ok()) failed(FieldOf(module), status);
  }
  for (const std::string& name : wanted.blocked_modules()) {
    const host::ModuleState now = kernel_.Module(name);
    if (!now.here()) continue;
    absl::Status status =
        now.built_in ? absl::FailedPreconditionError(absl::StrCat(name, " is part of the kernel"))
                     : kernel_.UnloadModule(name);
    if (!status.ok()) failed("system.kernel.blockedModules: ", status);
  }
}

absl::Status KernelState::ApplySettings(const v1::Kernel& wanted) {
  wanted_ = Settings(wanted.sysctls().begin(), wanted.sysctls().end());
  Settings first = Kept(kFirstValues);
  const Settings before = first;
  for (const auto& [name, unused] : wanted_) {
    if (first.count(name) > 0) continue;
    if (absl::StatusOr<std::string> now = kernel_.Sysctl(name); now.ok()) first[name] = *now;
  }
  // Before the first of them is changed: a noded that dies in between still knows the way back.
  if (first != before) {
    absl::Status status = vfs_.ReplaceVolatile(kFirstValues, ToText(first));
    if (!status.ok()) return status;
  }
  for (auto it = first.begin(); it != first.end();) {
    if (wanted_.count(it->first) > 0) {
      ++it;
      continue;
    }
    const absl::StatusOr<std::string> now = kernel_.Sysctl(it->first);
    absl::Status status = now.ok() && SameValue(*now, it->second)
                              ? absl::OkStatus()
                              : kernel_.SetSysctl(it->first, it->second);
    // What has gone meanwhile (an interface, a module) has nothing to be put back.
    if (!status.ok() && !absl::IsNotFound(status)) {
      faults_.push_back({"sysctl-refused", absl::StrCat("putting back ", status.message())});
    }
    it = first.erase(it);
  }
  for (const auto& [name, value] : wanted_) Set(name, value);
  const Settings& kept = first;
  return Kept(kFirstValues) == kept ? absl::OkStatus()
                                    : vfs_.ReplaceVolatile(kFirstValues, ToText(kept));
}

void KernelState::Set(const std::string& name, const std::string& value) {
  absl::StatusOr<std::string> now = kernel_.Sysctl(name);
  if (now.ok() && SameValue(*now, value)) return;
  absl::Status status = kernel_.SetSysctl(name, value);
  if (status.ok()) return;
  const bool awaited = absl::IsNotFound(status) && OfInterface(name);
  if (awaited) return;  // Look() sets it when its interface is there
  faults_.push_back({absl::IsNotFound(status) ? "sysctl-unknown" : "sysctl-refused",
                     absl::StrCat("system.kernel.sysctls.", name, ": ", status.message())});
}

void KernelState::Look() {
  for (const auto& [name, value] : wanted_) {
    absl::StatusOr<std::string> now = kernel_.Sysctl(name);
    if (!now.ok() || SameValue(*now, value)) continue;
    const auto refused =
        std::find_if(faults_.begin(), faults_.end(), [&name = name](const Fault& f) {
          return f.message.find(absl::StrCat("sysctls.", name, ":")) != std::string::npos;
        });
    if (refused != faults_.end()) continue;
    Settings first = Kept(kFirstValues);
    if (first.emplace(name, *now).second) {
      // It has come to be: an interface, a module. Ignoring a failure: then it cannot be put back.
      vfs_.ReplaceVolatile(kFirstValues, ToText(first)).IgnoreError();
      Set(name, value);
      continue;
    }
    if (++changed_by_others_[name] > kInsist) {
      faults_.push_back({"sysctl-contested", absl::StrCat("system.kernel.sysctls.", name,
                                                          ": something on this node sets it to ",
                                                          *now, " again and again")});
      continue;
    }
    Set(name, value);
  }
}

FoundSettings KernelState::Find(const std::vector<const v1::Kernel*>& configs) const {
  FoundSettings found;
  auto look = [this, &found](const std::string& name) {
    if (found.count(name) > 0) return;
    absl::StatusOr<std::string> now = kernel_.Sysctl(name);
    found[name] = now.ok() ? std::optional<std::string>(*now) : std::nullopt;
  };
  for (const auto& [name, unused] : Baseline()) look(name);
  for (const v1::Kernel* config : configs) {
    for (const auto& [name, unused] : config->sysctls()) look(name);
  }
  return found;
}

KernelFacts KernelState::Facts(const std::vector<const v1::Kernel*>& configs) const {
  KernelFacts facts;
  facts.settings = Find(configs);
  facts.first = Kept(kFirstValues);
  facts.given = Kept(kGiven);
  for (const v1::Kernel* config : configs) {
    auto look = [this, &facts](const std::string& name) {
      facts.modules[host::ModuleId(name)] = kernel_.Module(name);
    };
    for (const v1::KernelModule& module : config->modules()) look(module.name());
    for (const std::string& name : config->blocked_modules()) look(name);
  }
  return facts;
}

void KernelState::Give(const std::string& id, const std::string& parameters) {
  Settings given = Kept(kGiven);
  given[id] = parameters;
  // Ignoring a failure: the worst is that it is loaded once more.
  vfs_.ReplaceVolatile(kGiven, ToText(given)).IgnoreError();
}

Settings KernelState::Kept(const char* path) const {
  return FromText(vfs_.Read(path).value_or(""));
}

}  // namespace basalt::system
