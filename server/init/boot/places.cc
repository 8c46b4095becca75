#include "server/init/boot/places.h"

#include <sys/mount.h>

#include <cerrno>
#include <cstring>

#include "server/init/boot/partitions.h"
#include "server/init/boot/report.h"

namespace basalt::init {
namespace {

constexpr char kEsp[] = "/esp";
constexpr char kCarried[] = "/run/carried";
constexpr size_t kMostTrust = 4 << 20;  // noded reads no more either

struct Place {
  const char* source;
  const char* target;
  bool of_data;  // else of STATE
};

constexpr Place kPlaces[] = {
    // Rendered configs and the node password: secrets, so with what a reset wipes first.
    {"/state/rancher", "/etc/rancher", false},
    // All of /var, since kubelet, CNI plugins and containers each want a corner of it.
    {"/data/var", "/var", true},
    {"/data/opt", "/opt", true},
    {"/data/cni", "/etc/cni/net.d", true},
};

constexpr const char* kDirectories[] = {"/data/var", "/data/var/lib", "/data/var/lib/dhcpcd",
                                        "/data/var/log"};

int BindOne(Machine& machine, const Place& place) {
  if (!machine.Exists(place.target) || machine.IsMounted(place.target)) return 0;
  int error = machine.MakeDirectory(place.source, 0755);
  if (error == 0) error = machine.Mount(place.source, place.target, nullptr, MS_BIND, nullptr);
  if (error != 0) {
    Report(machine, "bind-failed", error, "places: %s on %s", place.source, place.target);
  }
  return error;
}

}  // namespace

int BindPlaces(Machine& machine, bool state, bool data) {
  int failed = machine.MakeDirectory("/run/etc", 0755) != 0;
  for (const char* directory : kDirectories) {
    if (data) failed += machine.MakeDirectory(directory, 0755) != 0;
  }
  for (const Place& place : kPlaces) {
    if (place.of_data ? data : state) failed += BindOne(machine, place) != 0;
  }
  return failed;
}

int TakeMachineId(Machine& machine) {
  int error = 0;
  if (!machine.Exists(kMachineIdFile)) {
    static constexpr char kHex[] = "0123456789abcdef";
    unsigned char random[16];
    char text[33];
    error = machine.RandomBytes(random, sizeof random);
    for (size_t i = 0; i < sizeof random; ++i) {
      text[2 * i] = kHex[random[i] >> 4];
      text[2 * i + 1] = kHex[random[i] & 15];
    }
    text[32] = '\n';
    if (error == 0) error = machine.Replace(kMachineIdFile, text, sizeof text);
  }
  if (error == 0) error = machine.Copy(kMachineIdFile, "/run/etc/machine-id", 64, 0444);
  if (error != 0) Report(machine, "machine-id-failed", error, "places: %s", kMachineIdFile);
  return error;
}

int TakeTrust(Machine& machine) {
  if (machine.Exists("/state/trust")) return 0;
  Partition esp;
  int error = FindPartition(machine, "ESP", &esp);
  if (error == 0) {
    error = machine.Mount(esp.device, kEsp, "vfat", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
                          "codepage=437,iocharset=ascii,umask=0077");
  }
  bool carried = false;
  if (error == 0) {
    carried = machine.Copy("/esp/basalt/carried/trust.json", kTrustSeed, kMostTrust, 0400) == 0;
    if (!carried) error = machine.Copy("/esp/basalt/trust.json", kTrustSeed, kMostTrust, 0400);
    // What a reset has to leave beside it; without it there is nothing to leave.
    if (carried) {
      machine.MakeDirectory(kCarried, 0700);
      machine.Copy("/esp/basalt/carried/floor", "/run/carried/floor", 4096, 0400);
      machine.Copy("/esp/basalt/carried/image", "/run/carried/image", 64 << 10, 0400);
    }
    machine.Unmount(kEsp);
  }
  if (error != 0) {
    Report(machine, "no-trust", error, "trust: none stored and none on the ESP");
  } else {
    Report(machine, nullptr, 0, "trust: %s",
           carried ? "as the reset left it" : "as the medium was written with");
  }
  return error;
}

}  // namespace basalt::init
