// PEM certificates as they stand in documents. Pure, thread-safe.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace basalt::format {

// One to 32 certificates that OpenSSL can read and nothing else: a private key that was pasted
// along is named, because it would end up on every node.
absl::Status CheckPemCertificates(absl::string_view text);

}  // namespace basalt::format
