#include "server/init/boot/medium.h"

#include <sys/mount.h>

#include <cerrno>

#include "server/init/boot/partitions.h"

namespace basalt::init {
namespace {

constexpr char kEsp[] = "/esp";

}  // namespace

bool OnInstallMedium(Machine& machine) {
  Partition partition;
  // The root was found on this disk already, so that nothing has to be waited for.
  if (FindPartition(machine, "STATE", &partition) != ENODEV) return false;
  if (FindPartition(machine, "ESP", &partition) != 0) return false;
  if (machine.Mount(partition.device, kEsp, "vfat", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
                    "codepage=437,iocharset=ascii,umask=0077") != 0) {
    return false;
  }
  bool marked = machine.Exists(kInstallerMark);
  machine.Unmount(kEsp);
  return marked;
}

VolumeReport MemoryVolume(Machine& machine, const char* name, const char* target,
                          const char* options, unsigned long flags) {
  int error = machine.Mount(name, target, "tmpfs", MS_NOSUID | MS_NODEV | flags, options);
  if (error != 0) {
    VolumeReport report = {.state = VolumeState::kFailed, .error = error};
    CopyText(report.reason, sizeof report.reason, "cannot mount memory in its place");
    Report(machine, "volume-failed", error, "%s: %s", name, report.reason);
    return report;
  }
  Report(machine, nullptr, 0, "%s: in memory: this is an install medium", name);
  return {.state = VolumeState::kMounted};
}

}  // namespace basalt::init
