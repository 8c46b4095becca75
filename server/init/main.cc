// noded-init: parent of noded, K3s and every other service. Here as a plain subreaper.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "server/init/core/program.h"
#include "server/init/loop.h"
#include "server/init/options.h"
#include "server/init/real_os.h"

namespace {

// Descriptors 0 to 2 must be something, or the next one opened becomes somebody's stderr.
void FillStandardDescriptors() {
  for (int fd = 0; fd < 3; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/null", O_RDWR) < 0) (void)!memfd_create("null", 0);  // the lowest free number
  }
}

}  // namespace

int main(int argc, char** argv) {
  FillStandardDescriptors();
  if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    fputs(basalt::init::kUsage, stdout);
    return 0;
  }
  basalt::init::Options options;
  if (const char* wrong = basalt::init::ParseOptions(argc, argv, &options); wrong != nullptr) {
    fprintf(stderr, "noded-init: %s\n%s", wrong, basalt::init::kUsage);
    return basalt::init::kConfigurationError;
  }
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || setenv("BASALT_SUPERVISOR_FD", "3", 1) != 0) {
    fprintf(stderr, "noded-init: %s\n", strerror(errno));
    return 1;
  }
  // What services are started with, secrets among it, stands in this memory: no core dump of it.
  // Programs that are started begin anew.
  prctl(PR_SET_DUMPABLE, 0);
  options.settings.init_pid = getpid();
  static basalt::init::RealOs os(options.noded, options.cgroup_base);
  if (int error = os.Open(); error != 0) {
    fprintf(stderr, "noded-init: epoll: %s\n", strerror(error));
    return 1;
  }
  static basalt::init::Program program(os, options.settings);  // 600 KiB, touched as it is used
  return basalt::init::RunLoop(os, program);
}
