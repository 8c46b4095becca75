#include "machineconfig/sign/vouching.h"

#include <gmock/gmock.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {
namespace {

// Of age's own documentation.
constexpr char kRecipient[] = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
constexpr char kOther[] = "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z";

TEST(Vouching, IsCheckedByTheMachineIdAlone) {
  const PrivateKey identity = PrivateKey::GenerateEd25519();
  const v1::VouchedRecipient vouched = VouchForRecipient(identity, kRecipient);
  absl::StatusOr<std::string> recipient = CheckVouching(vouched, identity.public_key().id().Hex());
  ASSERT_TRUE(recipient.ok()) << recipient.status();
  EXPECT_EQ(*recipient, kRecipient);
}

TEST(Vouching, EveryPartOfItIsCovered) {
  const PrivateKey identity = PrivateKey::GenerateEd25519();
  const PrivateKey stranger = PrivateKey::GenerateEd25519();
  const std::string id = identity.public_key().id().Hex();
  const v1::VouchedRecipient good = VouchForRecipient(identity, kRecipient);
  std::vector<v1::VouchedRecipient> bad(7, good);
  bad[0].set_recipient(kOther);
  bad[1].set_signature(
      stranger.Sign(absl::StrCat("basalt-recipient/v1 ", id, " ", kRecipient, "\n")));
  bad[2] = VouchForRecipient(stranger, kRecipient);
  bad[3].set_identity_key(stranger.public_key().spki_der());
  bad[4].set_recipient(absl::AsciiStrToUpper(kRecipient));  // the same key, in another form
  bad[5].clear_signature();
  bad[6].set_identity_key("no key");
  bad.emplace_back();
  for (const v1::VouchedRecipient& vouched : bad) {
    EXPECT_THAT(CheckVouching(vouched, id).status(), HasReason("bad-vouching"))
        << vouched.ShortDebugString();
  }
}

// The statement is what the header says, byte for byte: OpenSSL's own tool signed it with the first
// key of RFC 8032.
TEST(Vouching, TheStatementIsTheDocumentedOne) {
  const auto identity = PrivateKey::FromPem(
      "-----BEGIN PRIVATE KEY-----\n"
      "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
      "-----END PRIVATE KEY-----\n");
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(absl::BytesToHexString(VouchForRecipient(*identity, kRecipient).signature()),
            "58699ead50c15e8cd95c02bb4430e5547be7c6774b4143df563d0f733d6b6d4f"
            "009a16b469c24e297beff30997f4d0c1c026668c78da7aff859eddcf1a8e6c0a");
}

// A signature of the identity over something else of ours must not vouch.
TEST(Vouching, AnotherStatementOfTheSameKeyDoesNotVouch) {
  const PrivateKey identity = PrivateKey::GenerateEd25519();
  const std::string id = identity.public_key().id().Hex();
  v1::VouchedRecipient vouched = VouchForRecipient(identity, kRecipient);
  for (const std::string& statement :
       {std::string(kRecipient), absl::StrCat("basalt-recipient/v1 ", id, " ", kRecipient),
        absl::StrCat("basalt-recipient/v2 ", id, " ", kRecipient, "\n")}) {
    vouched.set_signature(identity.Sign(statement));
    EXPECT_THAT(CheckVouching(vouched, id).status(), HasReason("bad-vouching")) << statement;
  }
}

TEST(Vouching, AnEcdsaKeyIsNoIdentity) {
  v1::VouchedRecipient vouched = VouchForRecipient(PrivateKey::GenerateEd25519(), kRecipient);
  vouched.set_identity_key(P256Key().public_key().spki_der());
  EXPECT_THAT(CheckVouching(vouched, P256Key().public_key().id().Hex()).status(),
              HasReason("bad-vouching"));
}

}  // namespace
}  // namespace basalt::sign
