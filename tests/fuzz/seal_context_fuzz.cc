// What an owner sealed, as a node opens it: the line that names the place, and the value. Whoever
// has the recipient can seal any bytes; only those for this field of this node are a value.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "machineconfig/seal/age.h"
#include "machineconfig/seal/armor.h"
#include "machineconfig/seal/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  static uint8_t counter = 0;
  auto random = [](uint8_t* out, size_t count) {
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(counter++ * 31 + 7);
    return true;
  };
  static const seal::Identity* const node =
      new seal::Identity(seal::Identity::Generate(random).value());
  const absl::string_view plaintext(reinterpret_cast<const char*>(data), size);
  auto file = seal::Encrypt(plaintext, {node->recipient()}, random);
  if (!file.ok()) return 0;  // too large
  v1::MachineConfig config;
  config.mutable_metadata()->set_cluster("home");
  config.mutable_metadata()->set_name("n1");
  config.mutable_k3s()->mutable_token()->set_sealed(seal::Armor(*file));
  const std::vector<api::Violation> wrong = seal::OpenSecrets(config, {node, 1});
  if (wrong.empty()) {
    const std::string& value = config.k3s().token().plain();
    if (plaintext != absl::StrCat("basalt-seal/v1 home n1 k3s.token\n", value)) std::abort();
    if (!seal::CheckValue(value).ok()) std::abort();
  } else if (wrong[0].path != "k3s.token" || wrong[0].reason.empty() ||
             !config.k3s().token().has_sealed()) {
    std::abort();
  }
  return 0;
}
