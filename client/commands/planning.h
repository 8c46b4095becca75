// Which node a document goes to and what it would change there: shared by plan, diff and apply.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "basalt/v1/node_service.pb.h"
#include "client/commands/inputs.h"
#include "client/commands/session.h"

namespace basalt::client {

// -n NAME, else metadata.name, in the inventory.
absl::StatusOr<InventoryNode> DestinationOf(Session& session, const Document& document,
                                            const std::string& name);

// The signatures of an envelope, before its payload is parsed: nothing below the signature is
// looked at when it is not good. A source passes.
absl::Status CheckSignatures(Session& session, const Input& input);

// Signatures against the trust chain of the context, and the target against the pin: the node would
// refuse as well, but to a stranger it would not say why. wrong-target names both ids.
absl::Status CheckEnvelope(Session& session, const Document& document, const InventoryNode& node);

// The target a document names, signed or not, against the pin: wrong-target.
absl::Status CheckTarget(const Document& document, const InventoryNode& node);

absl::StatusOr<v1::PlanReply> PlanSigned(NodeClient& client, const v1::SignedDocument& document,
                                         absl::Duration timeout = kPlanTimeout);

// On a node without a config computed here, against an empty one, with what the node says that it
// cannot apply; else by the node, which takes an
// unsigned source from a reader and does not compare secrets. Where a copy of what runs is kept
// here (signed/NAME) and our identity opens it, the secrets are compared with it.
absl::StatusOr<v1::PlanReply> PlanSource(Session& session, NodeClient& client,
                                         const v1::HelloReply& hello, const Input& input,
                                         const v1::MachineConfig& config,
                                         absl::Duration timeout = kPlanTimeout,
                                         const std::vector<std::string>& identity_files = {});

// Unimplemented "unimplemented-on-platform" when a step of the plan is one that the node cannot do.
absl::Status CheckImplemented(const v1::PlanReply& plan);

// What was signed here and has `digest`, when a copy is kept: as it was signed, sealed. NotFound
// otherwise.
absl::StatusOr<v1::MachineConfig> FindSigned(const Context& context, const std::string& node,
                                             const std::string& digest);

}  // namespace basalt::client
