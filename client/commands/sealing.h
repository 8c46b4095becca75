// Sealed secrets on the owner's side: whose keys seal and open them, and a config with its sealed
// values opened. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/node_service.pb.h"
#include "client/commands/inputs.h"
#include "client/commands/session.h"
#include "machineconfig/seal/field.h"

namespace basalt::client {

// Random bytes of OpenSSL.
bool RandomBytes(uint8_t* out, size_t size);

// Those that are named and those in the files (a recipient a line); with neither, the context's.
// "no-recipients".
absl::StatusOr<std::vector<seal::Recipient>> LoadRecipients(Session& session,
                                                            const std::vector<std::string>& texts,
                                                            const std::vector<std::string>& files);
// Those of the files; without files, the context's.
absl::StatusOr<std::vector<seal::Identity>> LoadIdentities(Session& session,
                                                           const std::vector<std::string>& files);

// The config of a source with its sealed values opened. The text stays as it is: a node that is
// asked what would change gets it sealed. Without sealed values nothing changes and no identity is
// asked for. Every value that does not open is reported, with its line.
absl::Status OpenSealed(Session& session, const std::vector<std::string>& identity_files,
                        const Input& input, Document& document);
// The same for who only looks: where the context's identity is not there (a pipeline), they stay
// sealed, and that is said.
absl::Status OpenSealedIfAble(Session& session, const std::vector<std::string>& identity_files,
                              const Input& input, Document& document);

// A signed config (a copy, what another signer made) with its secrets opened, as far as they open
// for us: two that were sealed can be compared then. False when some, or all, stay sealed.
bool OpenForComparison(Session& session, const std::vector<std::string>& identity_files,
                       v1::MachineConfig& config);

// Before signing: every secret of `config`, which stands opened in it, sealed for its node (and for
// the owner, see recipients.h). `node` may be null (not in the inventory). Plaintext is left only
// where it cannot be sealed, `allow_plaintext` was said and the policy accepts it; that is said.
// FailedPrecondition: no-recipient, recipient-changed, plaintext-secrets, plaintext-forbidden.
absl::Status SealForNode(Session& session, const std::string& file, const InventoryNode* node,
                         const std::optional<v1::HelloReply>& hello, bool allow_plaintext,
                         v1::MachineConfig& config);

}  // namespace basalt::client
