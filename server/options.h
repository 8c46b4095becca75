// The command line of noded. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace basalt {

struct ServeOptions {
  std::string platform;       // "sandbox", "metal" or "container"
  std::string root;           // absolute; "/" on metal and in a container
  std::string listen;         // "127.0.0.1:0"; port 0 picks once
  std::string trust;          // file with the seed of the trust chain; "" when one is stored
  std::string init_program;   // noded-init; default: beside noded
  std::string fetch_program;  // noded-fetch; default: beside noded
  std::string dhcp_program;   // noded-dhcp, for metal: beside noded
  std::string wire_program;   // noded-wire; default: beside noded
  bool own_namespaces = false;
  bool operator==(const ServeOptions&) const = default;
};

// Of a metal node that is told nothing else: the trust is what noded-init found on the ESP.
inline constexpr char kMetalListen[] = ":6050";
inline constexpr char kMetalTrust[] = "/run/trust.json";

enum class Command { kServe, kVersion, kHelp };

struct CommandLine {
  Command command = Command::kHelp;
  ServeOptions serve;
};

// `program_dir`: where noded itself is; `working_dir` makes relative paths absolute, so that
// noded-init may start noded from anywhere. InvalidArgument names the flag and what it wants.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& args,
                                             const std::string& program_dir,
                                             const std::string& working_dir);

// `serve` and its flags again, for noded-init to start noded with.
std::vector<std::string> ToArguments(const ServeOptions& options);

std::string HelpText();

}  // namespace basalt
