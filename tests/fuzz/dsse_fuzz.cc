// DSSE envelopes and chains from outside. What is accepted must survive a round trip unchanged, and
// nothing may verify.
#include <cstdint>
#include <cstdlib>

#include "machineconfig/sign/document.h"
#include "machineconfig/sign/keys.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  static const v1::TrustPolicy* const policy = [] {
    auto* made = new v1::TrustPolicy();
    v1::TrustKey* key = made->add_keys();
    key->set_name("owner");
    key->set_public_key(sign::PrivateKey::GenerateEd25519().public_key().Pem());
    return made;
  }();
  absl::string_view json(reinterpret_cast<const char*>(data), size);
  if (auto document = sign::FromDsseJson(json); document.ok()) {
    std::string once = sign::ToDsseJson(*document);
    auto again = sign::FromDsseJson(once);
    if (!again.ok() || sign::ToDsseJson(*again) != once) std::abort();
    if (sign::Verify(*document, document->type(), *policy).ok()) std::abort();
  }
  if (auto chain = sign::ChainFromJson(json); chain.ok()) {
    std::string once = sign::ChainToJson(*chain);
    auto again = sign::ChainFromJson(once);
    if (!again.ok() || sign::ChainToJson(*again) != once) std::abort();
  }
  return 0;
}
