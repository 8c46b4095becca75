// k3s-double: stands in for K3s in tests and in the demo, and says so. It runs no containers.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "tests/support/k3s_double/agent_role.h"
#include "tests/support/k3s_double/process.h"
#include "tests/support/k3s_double/server_role.h"
#include "tests/support/k3s_double/settings.h"

namespace {

using namespace basalt::k3s_double;  // NOLINT: the program is the namespace

[[noreturn]] void Run(int argc, char** argv, bool server) {
  Settings settings = ReadSettings(server, {argv + 2, argv + argc});
  Faults faults = ReadFaults();
  LaunchFromTree(settings.data_dir, argc, argv);
  Log("info", std::string("Starting k3s ") + (server ? "server " : "agent ") + kVersion +
                  ": this is the test double, not K3s");
  if (faults.exit_at_once) Fatal("exiting, as asked");
  if (server) RunServer(settings, faults);
  RunAgent(settings, faults);
}

}  // namespace

int main(int argc, char** argv) {
  std::string name = argv[0];
  if (name.size() >= 23 && name.substr(name.size() - 23) == "containerd-shim-runc-v2") {
    RunShim(argc > 4 ? argv[4] : "/nonexistent");
  }
  std::string word = argc > 1 ? argv[1] : "";
  if (word == "--version" || word == "-v") {
    std::printf("k3s version %s (00000000)\nthis is the K3s test double, not K3s\n", kVersion);
    return 0;
  }
  if (word == "server" || word == "agent") Run(argc, argv, word == "server");
  std::printf("K3S DOUBLE, a stand-in for tests\nusage: k3s-double server|agent|--version\n");
  return word.empty() || word == "--help" ? 0 : 1;
}
