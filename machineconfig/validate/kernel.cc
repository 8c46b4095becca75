// Rules for `system.kernel`: what would undo the image's own protection or break K3s is refused.
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/rules.h"

namespace basalt::validate {
namespace {

// The kernel takes `-` and `_` for the same.
std::string ModuleId(absl::string_view name) { return absl::StrReplaceAll(name, {{"-", "_"}}); }

void CheckModules(const v1::Kernel& kernel, Report& report) {
  std::map<std::string, std::string> loaded;
  const std::vector<std::string> paths = Elements("system.kernel", kernel, "modules");
  for (int k = 0; k < kernel.modules_size(); ++k) {
    const v1::KernelModule& module = kernel.modules(k);
    const std::string& path = paths[k];
    auto [it, fresh] = loaded.try_emplace(ModuleId(module.name()), path);
    if (!fresh && it->second != path) {
      report.Error(schema::Child(path, "name"), "duplicate-element",
                   absl::StrCat("is the module of ", it->second,
                                ": the kernel takes `-` and `_` for the same"),
                   "remove one of the two");
    }
    for (int i = 0; i < module.parameters_size(); ++i) {
      if (!absl::StartsWith(module.parameters(i), absl::StrCat(module.name(), "."))) continue;
      report.Error(schema::Element(schema::Child(path, "parameters"), i), "bad-format",
                   "is written without the name of the module before it",
                   module.parameters(i).substr(module.name().size() + 1));
    }
  }
  for (int i = 0; i < kernel.blocked_modules_size(); ++i) {
    const std::string path = schema::Element("system.kernel.blockedModules", i);
    const std::string id = ModuleId(kernel.blocked_modules(i));
    if (auto it = loaded.find(id); it != loaded.end()) {
      report.Error(path, "conflict", absl::StrCat("is loaded by ", it->second),
                   "keep one of the two");
    }
    for (absl::string_view needed : {"overlay", "br_netfilter", "nf_conntrack", "veth", "bridge",
                                     "vxlan", "dm_verity", "erofs", "dm_mod"}) {
      if (id != needed) continue;
      report.Error(path, "conflict", "without this module neither the image nor K3s works",
                   "remove it");
    }
  }
}

// Arguments by which the signed image finds itself and stays whole.
bool IsImages(absl::string_view name) {
  for (absl::string_view own : {"init",
                                "rdinit",
                                "root",
                                "rootfstype",
                                "rootflags",
                                "rootwait",
                                "rootdelay",
                                "ro",
                                "rw",
                                "noinitrd",
                                "initrd",
                                "lockdown",
                                "module.sig_enforce",
                                "panic",
                                "single",
                                "emergency",
                                "rescue",
                                "1",
                                "s",
                                "S",
                                "break"}) {
    if (name == own) return true;
  }
  for (absl::string_view prefix : {"basalt.", "noded.", "systemd.", "rd.", "dm-mod.", "dm_verity.",
                                   "dm-verity.", "ima_", "integrity_", "luks."}) {
    if (absl::StartsWith(name, prefix)) return true;
  }
  return false;
}

// The field that says the same.
absl::string_view FieldFor(absl::string_view name) {
  if (name == "ip" || name == "nameserver") return "network.interfaces";
  if (name == "hostname" || name == "systemd.hostname") return "metadata.name";
  if (name == "modprobe.blacklist" || name == "module_blacklist")
    return "system.kernel.blockedModules";
  if (absl::StartsWith(name, "sysctl.")) return "system.kernel.sysctls";
  if (name == "modules" || name == "modules-load" || name == "modules_load")
    return "system.kernel.modules";
  return "";
}

void CheckArguments(const v1::Kernel& kernel, Report& report) {
  std::map<std::string, std::string> seen;
  for (int i = 0; i < kernel.arguments_size(); ++i) {
    const std::string path = schema::Element("system.kernel.arguments", i);
    const std::string& text = kernel.arguments(i);
    const std::string name = text.substr(0, text.find('='));
    if (absl::string_view field = FieldFor(name); !field.empty()) {
      report.Error(path, "refused", absl::StrCat("`", name, "` has a field of its own"),
                   absl::StrCat("use ", field));
    } else if (IsImages(name)) {
      report.Error(path, "refused",
                   absl::StrCat("`", name,
                                "` is the image's own: with another value it would not "
                                "be the signed system that starts"),
                   "remove it");
    } else if (auto [it, fresh] = seen.try_emplace(text, path); !fresh) {
      report.Error(path, "duplicate-element", absl::StrCat("stands twice; first at ", it->second),
                   "remove one of the two");
    }
    if (text == "mitigations=off" || text == "nosmep" || text == "nosmap" || text == "nokaslr" ||
        text == "apparmor=0" || text == "selinux=0" || text == "security=none" || text == "nopti") {
      report.Warning(path, "insecure", "turns off a protection that pods are kept apart by");
    }
    if (text == "cgroup_disable=memory" || text == "systemd.unified_cgroup_hierarchy=0" ||
        text == "ipv6.disable=1") {
      // The first is on the command line of old Raspberry Pi images.
      const bool memory = absl::StartsWith(text, "cgroup");
      report.Error(path, "refused",
                   memory ? "K3s does not start without the memory cgroup"
                          : "K3s listens on IPv6 sockets and does not start without the protocol",
                   "remove it");
    }
  }
}

struct Demand {
  absl::string_view key;
  absl::string_view value;
};
// What kubelet sets, or with protect-kernel-defaults demands.
constexpr Demand kKubelet[] = {
    {"vm.overcommit_memory", "1"},
    {"vm.panic_on_oom", "0"},
    {"kernel.panic", "10"},
    {"kernel.panic_on_oops", "1"},
    {"kernel.keys.root_maxkeys", "1000000"},
    {"kernel.keys.root_maxbytes", "25000000"},
};
// Without them no packet reaches a pod.
constexpr Demand kPods[] = {
    {"net.ipv4.ip_forward", "1"},
    {"net.ipv4.conf.all.forwarding", "1"},
    {"net.bridge.bridge-nf-call-iptables", "1"},
};

bool Protects(const v1::K3s& k3s) {
  if (k3s.has_hardening()) return true;
  auto it = k3s.config().find("protect-kernel-defaults");
  return it != k3s.config().end() && it->second.boolean();
}

void CheckSysctls(const v1::MachineConfig& config, Report& report) {
  const auto& sysctls = config.system().kernel().sysctls();
  auto value = [&](absl::string_view key) -> const std::string* {
    auto it = sysctls.find(std::string(key));
    return it == sysctls.end() ? nullptr : &it->second;
  };
  auto path = [](absl::string_view key) { return schema::Element("system.kernel.sysctls", key); };
  for (absl::string_view key : {"kernel.hostname", "kernel.domainname"}) {
    if (value(key) != nullptr) {
      report.Error(path(key), "refused", "the host name is metadata.name", "remove it");
    }
  }
  for (absl::string_view key : {"kernel.modules_disabled", "kernel.core_pattern", "kernel.modprobe",
                                "kernel.hotplug", "kernel.poweroff_cmd", "kernel.sysrq"}) {
    if (value(key) != nullptr) {
      report.Error(path(key), "refused", "noded itself sets it: it protects the node", "remove it");
    }
  }
  if (!config.has_k3s()) return;
  for (const Demand& demand : kPods) {
    const std::string* given = value(demand.key);
    if (given != nullptr && *given != demand.value) {
      report.Error(path(demand.key), "conflict",
                   absl::StrCat("K3s needs ", demand.value, ": without it no packet reaches a pod"),
                   "remove it");
    }
  }
  for (const Demand& demand : kKubelet) {
    const std::string* given = value(demand.key);
    if (given == nullptr || *given == demand.value) continue;
    if (Protects(config.k3s())) {
      report.Error(path(demand.key), "conflict",
                   absl::StrCat("kubelet demands ", demand.value,
                                " with protect-kernel-defaults and would not start"),
                   absl::StrCat("remove it, or write ", demand.value));
    } else {
      report.Warning(path(demand.key), "overridden",
                     absl::StrCat("kubelet sets it to ", demand.value, " when it starts"),
                     "remove it");
    }
  }
}

}  // namespace

void CheckKernel(const v1::MachineConfig& config, Report& report) {
  CheckModules(config.system().kernel(), report);
  CheckArguments(config.system().kernel(), report);
  CheckSysctls(config, report);
}

}  // namespace basalt::validate
