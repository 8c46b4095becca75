// The command line: the one file that meets CLI11, where verbs and flags are named and errors
// printed.
#pragma once

namespace basalt::client {

// The exit code of the process. Everything thrown below stops here.
int RunCommandLine(int argc, char** argv);

}  // namespace basalt::client
