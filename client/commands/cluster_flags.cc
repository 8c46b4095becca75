#include "client/commands/cluster_flags.h"

#include <set>

namespace basalt::client {

std::vector<FlagDifference> CompareFlags(const std::vector<ServerFlags>& servers) {
  std::set<std::string> keys;
  for (const auto& [server, flags] : servers) {
    for (const auto& [key, value] : flags) keys.insert(key);
  }
  std::vector<FlagDifference> out;
  for (const std::string& key : keys) {
    FlagDifference difference{.key = key};
    std::set<std::string> seen;
    for (const auto& [server, flags] : servers) {
      if (flags.empty()) continue;
      auto it = flags.find(key);
      const std::string value = it == flags.end() ? "" : it->second;
      difference.values[server] = value;
      seen.insert(value);
    }
    if (seen.size() > 1) out.push_back(std::move(difference));
  }
  return out;
}

}  // namespace basalt::client
