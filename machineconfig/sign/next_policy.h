// The version of a trust policy that is to follow a chain, while its signatures are still being
// collected. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "basalt/v1/document.pb.h"
#include "machineconfig/sign/policy.h"

namespace basalt::sign {

// How far one root rule is met.
struct RootProgress {
  int have = 0;
  int need = 0;
  std::vector<std::string> signed_by;  // names in the version of the rule
  std::vector<std::string> open;       // its root keys that have not signed and are not revoked
  bool met() const { return have >= need; }
};

struct NextPolicy {
  v1::TrustPolicy policy;  // resolved
  RootProgress before;     // root of the version that it follows
  RootProgress own;        // root of the version itself
  bool complete() const { return before.met() && own.met(); }
};

// `next` may still lack signatures, also all of them; those that it has are good, and made by keys
// of the two versions. Reasons: broken-chain (version, epoch or cluster do not follow),
// invalid-config, invalid-policy, revoked-key, and those of Verify. What is complete here is
// accepted by ExtendChain.
absl::StatusOr<NextPolicy> CheckNext(const VerifiedChain& current, const v1::SignedDocument& next,
                                     ChainAge age = ChainAge::kNew);

}  // namespace basalt::sign
