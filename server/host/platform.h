// The machine under the node: metal, container or sandbox. Everything that differs between them is
// asked here. Constant after construction, thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::host {

// Directories of the node; absolute. Below one root in the sandbox.
struct NodePaths {
  std::string root;  // of Vfs; "" is /, so that root + "/" + path is always absolute
  std::string
      state;  // "state": identity, trust, generations, journal. Relative to root, like the rest
  std::string data;  // "data": store/, k3s/
  std::string run;   // "run": endpoint, fingerprint, noded.pid, tokens
  std::string etc;   // "etc": rancher/k3s/config.yaml, rancher/node/password
};

struct Hardware {
  std::string architecture;  // "amd64", "arm64", "arm"
  int64_t memory_total = 0;  // bytes, nominal: MemTotal rounded up to the module size
  int cpus = 0;
  std::string serial;
  std::vector<std::string> macs;
  bool data_on_flash = false;  // SD or eMMC
};

class Supervisor;

class Platform {
 public:
  virtual ~Platform() = default;
  virtual std::string name() const = 0;  // "sandbox", "metal", "container"
  virtual const NodePaths& paths() const = 0;
  virtual const Hardware& hardware() const = 0;
  // Where this node's K3s is probed and told to listen when the platform confines it: "127.0.0.1",
  // or the node's own 127.0.0.x or veth address in the sandbox.
  virtual std::string k3s_address() const = 0;
  // True: K3s must bind to k3s_address() alone (several unprivileged nodes on one machine).
  virtual bool k3s_confined() const = 0;
  // True: the mount and network namespace are this node's alone, so that a full stop may clear
  // what K3s leaves anywhere in them. False: other nodes, or a person's own K3s, may be there.
  virtual bool owns_namespaces() const = 0;
  // True: the kernel has the settings of noded-init's baseline, those that kubelet demands among
  // them.
  virtual bool hardened_kernel() const { return false; }
  // "" when the platform can apply changes below this top-level section, or below "system.image";
  // else why not.
  virtual std::string Unimplemented(const std::string& section) const = 0;
  virtual absl::Status Reboot() = 0;  // Unimplemented in the sandbox
};

// An SD card or eMMC, from what /sys/dev/block/MAJOR:MINOR points to:
// "../../devices/platform/.../mmc_host/mmc0/mmc0:aaaa/block/mmcblk0/mmcblk0p2".
bool IsFlashDevice(absl::string_view device);

struct SandboxOptions {
  std::string root;         // absolute
  std::string k3s_address;  // from the host part of --listen
  bool root_user = false;
  bool own_namespaces = false;
};
// OK unless this process sees that its mount or network namespace is the machine's own:
// FailedPrecondition "shared-namespaces".
absl::Status CheckOwnNamespaces();

std::unique_ptr<Platform> MakeSandbox(const SandboxOptions& options);

// The machine itself: noded-init is PID 1 and has mounted STATE and DATA. `supervisor` is asked for
// a reboot, and outlives this.
std::unique_ptr<Platform> MakeMetal(Supervisor& supervisor);

// A container of the same root: noded-init is PID 1 of its pid namespace, and kernel, clock, disks
// and links are the host's. A reboot ends the namespace: whoever runs the container starts it
// again.
std::unique_ptr<Platform> MakeContainer(Supervisor& supervisor, bool own_namespaces);

}  // namespace basalt::host
