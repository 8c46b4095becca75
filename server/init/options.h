// The command line of noded-init. Pure.
#pragma once

#include "server/init/core/program.h"

namespace basalt::init {

inline constexpr char kUsage[] =
    "usage: noded-init [--cgroup-base DIR] [--watchdog SECONDS] [--stop-limit SECONDS] --\n"
    "                  noded serve ARGUMENTS...\n"
    "       noded-init --pid1 [OPTIONS] [-- noded serve ARGUMENTS...]\n"
    "Runs noded and the services that noded asks for, and keeps both running.\n"
    "  --cgroup-base DIR     cgroups of services are made below this directory of cgroup2\n"
    "  --watchdog SECONDS    a noded that gives no sign of life for so long is started again\n"
    "  --stop-limit SECONDS  the longest that services get to stop when noded-init ends (90)\n"
    "  --pid1                boot the machine or container first, and end it last\n";

struct Options {
  Settings settings;
  const char* cgroup_base = "";
  char** noded = nullptr;  // its argv
  bool pid1 = false;
};

// What PID 1 starts when it is told nothing else.
inline constexpr int64_t kPid1Watchdog = 60000000000;
inline constexpr char kPid1Cgroups[] = "/sys/fs/cgroup";

// nullptr, or what is wrong. Points into argv.
const char* ParseOptions(int argc, char** argv, Options* options);

}  // namespace basalt::init
