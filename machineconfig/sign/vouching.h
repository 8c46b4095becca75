// A node says whom secrets for it are sealed to: its recipient, a key of its own beside the
// identity, is vouched for by a signature of the identity key over
//
//   basalt-recipient/v1 MACHINE-ID age1...
//
// and a line feed. The identity key signs nothing else of that form. Whoever knows the pin needs
// nothing else to check it: the machine id is the sha256 of the key that comes with it. Pure,
// thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/document.pb.h"
#include "machineconfig/sign/keys.h"

namespace basalt::sign {

// `recipient` in the text form of age.
v1::VouchedRecipient VouchForRecipient(const PrivateKey& identity, absl::string_view recipient);

// The recipient, when the key of `machine_id` vouches for it. PermissionDenied/"bad-vouching":
// another machine's key, a signature that does not fit, an identity key that is none, a text that
// is no recipient.
absl::StatusOr<std::string> CheckVouching(const v1::VouchedRecipient& vouched,
                                          absl::string_view machine_id);

}  // namespace basalt::sign
