// Passphrases of the owner's keys: from a file, the environment, or typed without echo. Never from
// an argument, which other users of the machine can read.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "machineconfig/sign/keys.h"

namespace basalt::client {

// Where a passphrase may come from, tried in this order.
struct PassphraseSource {
  std::string file;  // --passphrase-file; its first line
  bool terminal = true;
};

// Asks once. Unauthenticated/"passphrase-needed" when there is no way to ask.
absl::StatusOr<std::string> GetPassphrase(const PassphraseSource& source, const std::string& what);
// A new one: typed twice on a terminal; at least 8 characters, "weak-passphrase" otherwise.
absl::StatusOr<std::string> NewPassphrase(const PassphraseSource& source);

// A secret that is not a passphrase, typed once without echo. "value-needed" without a terminal,
// "too-large" beyond a line of 1,024 bytes.
absl::StatusOr<std::string> AskSecret(const std::string& prompt);

// Reads a private key, asking for its passphrase when it has one. Errors name the file.
absl::StatusOr<sign::PrivateKey> LoadKey(const std::string& path, const PassphraseSource& source);
absl::StatusOr<std::vector<sign::PrivateKey>> LoadKeys(const std::vector<std::string>& paths,
                                                       const PassphraseSource& source);

}  // namespace basalt::client
