// What changes in the kernel: modules and settings. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "basalt/v1/system.pb.h"
#include "server/controllers/system/settings.h"
#include "server/engine/controller.h"
#include "server/host/kernel.h"

namespace basalt::system {

inline constexpr char kName[] = "system";

// What the planner has to know of this machine, for the names that the configs mention.
struct KernelFacts {
  FoundSettings settings;
  Settings first;  // values that a config has overridden since the boot
  std::map<std::string, host::ModuleState> modules;  // by ModuleId
  std::map<std::string, std::string> given;          // ModuleId → what noded loaded it with
  int64_t memory = 0;                                // bytes
  bool watchdog = true;                              // noded-init has opened one
};

// Appends steps and warnings. FailedPrecondition, each with its field: "module-missing",
// "module-in-use", "sysctl-unknown", "sysctl-breaks-node".
absl::Status PlanKernel(const v1::Kernel& from, const v1::Kernel& to, const KernelFacts& facts,
                        engine::ControllerPlan* plan);

// What has to be done for a module so that it is as the config says.
struct ModuleChange {
  enum class Kind { kNothing, kLoad, kLoadAnew, kSet, kImpossible };
  Kind kind = Kind::kNothing;
  // kSet: name → value of what can be changed while it runs.
  std::map<std::string, std::string> parameters;
};
// `given`: what noded loaded it with since the boot (Joined), "" when it did not.
ModuleChange ChangeOf(const v1::KernelModule& module, const host::ModuleState& state,
                      const std::string& given);
std::string Joined(const v1::KernelModule& module);  // its parameters as the kernel takes them

}  // namespace basalt::system
