// The running kernel, as a node changes it: the name of the machine, settings, modules. Names of
// settings are those of sysctl(8) ("net.ipv4.conf.eth0/20.rp_filter"), names of modules have `_`
// where a file may have `-`. Calls are short; not thread-safe.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::host {

struct ModuleState {
  bool loaded = false;
  bool built_in = false;                          // in the kernel itself: cannot be unloaded
  bool on_image = false;                          // there is a file that it could be loaded from
  int users = 0;                                  // who keeps it from being unloaded
  std::map<std::string, std::string> parameters;  // that can be read, as they are now
  std::set<std::string> writable;                 // of them: can be changed while it runs
  bool here() const { return loaded || built_in; }
  bool operator==(const ModuleState&) const = default;
};

class Kernel {
 public:
  virtual ~Kernel() = default;

  virtual std::string HostName() = 0;
  // InvalidArgument when it is empty or longer than 64 bytes.
  virtual absl::Status SetHostName(const std::string& name) = 0;

  // Without the newline at its end. NotFound: this kernel has no such setting, or the interface or
  // module that it belongs to is not there.
  virtual absl::StatusOr<std::string> Sysctl(const std::string& name) = 0;
  // NotFound; InvalidArgument: the kernel refuses the value; PermissionDenied.
  virtual absl::Status SetSysctl(const std::string& name, const std::string& value) = 0;

  virtual ModuleState Module(const std::string& name) = 0;
  // With what it depends on. OK when it is loaded already, whatever its parameters. NotFound: it is
  // not on the image; FailedPrecondition "no-such-device": what it drives is not there.
  virtual absl::Status LoadModule(const std::string& name,
                                  const std::vector<std::string>& parameters) = 0;
  // OK when it is not loaded. FailedPrecondition "module-in-use".
  virtual absl::Status UnloadModule(const std::string& name) = 0;
  // Of one that is loaded. NotFound; PermissionDenied when it is fixed at loading.
  virtual absl::Status SetModuleParameter(const std::string& module, const std::string& name,
                                          const std::string& value) = 0;
};

// `-` and `_` are the same to the kernel.
std::string ModuleId(absl::string_view name);

// What the `depends` of a module's file names, in its order. Pure; any bytes may come.
std::vector<std::string> ModuleDependencies(absl::string_view file);

// `root`: where /proc, /sys and /usr are found, "" but in tests.
std::unique_ptr<Kernel> MakeKernel(const std::string& root);

}  // namespace basalt::host
