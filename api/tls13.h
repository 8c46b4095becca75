// TLS 1.3 and nothing older, for every TLS context of this process.
//
// gRPC 1.51 has no setter for the protocol version and overrides `MinProtocol`; `Protocol` in an
// OpenSSL configuration sets SSL_OP_NO_* bits, which it leaves alone. The configuration is a
// string in this program: no openssl.cnf of the machine is read, before or after.
#pragma once

#include "absl/status/status.h"

namespace basalt::api {

// Call at the start of main, before anything makes a TLS context; later calls do nothing. Session
// tickets are off too: each connection shows its certificate. Internal when OpenSSL refuses.
absl::Status ForceTls13();

}  // namespace basalt::api
