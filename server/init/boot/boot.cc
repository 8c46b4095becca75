#include "server/init/boot/boot.h"

#include <sys/mount.h>

#include <cerrno>

#include "server/init/boot/clock_floor.h"
#include "server/init/boot/grow.h"
#include "server/init/boot/links.h"
#include "server/init/boot/medium.h"
#include "server/init/boot/modules.h"
#include "server/init/boot/mounts.h"
#include "server/init/boot/places.h"
#include "server/init/boot/seed.h"
#include "server/init/boot/sysctls.h"

namespace basalt::init {
namespace {

constexpr uint64_t kMostFiles = 1048576;

// In a container whoever made it has mounted the volumes, or they are directories of its root.
VolumeReport Given(Machine& machine, const char* path) {
  if (machine.Exists(path)) return {.state = VolumeState::kNone};
  VolumeReport report = {.state = VolumeState::kMissing, .error = ENOENT};
  CopyText(report.reason, sizeof report.reason, "the container has no such directory");
  return report;
}

}  // namespace

BootReport Boot(Machine& machine, Watchdog& watchdog) {
  BootReport report;
  int& failed = report.failed_steps;
  // 1. /proc and /dev before all else: whose kernel this is, and where to say so.
  failed += MountEarly(machine) != 0;
  report.owns_kernel = machine.OwnsKernel();
  if (report.owns_kernel) machine.Write("/proc/sys/kernel/printk_devkmsg", "on\n", 3);
  Report(machine, nullptr, 0, "noded-init is PID 1%s", report.owns_kernel ? "" : " of a container");
  if (int error = machine.SetLimits(kMostFiles); error != 0 && report.owns_kernel) {
    ++failed;
    Report(machine, "limit-failed", error, "limits");
  }
  // 2. The baseline before a module brings code or a link that it should hold for.
  failed += SetBaseline(machine) != 0;
  failed += LoadModules(machine) != 0;
  // 3. From here on a hang has an end.
  watchdog.Open();
  failed += MountLate(machine) != 0;
  failed += EnableControllers(machine) != 0;
  // 4. The clock before the first file system is written.
  report.clock_raised = RaiseClock(machine);
  report.installer = report.owns_kernel && OnInstallMedium(machine);
  if (report.installer) {
    report.state = MemoryVolume(machine, "STATE", "/state", "mode=0700,size=64m", MS_NOEXEC);
    report.data = MemoryVolume(machine, "DATA", "/data", "mode=0755,size=50%", 0);
  } else if (report.owns_kernel) {
    Locks locks(machine);
    report.state = OpenVolume(machine, locks, "STATE", "/state", MS_NOEXEC, 0700);
    // Not without STATE: what it says of DATA's size would be lost on the way.
    bool known = report.state.mounted();
    if (!known) locks.WithoutState();
    if (known) failed += GrowPartition(machine, "DATA", DataLimit(machine)) != 0;
    // With exec: K3s runs what it extracts below its data directory.
    report.data = OpenVolume(machine, locks, "DATA", "/data", 0, 0755);
    if (known && report.data.mounted()) {
      failed += GrowFileSystem(machine, "DATA", report.data.device, report.data.size) != 0;
    }
    failed += locks.Close() != 0;
  } else {
    report.state = Given(machine, "/state");
    report.data = Given(machine, "/data");
  }
  bool state = report.state.mounted() || report.state.state == VolumeState::kNone;
  bool data = report.data.mounted() || report.data.state == VolumeState::kNone;
  failed += !state + !data;
  failed += BindPlaces(machine, state, data) != 0;
  // 5. Before anything makes a key. The host's randomness is not a container's to feed.
  if (report.state.mounted()) {
    failed += TakeSeed(machine) != 0;
    failed += TakeMachineId(machine) != 0;
    failed += TakeTrust(machine) != 0;
  }
  failed += BringLinksUp(machine) != 0;
  // 6. Last, so that it reaches every mount.
  failed += ShareMounts(machine) != 0;
  return report;
}

}  // namespace basalt::init
