// Is this the node we mean? Pure, thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/fleet/node_client.h"

namespace basalt::client {

// The leaf's SPKI equals the pin; or, without a pin, the leaf is a server certificate in its time,
// issued by the owner's authority, with URI basalt://CLUSTER/NAME. A pin that differs is refused
// whatever the certificate says: fingerprint-mismatch. Without either: not-pinned.
absl::Status CheckIdentity(const Dial& dial, absl::string_view leaf_pem, absl::Time now);

// Lower-hex sha256 of the SPKI of a certificate.
absl::StatusOr<std::string> SpkiFingerprint(absl::string_view leaf_pem);

// What may be wrong with our own certificate: OK, certificate-expired, certificate-not-yet-valid.
absl::Status CheckOwnCertificate(absl::string_view pem, absl::Time now);

// "Socket closed" and its kin in words that help. `status` is what gRPC reported.
absl::Status Translate(const Dial& dial, const absl::Status& status, absl::Time now);

}  // namespace basalt::client
