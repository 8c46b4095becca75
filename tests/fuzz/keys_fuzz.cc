// Key and certificate texts from outside. A public key that is accepted has one canonical form.
#include <cstdint>
#include <cstdlib>

#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/openssh_key.h"
#include "machineconfig/sign/sshsig.h"
#include "machineconfig/sign/x509.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  absl::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto& key : {sign::PublicKey::Parse(text), sign::PublicKey::FromSpkiDer(text),
                          sign::PublicKey::FromEd25519(text)}) {
    if (!key.ok()) continue;
    auto again = sign::PublicKey::Parse(sign::PublicKeyText(*key));
    if (!again.ok() || again->id() != key->id() || again->raw() != key->raw() ||
        again->application() != key->application()) {
      std::abort();
    }
    if (key->Verify("message", text)) std::abort();
  }
  // Without a passphrase: key derivation is slow by design, and bounded by its own check.
  if (auto key = sign::PrivateKey::FromPem(text); key.ok()) {
    if (!key->public_key().Verify("m", key->Sign("m"))) std::abort();
  }
  if (auto key = sign::ReadOpenSshKey(text); key.ok()) {
    if (!key->public_key().Verify("m", key->Sign("m"))) std::abort();
  }
  static_cast<void>(sign::ReadCertificate(text));
  if (auto parts = sign::SplitPem(text); parts.ok() && parts->size() >= 2) {
    static_cast<void>(sign::IssuedBy((*parts)[0], (*parts)[1]));
  }
  return 0;
}
