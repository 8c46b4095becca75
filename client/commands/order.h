// Orders that are not configs: signed for one machine, obeyed once. Shared by reset and upgrade
// --rollback. Not thread-safe.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "client/commands/commands.h"

namespace basalt::client {

struct Order {
  std::string verb;  // of the action
  std::map<std::string, std::string> arguments;
  std::string what;         // "Reset", before the name of the node
  std::string consequence;  // asked about
  std::string done;         // said behind the name of the node
  std::string command;      // the verb of nodectl that sends one that was signed before
};

// What became of it.
struct SentOrder {
  bool sent = false;  // else written to a file
  InventoryNode node;
  v1::Action action;
};

// Signs and sends; with `to` writes it for others to sign; with `file` sends what is there.
// Reasons: not-pinned, signed-already, other-action, wrong-target, too-few-signers.
absl::StatusOr<int> RunOrder(Session& session, const Order& order, const OrderOptions& options,
                             SentOrder* sent = nullptr);

}  // namespace basalt::client
