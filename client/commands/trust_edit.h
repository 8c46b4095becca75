// Changes of a trust policy, as functions from a policy to the next one: nothing is signed or
// written here. What would lock the owner out is refused with the way around it. Pure, thread-safe.
// Reasons: key-exists, unknown-key, revoked-key, threshold-unmet, unknown-grant, epoch-not-higher,
// and those of validation.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/trust.pb.h"

namespace basalt::client {

// The policy that follows `current`: a copy with the next version.
v1::TrustPolicy NextOf(const v1::TrustPolicy& current);

// `public_key`: PEM, an OpenSSH line or a minisign line. Refuses a name that is taken, a key that
// is there under another name, and one that is none.
absl::Status AddKey(v1::TrustPolicy& policy, const std::string& name, absl::string_view public_key);

// Into root; `threshold` 0: as it is.
absl::Status AddRoot(v1::TrustPolicy& policy, const std::string& name, int64_t threshold);

// Out of root and of every grant, and into `revoked`. `threshold`: the new one of root, 0: as it
// is. threshold-unmet when root or a grant could not be met any more.
absl::Status RevokeKey(v1::TrustPolicy& policy, const std::string& name, int64_t root_threshold);

struct GrantOptions {
  std::string for_what;
  std::vector<std::string> keys;
  int64_t threshold = 1;
  std::vector<std::string> paths;
  std::vector<std::string> labels;  // KEY=VALUE
  std::vector<std::string> verbs;
};
absl::Status AddGrant(v1::TrustPolicy& policy, const GrantOptions& options);
// `number` from 1, as `trust show` counts them.
absl::Status RemoveGrant(v1::TrustPolicy& policy, int number);

// `new_name` with `public_key` takes every place of `name`, which is revoked.
absl::Status RotateKey(v1::TrustPolicy& policy, const std::string& name,
                       const std::string& new_name, absl::string_view public_key);
// "config" → "config-2", "config-2" → "config-3": a name that is free.
std::string NextName(const v1::TrustPolicy& policy, const std::string& name);

// 0: one more than it is.
absl::Status RaiseEpoch(v1::TrustPolicy& policy, int64_t epoch);

// The rules of a policy, for the whole of it: what `nodectl validate` says.
absl::Status CheckPolicy(const v1::TrustPolicy& policy);

// Named by an index or key in `policy`; null when it is not there.
const v1::TrustKey* FindKey(const v1::TrustPolicy& policy, absl::string_view name);
bool IsRevoked(const v1::TrustPolicy& policy, absl::string_view name);

}  // namespace basalt::client
