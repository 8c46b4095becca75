// Scripts that complete nodectl's words in a shell: verbs and flags; for -n the names of the
// inventory, which the hidden `nodectl __nodes` prints without asking any node; for explain the
// paths of fields (`nodectl __paths`); for rollback the generations of the node. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

namespace basalt::client {

struct CompletionVerb {
  std::string words;  // "gen config"
  std::string description;
  std::vector<std::string> flags;
  std::vector<std::string> arguments;  // words that may stand without a flag: "bash", "zsh"
};

// `shell`: bash, zsh or fish.
std::string Completion(const std::string& shell, const std::vector<CompletionVerb>& verbs);

}  // namespace basalt::client
