#include <signal.h>
#include <sys/prctl.h>

#include "api/grpc_library.h"
#include "client/commands/cli.h"

int main(int argc, char** argv) {
  // Keys and opened secrets stand in this memory: no core dump holds them. What is started begins
  // anew.
  prctl(PR_SET_DUMPABLE, 0);
  // A reader that went away is an error of the write, not the end of an apply's report.
  signal(SIGPIPE, SIG_IGN);
  const int result = basalt::client::RunCommandLine(argc, argv);
  basalt::api::EndGrpc();
  return result;
}
