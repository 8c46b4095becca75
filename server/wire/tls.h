// TLS of a client: 1.2 and 1.3, the peer verified by name and time unless somebody only wants to
// look at it.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/wire/net.h"

namespace basalt::wire {

struct TlsSettings {
  std::string ca_pem;           // empty: the authorities that this system trusts
  std::string certificate_pem;  // shown, when it is asked for
  std::string key_pem;
  std::string name;    // of the peer: what its certificate has to be for; an address too
  bool verify = true;  // false: shake hands with anybody, and say what is wrong with them
};

struct TlsPeer {
  std::string version;  // "TLSv1.3"
  std::string cipher;
  std::string fault;               // "" when it is verified
  std::vector<std::string> chain;  // DER, its own first; at most 16
};

class TlsContext {
 public:
  // InvalidArgument "bad-certificate", "bad-key", "bad-ca".
  static absl::StatusOr<std::unique_ptr<TlsContext>> Make(const TlsSettings& settings);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // "tls-failed", "tls-not-trusted" (Unavailable), "timeout". `peer` may be null.
  absl::StatusOr<std::unique_ptr<Stream>> Handshake(host::UniqueFd fd, absl::Time deadline,
                                                    TlsPeer* peer);

 private:
  explicit TlsContext(SSL_CTX* context, TlsSettings settings)
      : context_(context), settings_(std::move(settings)) {}
  SSL_CTX* const context_;
  const TlsSettings settings_;
};

}  // namespace basalt::wire
