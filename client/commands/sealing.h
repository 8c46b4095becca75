// Sealed secrets on the owner's side: whose keys seal and open them, and a config with its sealed
// values opened. Not thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
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

// "bad-value" when a config could not hold the value as a text: not UTF-8, or characters that
// nobody sees; "empty-value".
absl::Status CheckSecretValue(absl::string_view value);

seal::FieldContext FieldOf(const v1::MachineConfig& config, const std::string& path);

// A source whose sealed values are opened, in the config and in the text, so that it reads as if
// they had stood there in the clear. Without sealed values nothing changes and no identity is
// asked for. Every value that does not open is reported, with its line.
absl::Status OpenSealed(Session& session, const std::vector<std::string>& identity_files,
                        Input& input, Document& document);

// FailedPrecondition/"sealed-unsupported": nodes do not open sealed values yet, so signing them
// means signing them opened, which wants consent.
absl::Status RefuseSealed(const Document& document, bool allow_plaintext);

}  // namespace basalt::client
