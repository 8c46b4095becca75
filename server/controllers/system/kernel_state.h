// Makes the kernel as a config says, and finds what is not so any more. What it overrides it can
// put back: the first value of each setting is kept in run/, which the next boot forgets as the
// kernel does. Loop thread only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "basalt/v1/system.pb.h"
#include "server/controllers/system/kernel_plan.h"
#include "server/controllers/system/settings.h"
#include "server/host/kernel.h"
#include "server/host/vfs.h"

namespace basalt::system {

struct Fault {
  std::string code;     // "sysctl-refused", "module-failed", "sysctl-contested"
  std::string message;  // with the field
  bool operator==(const Fault&) const = default;
};

class KernelState {
 public:
  static constexpr char kFirstValues[] = "run/system/sysctls";
  static constexpr char kGiven[] = "run/system/modules";
  // So often a setting that somebody else changed is set again before it is left alone.
  static constexpr int kInsist = 3;

  KernelState(host::Kernel& kernel, host::Vfs& vfs) : kernel_(kernel), vfs_(vfs) {}

  // As `wanted` says; idempotent. Goes on past what cannot be done: faults() has it. An error: what
  // was there before could not be written down, and nothing was changed.
  absl::Status Apply(const v1::Kernel& wanted);
  // Sets again what was changed behind its back, and looks for settings that have come to be.
  void Look();

  const std::vector<Fault>& faults() const { return faults_; }
  // Of all settings of the baseline, and of those in the configs.
  FoundSettings Find(const std::vector<const v1::Kernel*>& configs) const;
  KernelFacts Facts(const std::vector<const v1::Kernel*>& configs) const;
  const Settings& wanted() const { return wanted_; }

 private:
  void ApplyModules(const v1::Kernel& wanted);
  absl::Status ApplySettings(const v1::Kernel& wanted);
  void Set(const std::string& name, const std::string& value);
  void Give(const std::string& id, const std::string& parameters);
  Settings Kept(const char* path) const;

  host::Kernel& kernel_;
  host::Vfs& vfs_;
  v1::Kernel config_;
  Settings wanted_;
  std::map<std::string, int> changed_by_others_;
  std::vector<Fault> faults_;
};

}  // namespace basalt::system
