// A security key in software: signs as PROTOCOL.u2f of OpenSSH has it, with every part open to
// change.
#pragma once

#include <string>

#include "machineconfig/sign/openssl_ptr.h"
#include "machineconfig/sign/ssh_wire.h"
#include "tests/unit/machineconfig/sign/schemes_testing.h"

namespace basalt::sign {

struct SecurityKey {
  const PrivateKey& key;
  std::string application = "ssh:";
  uint8_t flags = kUserPresent;
  uint32_t counter = 7;

  PublicKey public_key() const { return key.public_key().OnSecurityKey(application); }
  std::string type() const {
    return key.public_key().algorithm() == Algorithm::kEd25519
               ? "sk-ssh-ed25519@openssh.com"
               : "sk-ecdsa-sha2-nistp256@openssh.com";
  }

  static std::string Bytes(const Digest& digest) {
    return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
  }
  // What the device signs: hash of the application, flags, counter, hash of the message.
  std::string Assertion(absl::string_view message) const {
    std::string out = Bytes(Sha256(application));
    out.push_back(static_cast<char>(flags));
    PutUint32(&out, counter);
    return out + Bytes(Sha256(message));
  }
  // The signature as SSH writes it: r and s as numbers, or 64 bytes.
  std::string Value(absl::string_view message) const {
    const std::string made = key.Sign(Assertion(message));
    if (key.public_key().algorithm() == Algorithm::kEd25519) return made;
    // DER has its numbers in the form of SSH, with another length in front.
    std::string out;
    for (size_t at = 2; at < made.size(); at += 2 + static_cast<size_t>(made[at + 1])) {
      PutString(&out, made.substr(at + 2, static_cast<size_t>(made[at + 1])));
    }
    return out;
  }
  std::string Answer(absl::string_view message) const {
    std::string out;
    PutString(&out, type());
    PutString(&out, Value(message));
    out.push_back(static_cast<char>(flags));
    PutUint32(&out, counter);
    return out;
  }
  std::string KeyBlob() const {
    return SshKeyBlob(key.public_key().algorithm(), key.public_key().raw(), application);
  }
  std::string Blob(v1::DocumentType type, absl::string_view payload) const {
    return SshSignatureOf(KeyBlob(), type, Answer(SshToBeSigned(type, payload)));
  }
};

}  // namespace basalt::sign
