// Signatures that other tools wrote into a file beside the document: recognised by their first line
// and brought to the form in which a document carries them. Pure, thread-safe.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/document.pb.h"

namespace basalt::sign {

// "SSHSIG", "minisign", "DSSE"; of others their number.
std::string SchemeName(v1::SignatureScheme scheme);

// The text of a .sig of ssh-keygen -Y sign or of a .minisig. Well-formed, and no more: the caller
// verifies the document. Reasons: bad-signature, unknown-scheme.
absl::StatusOr<v1::Signature> ReadDetachedSignature(absl::string_view text);

// The same text again; empty for DSSE signatures, which have no file of their own.
std::string DetachedText(const v1::Signature& signature);

}  // namespace basalt::sign
