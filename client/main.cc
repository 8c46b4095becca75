#include <signal.h>

#include "client/commands/cli.h"

int main(int argc, char** argv) {
  // A reader that went away is an error of the write, not the end of an apply's report.
  signal(SIGPIPE, SIG_IGN);
  return basalt::client::RunCommandLine(argc, argv);
}
