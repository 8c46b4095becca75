// The node's identity: an Ed25519 key made at the first start, which never leaves the node, and a
// self-signed certificate for its API. Fingerprint = machineId = lower-hex sha256 of the key's DER
// SPKI. Immutable after Load; thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "machineconfig/sign/keys.h"
#include "server/host/clock.h"
#include "server/host/vfs.h"

namespace basalt::trust {

class Identity {
 public:
  // Reads state/identity.key, or makes it (durably, before anything shows it). A key file that is
  // there but cannot be read is DataLoss, never replaced.
  static absl::StatusOr<Identity> Load(host::Vfs& vfs, host::Clock& clock);

  std::string machine_id() const { return key_.public_key().id().Hex(); }
  const sign::PrivateKey& key() const { return key_; }
  // PEM, self-signed, CN=machine id, serverAuth, valid 10 years from the clock floor; made at each
  // start.
  const std::string& certificate_pem() const { return certificate_pem_; }
  std::string key_pem() const { return key_.Pem(); }

 private:
  Identity(sign::PrivateKey key, std::string certificate)
      : key_(std::move(key)), certificate_pem_(std::move(certificate)) {}
  sign::PrivateKey key_;
  std::string certificate_pem_;
};

}  // namespace basalt::trust
