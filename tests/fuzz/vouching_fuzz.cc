// What a node says of its recipient in Hello. Nothing but what the identity signed is believed,
// whatever bytes come instead.
#include <cstdint>
#include <cstdlib>

#include "basalt/v1/document.pb.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/vouching.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  // A key that the corpus knows, so that what is nearly right is tried as well.
  static const sign::PrivateKey* const identity = new sign::PrivateKey(*sign::PrivateKey::FromPem(
      "-----BEGIN PRIVATE KEY-----\n"
      "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
      "-----END PRIVATE KEY-----\n"));
  constexpr char kRecipient[] = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
  static const std::string signed_once =
      sign::VouchForRecipient(*identity, kRecipient).SerializeAsString();
  v1::VouchedRecipient vouched;
  if (!vouched.ParseFromArray(data, static_cast<int>(size))) return 0;
  auto recipient = sign::CheckVouching(vouched, identity->public_key().id().Hex());
  // Ed25519 of one key and one statement is one text.
  if (recipient.ok() && (*recipient != kRecipient || [&] {
        v1::VouchedRecipient known;
        known.ParseFromString(signed_once);
        return vouched.signature() != known.signature();
      }())) {
    std::abort();
  }
  return 0;
}
