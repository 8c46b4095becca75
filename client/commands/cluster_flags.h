// Do the servers of a cluster agree in what K3s wants equal on all of them? Pure.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace basalt::client {

// A server's name and its flags (K3sStatus.cluster_flags).
using ServerFlags = std::pair<std::string, std::map<std::string, std::string>>;

struct FlagDifference {
  std::string key;
  std::map<std::string, std::string> values;  // by server; "" where it is not set
  bool operator==(const FlagDifference&) const = default;
};

// Sorted by key. Servers without flags share their datastore with nobody and are left out.
std::vector<FlagDifference> CompareFlags(const std::vector<ServerFlags>& servers);

}  // namespace basalt::client
