// Scripts that complete nodectl's words in a shell. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

namespace basalt::client {

struct CompletionVerb {
  std::string words;  // "gen config"
  std::string description;
  std::vector<std::string> flags;
};

// `shell`: bash, zsh or fish.
std::string Completion(const std::string& shell, const std::vector<CompletionVerb>& verbs);

}  // namespace basalt::client
