// A Kernel with a memory. It keeps every rule of the real one that a conformance suite can show
// without a kernel of its own (tests/unit/server/host/kernel_conformance_test.cc). Single-threaded.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "server/host/kernel.h"

namespace basalt::testing {

class FakeKernel : public host::Kernel {
 public:
  std::string HostName() override { return host_name; }
  absl::Status SetHostName(const std::string& name) override {
    if (name.empty() || name.size() > 64) return absl::InvalidArgumentError(name);
    host_name = name;
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Sysctl(const std::string& name) override {
    auto found = sysctls.find(name);
    if (found == sysctls.end()) return absl::NotFoundError(name);
    return found->second;
  }
  absl::Status SetSysctl(const std::string& name, const std::string& value) override {
    auto found = sysctls.find(name);
    if (found == sysctls.end()) return absl::NotFoundError(name);
    if (refused.count(name) > 0) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": Invalid argument"));
    }
    written.emplace_back(name, value);
    found->second = value;
    return absl::OkStatus();
  }

  host::ModuleState Module(const std::string& name) override {
    auto found = modules.find(host::ModuleId(name));
    return found == modules.end() ? host::ModuleState{} : found->second;
  }
  absl::Status LoadModule(const std::string& name,
                          const std::vector<std::string>& parameters) override {
    auto found = modules.find(host::ModuleId(name));
    if (found == modules.end()) {
      return api::Coded(absl::StatusCode::kNotFound, "module-missing", name);
    }
    host::ModuleState& module = found->second;
    if (module.here()) return absl::OkStatus();
    if (!module.on_image) return api::Coded(absl::StatusCode::kNotFound, "module-missing", name);
    if (no_device.count(found->first) > 0) {
      return api::Coded(absl::StatusCode::kFailedPrecondition, "no-such-device", name);
    }
    loads.push_back(found->first);
    module.loaded = true;
    for (const std::string& parameter : parameters) {
      std::pair<std::string, std::string> split =
          absl::StrSplit(parameter, absl::MaxSplits('=', 1));
      module.parameters[split.first] = split.second;
    }
    return absl::OkStatus();
  }
  absl::Status UnloadModule(const std::string& name) override {
    auto found = modules.find(host::ModuleId(name));
    if (found == modules.end() || !found->second.loaded) return absl::OkStatus();
    if (found->second.users > 0) {
      return api::Coded(absl::StatusCode::kFailedPrecondition, "module-in-use", name);
    }
    unloads.push_back(found->first);
    found->second.loaded = false;
    found->second.parameters.clear();
    return absl::OkStatus();
  }
  absl::Status SetModuleParameter(const std::string& module, const std::string& name,
                                  const std::string& value) override {
    auto found = modules.find(host::ModuleId(module));
    if (found == modules.end() || found->second.parameters.count(name) == 0) {
      return absl::NotFoundError(name);
    }
    if (found->second.writable.count(name) == 0) return absl::PermissionDeniedError(name);
    found->second.parameters[name] = value;
    return absl::OkStatus();
  }

  std::string host_name = "(none)";
  std::map<std::string, std::string> sysctls;
  std::set<std::string> refused;  // settings that take no value
  std::map<std::string, host::ModuleState> modules;
  std::set<std::string> no_device;  // modules of what is not there
  std::vector<std::pair<std::string, std::string>> written;
  std::vector<std::string> loads, unloads;
};

}  // namespace basalt::testing
