// SSH and minisign signatures from outside, as text and as a document carries them. What is
// understood has one form, and nothing verifies.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "machineconfig/sign/detached.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/minisign.h"
#include "machineconfig/sign/sshsig.h"

namespace {

using namespace basalt;
using namespace basalt::sign;

const v1::TrustPolicy& Policy() {
  static const auto* const policy = [] {
    auto* made = new v1::TrustPolicy();
    v1::TrustKey* key = made->add_keys();
    key->set_name("owner");
    key->set_public_key(PrivateKey::GenerateEd25519().public_key().Pem());
    return made;
  }();
  return *policy;
}

void NobodyBelieves(v1::SignatureScheme scheme, const std::string& bytes) {
  v1::SignedDocument document;
  document.set_type(v1::DOCUMENT_TYPE_MACHINE_CONFIG);
  document.set_payload("kind: MachineConfig\n");
  v1::Signature* signature = document.add_signatures();
  signature->set_scheme(scheme);
  signature->set_signature(bytes);
  if (Verify(document, document.type(), Policy()).ok()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  NobodyBelieves(v1::SIGNATURE_SCHEME_SSHSIG, text);
  NobodyBelieves(v1::SIGNATURE_SCHEME_MINISIGN, text);

  std::string blob = text;
  if (auto read = ReadDetachedSignature(text); read.ok()) {
    auto again = ReadDetachedSignature(DetachedText(*read));
    if (!again.ok() || again->signature() != read->signature()) std::abort();
    NobodyBelieves(read->scheme(), read->signature());
    if (read->scheme() == v1::SIGNATURE_SCHEME_SSHSIG) blob = read->signature();
  }
  if (auto ssh = ParseSshSignature(blob); ssh.ok()) {
    if (ssh->key_raw.size() != (ssh->algorithm == Algorithm::kEd25519 ? 32u : 65u)) std::abort();
    if (UnarmorSshSignature(ArmorSshSignature(blob)).value_or("") != blob) std::abort();
    // A key that the caller chose may well be a good one, but it signed nothing of ours.
    auto key = PublicKey::Parse(SshKeyLine(ssh->algorithm, ssh->key_raw, ssh->application));
    if (key.ok() && (key->raw() != ssh->key_raw || key->application() != ssh->application)) {
      std::abort();
    }
    if (key.ok() && VerifySshSignature(*ssh, *key, text)) std::abort();
  }
  return 0;
}
