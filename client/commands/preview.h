// What a signer is shown before a key is used: the change that the signature would bring about,
// compared with the node itself where it can be asked, else with what was signed here last. Secrets
// are redacted. Everything goes to standard error: standard output may be the document. Not
// thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "basalt/v1/document.pb.h"
#include "basalt/v1/machine_config.pb.h"
#include "client/commands/session.h"

namespace basalt::client {

// A node that was asked for its Hello, or why it could not be.
struct Reached {
  std::unique_ptr<NodeClient> client;  // null: it was not reached
  std::optional<v1::HelloReply> hello;
  std::string why_not;  // "not pinned", "unreachable: ..."
  std::string name;     // of the machine in the inventory, where it is another than the config's
};
// `node` may be null. Waits for seconds, not for minutes: signing works offline.
Reached Reach(Session& session, const InventoryNode* node);

// The machine that a config would go to: -n NAME, else the name of the config, else the machine
// that its target names, which may have another name until then. Null: the inventory knows none.
const InventoryNode* MachineOf(const Inventory& inventory, const std::string& name,
                               const v1::MachineConfig& config);

// Shows what `config`, which is complete, changes, and with what it was compared. `opened` is the
// same with its secrets opened where they can be; it stays here. `before` is set to the config that
// it was compared with, when that is known here. Asks, as `apply` does, when the effect on what
// runs is a reboot or worse: needs-yes in a pipe, declined.
absl::Status ShowConfig(Session& session, const v1::MachineConfig& config,
                        const v1::MachineConfig& opened, const Reached& reached, bool yes,
                        const std::vector<std::string>& identity_files = {},
                        std::optional<v1::MachineConfig>* before = nullptr);

// Of a trust policy: what it changes in the version before, and who has to sign yet. Of an action:
// what will be done, where, until when; it is always asked.
absl::Status ShowPolicy(Session& session, const v1::SignedDocument& document);
absl::Status ShowAction(Session& session, const v1::Action& action, bool yes);

}  // namespace basalt::client
