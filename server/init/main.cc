// noded-init: parent of noded, K3s and every other service. PID 1 of the image, or a plain
// subreaper.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "server/init/boot/duties.h"
#include "server/init/boot/end.h"
#include "server/init/boot/real_machine.h"
#include "server/init/core/program.h"
#include "server/init/loop.h"
#include "server/init/options.h"
#include "server/init/real_os.h"

namespace {

namespace init = basalt::init;

// Descriptors 0 to 2 must be something, or the next one opened becomes somebody's stderr.
void FillStandardDescriptors() {
  for (int fd = 0; fd < 3; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/null", O_RDWR) < 0) (void)!memfd_create("null", 0);  // the lowest free number
  }
}

int Supervise(init::Options& options, void (*say)(const char*), bool* reboot) {
  // What services are started with, secrets among it, stands in this memory: no core dump of it.
  // Programs that are started begin anew.
  prctl(PR_SET_DUMPABLE, 0);
  static init::RealOs os(options.noded, options.cgroup_base, say);
  if (int error = os.Open(); error != 0) {
    fprintf(stderr, "noded-init: epoll: %s\n", strerror(error));
    *reboot = true;
    return 1;
  }
  options.settings.init_pid = getpid();
  static init::Program program(os, options.settings);  // 600 KiB, touched as it is used
  int code = init::RunLoop(os, program);
  *reboot = program.reboot() || !program.done();  // a loop that failed: another boot may help
  return code;
}

// Never returns where the machine or the namespace can be ended.
int RunMachine(init::Options& options) {
  if (getpid() != 1) {
    fprintf(stderr, "noded-init: --pid1 is for PID 1, and this is %d\n", getpid());
    return init::kConfigurationError;
  }
  umask(022);
  (void)!chdir("/");
  setenv("PATH", "/usr/sbin:/usr/bin", 1);
  init::BlockSignals();    // before a child can end unseen
  reboot(RB_DISABLE_CAD);  // Ctrl-Alt-Del is a SIGINT to us, not a reset
  static init::RealMachine machine;
  static init::MachineDuties duties(machine);
  duties.Start();
  options.settings.duties = &duties;
  bool again = false;
  int code = Supervise(options, init::SayToConsole, &again);
  init::EndMachine(machine, again ? init::End::kReboot : init::End::kPowerOff);
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  FillStandardDescriptors();
  if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    fputs(init::kUsage, stdout);
    return 0;
  }
  init::Options options;
  if (const char* wrong = init::ParseOptions(argc, argv, &options); wrong != nullptr) {
    fprintf(stderr, "noded-init: %s\n%s", wrong, init::kUsage);
    return init::kConfigurationError;
  }
  if (setenv("BASALT_SUPERVISOR_FD", "3", 1) != 0) return 1;
  if (options.pid1) return RunMachine(options);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
    fprintf(stderr, "noded-init: %s\n", strerror(errno));
    return 1;
  }
  bool unused = false;
  return Supervise(options, nullptr, &unused);
}
