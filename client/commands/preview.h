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
};
// `node` may be null. Waits for seconds, not for minutes: signing works offline.
Reached Reach(Session& session, const InventoryNode* node);

// `before` is set to the config that it was compared with, when that is known here.
// Shows what `config`, which is complete and whose secrets are opened where they can be, changes,
// and with what it was compared. Asks, as `apply` does, when the effect on what runs is a reboot or
// worse: needs-yes in a pipe, declined.
absl::Status ShowConfig(Session& session, const v1::MachineConfig& config, const Reached& reached,
                        bool yes, const std::vector<std::string>& identity_files = {},
                        std::optional<v1::MachineConfig>* before = nullptr);

// Of a trust policy: what it changes in the version before, and who has to sign yet. Of an action:
// what will be done, where, until when; it is always asked.
absl::Status ShowPolicy(Session& session, const v1::SignedDocument& document);
absl::Status ShowAction(Session& session, const v1::Action& action, bool yes);

}  // namespace basalt::client
