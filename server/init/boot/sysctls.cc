#include "server/init/boot/sysctls.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "server/init/boot/report.h"

namespace basalt::init {

int SetBaseline(Machine& machine) {
  if (!machine.OwnsKernel()) return 0;
  int set = 0;
  int absent = 0;
  int failed = 0;
  for (const Sysctl& s : kBaseline) {
    char path[128];
    snprintf(path, sizeof path, "/proc/sys/%s", s.path);
    int error = machine.Write(path, s.value, strlen(s.value));
    if (error == 0) {
      ++set;
    } else if (error == ENOENT) {
      ++absent;
    } else {
      ++failed;
      Report(machine, "sysctl-failed", error, "sysctls: %s", s.path);
    }
  }
  Report(machine, failed == 0 ? nullptr : "sysctl-failed", 0, "sysctls: %d set, %d unknown here",
         set, absent);
  return failed;
}

}  // namespace basalt::init
