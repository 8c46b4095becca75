// DSSE envelopes to and from securesystemslib, which is none of ours. Skipped where it is not
// installed.
#include <sys/wait.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/sign/config_set.h"
#include "tests/unit/machineconfig/sign/interop_testing.h"
#include "tests/unit/machineconfig/sign/schemes_testing.h"

namespace basalt::sign {
namespace {

constexpr auto kConfig = v1::DOCUMENT_TYPE_MACHINE_CONFIG;
constexpr absl::string_view kPayload = "apiVersion: basalt/v1\nkind: MachineConfig\n";

class DsseInterop : public Interop {
 protected:
  // Its exit code.
  int Peer(const std::string& words) {
    const int status = std::system(
        absl::StrCat("cd ", dir_, " && /usr/bin/python3 " DSSE_PEER " ", words, " >out 2>&1")
            .c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  }
  std::string Ours(const char* name) {
    return "ed25519:" + absl::BytesToHexString(Key(name).public_key().raw());
  }
};

TEST_F(DsseInterop, SecuresystemslibVerifiesWhatWeSigned) {
  v1::SignedDocument document = SignedBy({"alice"}, kPayload);
  AddSignature(document, P256Key());
  Write("e.json", ToDsseJson(document));
  Write("p256.pem", P256Key().public_key().Pem());
  const int code = Peer(absl::StrCat("verify e.json ", Ours("alice"), " p256.pem"));
  if (code == 77 || code == 127) GTEST_SKIP() << Read("out");
  EXPECT_EQ(code, 0) << Read("out");
  EXPECT_NE(Peer(absl::StrCat("verify e.json ", Ours("bob"), " p256.pem")), 0);
  document.set_payload("other");
  Write("e.json", ToDsseJson(document));
  EXPECT_NE(Peer(absl::StrCat("verify e.json ", Ours("alice"), " p256.pem")), 0);
}

// Of a set it verifies the set; the file beside it is a field that it does not know.
TEST_F(DsseInterop, SecuresystemslibVerifiesTheSetInTheEnvelopeOfAPart) {
  NewSet made = MakeSet("home", {kPayload, "other"});
  AddSignature(made.set, Key("alice"));
  v1::SignedDocument member = MemberOf(made.set, made.proofs[0], kPayload);
  AddMinisign(member, Key("bob"));  // not DSSE's: beside it as well
  Write("e.json", ToDsseJson(member));
  const int code = Peer("verify e.json " + Ours("alice"));
  if (code == 77 || code == 127) GTEST_SKIP() << Read("out");
  EXPECT_EQ(code, 0) << Read("out");
  EXPECT_NE(Peer("verify e.json " + Ours("bob")), 0);
}

TEST_F(DsseInterop, WeVerifyWhatSecuresystemslibSigned) {
  Write("n1.yaml", kPayload);
  const int code = Peer(absl::StrCat("sign ", PayloadType(kConfig), " n1.yaml e.json ."));
  if (code == 77 || code == 127) GTEST_SKIP() << Read("out");
  ASSERT_EQ(code, 0) << Read("out");
  v1::TrustPolicy policy = Policy();
  auto ed = PublicKey::FromEd25519(absl::HexStringToBytes(Read("ed.hex")));
  auto ec = PublicKey::Parse(Read("ec.pem"));
  ASSERT_TRUE(ed.ok() && ec.ok()) << ed.status() << ec.status();
  AddKey(policy, "ed", *ed);
  AddKey(policy, "ec", *ec);
  auto document = FromDsseJson(Read("e.json"));
  ASSERT_TRUE(document.ok()) << document.status();
  auto verified = Verify(*document, kConfig, policy);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->payload(), kPayload);
  EXPECT_EQ(verified->signers().size(), 2u);
  EXPECT_THAT(Verify(*document, kConfig, Policy()).status(), HasReason("bad-signature"));
}

}  // namespace
}  // namespace basalt::sign
