// The catalogue of the keys of K3s's own configuration file, v1.21 to v1.36: which role and release
// knows a key, its type, and whether the owner of the machine config may set it. K3s releases after
// v1.21 skip an unknown key with a warning, so a misspelt security option would silently do
// nothing: here it is an error. Source: K3s's server and agent flags. Pure data, thread-safe.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace basalt::schema {

enum class K3sKeyRole { kServer, kBoth };  // K3s servers know every key of agents
enum class K3sKeyType { kBool, kInt, kString, kList };
enum class K3sKeyOwner {
  kUser,     // may stand in k3s.config
  kTyped,    // noded renders it from a typed field; `note` is its path
  kRefused,  // `note` says why
};

struct K3sKey {
  absl::string_view name;
  K3sKeyType type = K3sKeyType::kString;
  K3sKeyRole role = K3sKeyRole::kServer;
  int since = 21;  // minor of Kubernetes 1: 25 is v1.25; K3s ports back, so this is the earliest
  int until = 0;   // the last minor that knows it; 0: still known
  K3sKeyOwner owner = K3sKeyOwner::kUser;
  absl::string_view note;       // see owner
  bool secret = false;          // its value is redacted
  bool cluster_scoped = false;  // must be the same on all servers of a cluster
};

absl::Span<const K3sKey> K3sKeys();  // sorted by name
const K3sKey* FindK3sKey(absl::string_view name);
// The nearest known key that a user may set; empty when none is near.
std::string NearestK3sKey(absl::string_view name);

}  // namespace basalt::schema
