// Whom the secrets of a node are sealed to when its config is signed: the node's own recipient,
// which its identity vouches for and the inventory holds, and the owner's recipients beside it. Not
// thread-safe.
//
// Why the owner's too: what is sealed to the node alone nobody but the node can open, so a copy of
// it could be neither compared with a source (`unchanged`), nor signed again by `rollback`, nor
// checked by a second signer. Nothing is lost by it: the sources are sealed to the same people.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "basalt/v1/node_service.pb.h"
#include "client/commands/session.h"
#include "machineconfig/seal/keys.h"

namespace basalt::client {

// What the node says in Hello, when its identity vouches for it; empty from a node that says
// nothing (an older noded). PermissionDenied/"bad-vouching".
absl::StatusOr<std::string> VouchedRecipientOf(const InventoryNode& node,
                                               const v1::HelloReply& hello);

// The recipient of the inventory. When it holds none and the node vouches for one, that is recorded
// there and said. FailedPrecondition/"recipient-changed" when the node says another than the
// inventory: never replaced silently. Empty: nobody knows it.
absl::StatusOr<std::string> RecipientOf(Session& session, const InventoryNode& node,
                                        const std::optional<v1::HelloReply>& hello);

// The node's and then the owner's (of the context), each once.
absl::StatusOr<std::vector<seal::Recipient>> RecipientsFor(Session& session,
                                                           const std::string& of_node);

// The node's entry in the inventory, edited in place and in the file as it is now: a person, or we,
// may have edited it since it was read.
absl::Status EditNode(const Context& context, const std::string& name,
                      absl::FunctionRef<void(InventoryNode& node)> edit);

}  // namespace basalt::client
