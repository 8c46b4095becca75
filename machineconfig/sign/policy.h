// The trust policy: which signers may change what. Pure, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"
#include "machineconfig/diff/diff.h"
#include "machineconfig/sign/document.h"

namespace basalt::sign {

// A chain whose every link has been checked: version 1 signed by its own root, n+1 by the root of n
// and of n+1; versions rise by one; the epoch never falls; the cluster stays.
struct VerifiedChain {
  v1::TrustChain chain;
  v1::TrustPolicy policy;  // the last, resolved
  Digest first;            // digest of version 1
};
enum class ChainAge {
  kNew,      // its last version has to keep the rules of this release
  kAccepted  // the node took it earlier: only signatures and what they rest on are checked again
};
// Reasons: empty-chain, broken-chain, plus those of Verify and of validation.
absl::StatusOr<VerifiedChain> VerifyChain(const v1::TrustChain& chain,
                                          ChainAge age = ChainAge::kNew);
// `update` is a whole chain (same first digest) or the versions after `current`'s. An equal chain
// is fine. Reasons also: foreign-chain, older-chain.
absl::StatusOr<VerifiedChain> ExtendChain(const VerifiedChain& current,
                                          const v1::TrustChain& update);

// Is every change covered by one grant whose own threshold is met? Free metadata and the epoch (it
// is the policy's) need none, but the document still needs the threshold of at least one grant for
// machine configs. A destructive change needs a grant for metadata.allow as well, also where the
// last config consented already. `from` is the last committed config, null when there is none.
// Reasons: too-few-signers, path-not-granted, label-scope.
absl::Status AuthorizeConfig(const v1::TrustPolicy& policy, const std::vector<Signer>& signers,
                             const std::vector<diff::Change>& changes,
                             const v1::MachineConfig* from, const v1::MachineConfig& to);
absl::Status AuthorizeAction(const v1::TrustPolicy& policy, const std::vector<Signer>& signers,
                             const v1::Action& action);
// May these signers say what a node boots? One grant for images whose threshold is met, and whose
// labels, if it has any, `node` has.
absl::Status AuthorizeImage(const v1::TrustPolicy& policy, const std::vector<Signer>& signers,
                            const v1::MachineConfig& node);
bool SignedByRoot(const v1::TrustPolicy& policy, const std::vector<Signer>& signers);

// What a node knows of itself when it judges a document.
struct NodeFacts {
  std::string machine_id;
  std::string serial;
  std::vector<std::string> macs;
  std::string medium_id;
  std::string cluster;  // of the trust policy
  int64_t epoch = 1;    // of the trust policy
  bool has_config = false;
  int64_t floor_epoch = 0;
  int64_t floor_generation = 0;
  std::optional<Digest> floor_digest;   // of the document that set the floor
  std::optional<Digest> active_digest;  // what runs
  absl::Time now;                       // clock of the node
  bool time_synced = false;
  absl::Time time_floor;  // no clock shows less
};

// Cluster, target, epoch, floor, far-ahead generation, times, base. Reasons: wrong-cluster,
// wrong-epoch, wrong-target (names both ids), below-floor, generation-too-far, expired,
// not-yet-valid, base-mismatch, clock-skew (signedAt too far ahead).
absl::Status Admit(const v1::MachineConfig& config, const Digest& digest, const NodeFacts& facts,
                   bool root_cosigned);
absl::Status AdmitAction(const v1::Action& action, const NodeFacts& facts);

// Destructive changes that metadata.allow does not name, and changes of effect `reinstall`.
// Reasons: needs-allow, needs-reinstall.
absl::Status CheckDestructive(const std::vector<diff::Change>& changes,
                              const v1::MachineConfig* from, const v1::MachineConfig& to);

// Does the way from one to the other need a word that `to`.metadata.allow has?
bool UsesConsent(const v1::MachineConfig& from, const v1::MachineConfig& to);

// FailedPrecondition/"plaintext-forbidden", with the paths, when the policy accepts sealed secrets
// alone and some stand in the clear. `config` is as it was signed.
absl::Status CheckPlaintext(const v1::TrustPolicy& policy, const v1::MachineConfig& config);

// max(UTC now as YYYYMMDDhhmmss, floor + 1).
int64_t DefaultGeneration(absl::Time now, int64_t floor);

}  // namespace basalt::sign
