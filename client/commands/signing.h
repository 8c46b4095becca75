// From a source to a signed document: what a person left out is filled in and shown, what must not
// be signed by accident is refused, and the result is checked against the owner's own trust chain
// before anybody else sees it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "basalt/v1/document.pb.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/node_service.pb.h"
#include "client/commands/commands.h"
#include "client/commands/session.h"

namespace basalt::client {

// What is known of the node the document is for.
struct FillFacts {
  absl::Time now;
  int64_t epoch = 0;             // of the trust policy
  int64_t floor_generation = 0;  // the highest that the node or we have seen
  std::string machine_id;        // of the inventory; empty: not pinned
  std::string medium_id;         // of a first config that a medium brings; before the machine's
  std::string cluster;
};

// Fills in epoch, generation, signedAt and target where they are absent. Returns the lines that say
// so ("metadata.generation: 20261124040000").
std::vector<std::string> FillIn(v1::MachineConfig& config, const FillFacts& facts);

// --mode, --confirm-within and --reason, into the metadata. Invalid for an unknown mode.
absl::Status SetApplyOptions(v1::MachineConfig& config, const SigningOptions& options);

struct SignedConfig {
  v1::MachineConfig config;  // what `document` holds: its secrets are sealed
  v1::MachineConfig opened;  // the same before they were; empty for what came signed
  v1::SignedDocument document;
  std::string digest;
  std::vector<std::string> filled_in;
};

// Up to the bytes to sign: a document without signatures. `hello` is what the node said, when it
// could be asked. Reasons also: not-pinned (no target and no pin), those of SealForNode.
absl::StatusOr<SignedConfig> CompleteConfig(Session& session, const std::string& file,
                                            v1::MachineConfig config, const InventoryNode* node,
                                            const std::optional<v1::HelloReply>& hello,
                                            const SigningOptions& options);

// The whole way: completed, and signed by those whom the options name.
absl::StatusOr<SignedConfig> SignConfig(Session& session, const std::string& file,
                                        v1::MachineConfig config, const InventoryNode* node,
                                        const std::optional<v1::HelloReply>& hello,
                                        const SigningOptions& options);

// "wrong-cluster" unless it is for the cluster of the context.
absl::Status CheckCluster(Session& session, const std::string& file,
                          const v1::MachineConfig& config);

// As many as a node keeps generations.
inline constexpr size_t kKeptCopies = 32;

// Keeps the copy that `rollback` and the comparison of secrets read, and removes all but the newest
// kKeptCopies of its node: old ones may hold secrets in the clear, and whoever finds one could send
// it. So `apply` keeps one only once a node has taken the document, and a dry run none. `config` is
// what `document` holds. May be repeated.
absl::Status KeepCopy(const Context& context, const v1::MachineConfig& config,
                      const v1::SignedDocument& document);

// The same for many documents at once.
struct CopyToKeep {
  const v1::MachineConfig* config;
  const v1::SignedDocument* document;
};
absl::Status KeepCopies(const Context& context, const std::vector<CopyToKeep>& copies);

// Against the chain of the context; names the cause. Reasons: those of sign::Verify,
// plaintext-forbidden, too-few-signers.
absl::Status VerifyLocally(const sign::VerifiedChain& trust, const v1::SignedDocument& document,
                           const v1::MachineConfig& config);

// One of several signers signs first: true when those who sign after may still meet a grant (a
// label scope may be met by theirs).
bool AwaitsSigners(const absl::Status& verdict);
// The warning that says what is missing, with what would do.
void WarnOfMissing(Session& session, const absl::Status& verdict);

// The highest generation of this epoch of which a copy for `node` is kept here; 0: none. Those of
// older epochs say nothing: root began a new one because their numbers were of no use any more.
int64_t LastSigned(const Context& context, const std::string& node, int64_t epoch);

// The generation of the copy that was signed last before (`epoch`, `generation`); 0: none.
int64_t SignedBefore(const Context& context, const std::string& node, int64_t epoch,
                     int64_t generation);

}  // namespace basalt::client
