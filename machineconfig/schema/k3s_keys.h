// The catalogue of the keys of K3s's own configuration file, v1.21 to v1.36: what a key does, which
// role and release knows it, what may stand there, and whether the owner of the machine config may
// set it. K3s releases after v1.21 skip an unknown key with a warning, so a misspelt security
// option would silently do nothing: here it is an error, and so is a value that K3s would refuse at
// its start. Source: K3s's server and agent flags. Pure data, thread-safe.
//
// The keys stand in four files by what they are about; `README.md` says how to add a release.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace basalt::schema {

inline constexpr int kOldestK3sMinor = 21;
inline constexpr int kNewestK3sMinor = 36;

enum class K3sKeyRole { kServer, kBoth, kAgent };  // kServer: agents do not know it
enum class K3sKeyType { kBool, kInt, kString, kList };
enum class K3sKeyOwner {
  kUser,     // may stand in k3s.config
  kTyped,    // noded renders it from a typed field; `note` is its path
  kRefused,  // `note` says why
};
// The syntax of a text, and of each element of a list.
enum class K3sKeyFormat {
  kAny,
  kArgument,   // of a component: NAME or NAME=VALUE, without dashes in front
  kCidr,       // of a list: at most one of each family
  kDnsName,    // labels with dots
  kDnsLabel,   // one label
  kDuration,   // "5m0s"
  kFileName,   // one component of a path
  kImage,      // REGISTRY/NAME:TAG
  kInterface,  // of the network
  kIp,
  kPath,       // absolute
  kPortRange,  // "30000-32767"
  kRegistry,   // HOST[:PORT][/PATH], without https://
};

// One of the values that a key may have.
struct K3sValue {
  absl::string_view name;
  absl::string_view means;
  int since = kOldestK3sMinor;
  int until = 0;
  absl::string_view instead;  // of a value that is gone
};

struct K3sKey {
  absl::string_view name;
  absl::string_view says;  // what it does, in a sentence or two
  K3sKeyType type = K3sKeyType::kString;
  K3sKeyRole role = K3sKeyRole::kServer;
  // Minor of Kubernetes 1: 25 is v1.25. The first line of which some release knows the key.
  int since = kOldestK3sMinor;
  // K3s ports new keys back: "26.13 27.10" are the first releases of lines that had no such key
  // at their start. Lines from `since` on that are not named know it from their first release.
  absl::string_view ports = "";
  int agent_since = 0;             // when agents learnt it later than servers
  int until = 0;                   // the last line that knows it; 0: still known
  absl::string_view instead = "";  // of a key that is gone: what to use

  K3sKeyFormat format = K3sKeyFormat::kAny;
  int min = 0;  // of an integer, together with max; both 0: any
  int max = 0;
  absl::Span<const K3sValue> values = {};
  bool open = false;  // other values than these are unusual, not wrong
  absl::string_view default_value = "";

  K3sKeyOwner owner = K3sKeyOwner::kUser;
  absl::string_view note = "";  // see owner
  bool secret = false;          // its value is redacted; then it is never of the user's keys
  bool cluster_scoped = false;  // must be the same on all servers of a cluster
  bool fixed = false;           // K3s keeps the value of its first start: a change is a reinstall
};

absl::Span<const K3sKey> K3sKeys();  // sorted by name
const K3sKey* FindK3sKey(absl::string_view name);
// The nearest known key that a user may set; empty when none is near.
std::string NearestK3sKey(absl::string_view name);

enum class K3sSupport { kKnown, kTooOld, kGone };
// Does the release v1.MINOR.PATCH know the key (for an agent: on agents)? A role that never knows
// it is not looked at.
K3sSupport SupportOf(const K3sKey& key, int minor, int patch, bool agent = false);
// The first release that knows it, of the line of MINOR when that line got it midway:
// "v1.27.10"; else that of the oldest line: "v1.26.13", "v1.25".
std::string FirstRelease(const K3sKey& key, int minor = 0, bool agent = false);

}  // namespace basalt::schema
