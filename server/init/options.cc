#include "server/init/options.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace basalt::init {
namespace {

constexpr long kMostSeconds = 24 * 3600;

bool Seconds(const char* text, int64_t* ns) {
  char* end = nullptr;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno != 0 || end == text || *end != 0 || value < 1 || value > kMostSeconds) return false;
  *ns = value * 1000000000ll;
  return true;
}

}  // namespace

const char* ParseOptions(int argc, char** argv, Options* options) {
  static char program[] = "/usr/bin/noded";
  static char serve[] = "serve";
  static char platform[] = "--platform=metal";
  static char* noded[] = {program, serve, platform, nullptr};
  if (argc > 1 && strcmp(argv[1], "--pid1") == 0) {
    options->pid1 = true;
    options->noded = noded;
    options->cgroup_base = kPid1Cgroups;
    options->settings.watchdog_ns = kPid1Watchdog;
  }
  for (int i = options->pid1 ? 2 : 1; i < argc; i += 2) {
    if (strcmp(argv[i], "--") == 0) {
      if (i + 1 >= argc) return "the program of noded is missing after --";
      options->noded = argv + i + 1;
      return nullptr;
    }
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--cgroup-base") == 0) {
      if (value[0] != '/') return "--cgroup-base wants an absolute directory";
      options->cgroup_base = value;
    } else if (strcmp(argv[i], "--watchdog") == 0) {
      if (!Seconds(value, &options->settings.watchdog_ns)) return "--watchdog wants 1 to 86400";
    } else if (strcmp(argv[i], "--stop-limit") == 0) {
      if (!Seconds(value, &options->settings.stop_limit_ns)) return "--stop-limit wants 1 to 86400";
    } else {
      return "unknown option";
    }
  }
  return options->pid1 ? nullptr : "-- and the program of noded are missing";
}

}  // namespace basalt::init
