#include "server/init/boot/links.h"

#include <cstdio>
#include <cstring>

#include "server/init/boot/report.h"

namespace basalt::init {
namespace {

constexpr char kNet[] = "/sys/class/net";

// Ethernet with a device behind it: not a bridge, a tunnel or what K3s makes.
bool IsEthernet(Machine& machine, const char* name) {
  char path[128];
  char type[16] = {};
  snprintf(path, sizeof path, "%s/%s/type", kNet, name);
  if (machine.Read(path, 0, type, sizeof type - 1) < 0 || strcmp(type, "1\n") != 0) return false;
  snprintf(path, sizeof path, "%s/%s/device", kNet, name);
  return machine.Exists(path);
}

}  // namespace

int BringLinksUp(Machine& machine) {
  int failed = 0;
  if (int error = machine.LinkUp("lo"); error != 0) {
    ++failed;
    Report(machine, "link-failed", error, "links: lo");
  }
  static Names names;
  if (!machine.OwnsKernel() || machine.List(kNet, &names) != 0) return failed;
  int up = 0;
  for (int i = 0; i < names.count; ++i) {
    const char* name = names.name[i];
    if (!IsEthernet(machine, name)) continue;
    char path[128];
    // It was made before the default was set. Ignoring a failure: no IPv6 in this kernel.
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/accept_ra", name);
    machine.Write(path, "2", 1);
    if (int error = machine.LinkUp(name); error != 0) {
      ++failed;
      Report(machine, "link-failed", error, "links: %s", name);
    } else {
      ++up;
    }
  }
  Report(machine, up > 0 ? nullptr : "no-ethernet", 0, "links: loopback and %d Ethernet up", up);
  return failed;
}

}  // namespace basalt::init
