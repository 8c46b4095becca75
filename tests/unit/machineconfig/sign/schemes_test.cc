// The schemes together: who is counted, what is refused, and how such documents are kept.
#include <string>

#include "absl/strings/match.h"
#include "machineconfig/sign/policy.h"
#include "tests/unit/machineconfig/sign/chain_testing.h"
#include "tests/unit/machineconfig/sign/schemes_testing.h"

namespace basalt::sign {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kConfig = v1::DOCUMENT_TYPE_MACHINE_CONFIG;

// alice by DSSE, bob by SSHSIG, carol by minisign.
v1::SignedDocument OfThree() {
  v1::SignedDocument document = SignedBy({"alice"});
  AddSsh(document, Key("bob"));
  AddMinisign(document, Key("carol"));
  return document;
}

TEST(Schemes, SignersOfAllSchemesAreCountedTogether) {
  auto verified = Verify(OfThree(), kConfig, Policy());
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->signers(), Signers({"alice", "bob", "carol"}));
}

TEST(Schemes, TheIdentityOfADocumentDoesNotDependOnTheScheme) {
  EXPECT_EQ(DocumentDigest(OfThree()), DocumentDigest(SignedBy({"alice"})));
}

TEST(Schemes, S7_OneKeyInTwoSchemesIsRefused) {
  for (auto add : {AddSsh, AddMinisign}) {
    v1::SignedDocument document = SignedBy({"alice"});
    add(document, Key("alice"));
    EXPECT_THAT(Verify(document, kConfig, Policy()).status(), HasReason("duplicate-signer"));
  }
}

TEST(Schemes, S8_ARevokedKeyIsRefusedInEveryScheme) {
  for (const char* name : {"alice", "bob", "carol"}) {
    v1::TrustPolicy policy = Policy();
    policy.add_revoked(name);
    EXPECT_THAT(Verify(OfThree(), kConfig, policy).status(), HasReason("revoked-key"));
  }
}

TEST(Schemes, ABadSignatureIsRefusedBesideGoodOnesAndNamed) {
  for (int i = 0; i < 3; ++i) {
    v1::SignedDocument document = OfThree();
    v1::SignedDocument other = document;
    other.set_payload("kind: MachineConfig # other\n");
    other.clear_signatures();
    if (i == 0) AddSignature(other, Key("alice"));
    if (i == 1) AddSsh(other, Key("bob"));
    if (i == 2) AddMinisign(other, Key("carol"));
    *document.mutable_signatures(i) = other.signatures(0);
    const absl::Status status = Verify(document, kConfig, Policy()).status();
    EXPECT_THAT(status, HasReason("bad-signature"));
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("signature ", i + 1, " of 3")));
  }
}

TEST(Schemes, ASignatureOfAnotherTypeIsRefusedInEveryScheme) {
  v1::SignedDocument ssh = SignedBy({}, "x", v1::DOCUMENT_TYPE_ACTION);
  v1::SignedDocument minisign = ssh;
  AddSsh(ssh, Key("alice"));
  AddMinisign(minisign, Key("alice"));
  for (v1::SignedDocument* document : {&ssh, &minisign}) {
    EXPECT_TRUE(Verify(*document, v1::DOCUMENT_TYPE_ACTION, Policy()).ok());
    document->set_type(kConfig);
    const absl::Status status = Verify(*document, kConfig, Policy()).status();
    EXPECT_THAT(status, HasReason("bad-signature"));
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("`basalt-action@v1`, and must be `basalt-machineconfig@v1`"));
  }
}

TEST(Schemes, ASignatureUnderTheNameOfAnotherSchemeIsRefused) {
  const v1::SignatureScheme all[] = {v1::SIGNATURE_SCHEME_DSSE, v1::SIGNATURE_SCHEME_SSHSIG,
                                     v1::SIGNATURE_SCHEME_MINISIGN};
  for (int i = 0; i < 3; ++i) {
    for (v1::SignatureScheme scheme : all) {
      v1::SignedDocument document = OfThree();
      document.mutable_signatures(i)->set_scheme(scheme);
      document.mutable_signatures(i)->clear_key_id();
      EXPECT_THAT(Verify(document, kConfig, Policy()).status(),
                  HasReason(scheme == all[i] ? "" : "bad-signature"));
    }
  }
}

TEST(Schemes, AKeyIdBesideASignatureThatHasNoneIsRefused) {
  for (int i : {1, 2}) {
    v1::SignedDocument document = OfThree();
    document.mutable_signatures(i)->set_key_id(document.signatures(0).key_id());
    EXPECT_THAT(Verify(document, kConfig, Policy()).status(), HasReason("bad-signature"));
  }
}

TEST(Schemes, S1_EveryFlippedBitOfTheStoredFormIsRefused) {
  v1::SignedDocument ssh = SignedBy({}, "kind: MachineConfig\nname: n1\n");
  v1::SignedDocument minisign = ssh;
  AddSsh(ssh, Key("alice"));
  AddMinisign(minisign, Key("alice"));
  for (const v1::SignedDocument& good : {ssh, minisign}) {
    auto before = Verify(good, kConfig, Policy());
    ASSERT_TRUE(before.ok()) << before.status();
    const std::string bytes = good.SerializeAsString();
    int accepted = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = bytes;
        flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
        v1::SignedDocument document;
        if (!document.ParseFromString(flipped)) continue;
        auto after = Verify(document, kConfig, Policy());
        if (!after.ok()) continue;
        ++accepted;
        // The untrusted comment and the key number of minisign are signed by nobody, and change
        // neither what the document says nor who signed it.
        EXPECT_EQ(after->payload(), before->payload());
        EXPECT_EQ(after->digest(), before->digest());
        EXPECT_EQ(after->signers(), before->signers());
      }
    }
    if (good.signatures(0).scheme() == v1::SIGNATURE_SCHEME_SSHSIG) {
      EXPECT_EQ(accepted, 0);
    }
  }
}

TEST(Schemes, TheJsonOfDsseSignaturesAloneIsDsse) {
  EXPECT_THAT(ToDsseJson(SignedBy({"alice"})), Not(HasSubstr("detachedSignatures")));
}

TEST(Schemes, OtherSignaturesStandBesideTheDsseEnvelopeAndComeBack) {
  const v1::SignedDocument document = OfThree();
  const std::string json = ToDsseJson(document);
  auto again = FromDsseJson(json);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), document.SerializeAsString());
  EXPECT_EQ(ToDsseJson(*again), json);
  EXPECT_THAT(json, HasSubstr("{\"scheme\": \"sshsig\", \"sig\": \"U1NIU0lH"));

  v1::SignedDocument only = SignedBy({});
  AddSsh(only, Key("bob"));
  again = FromDsseJson(ToDsseJson(only));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(Verify(*again, kConfig, Policy()).ok());
}

TEST(Schemes, TheListOfOtherSignaturesIsReadStrictly) {
  auto with = [](const std::string& list) {
    return FromDsseJson(absl::StrCat("{\"payload\":\"aGVsbG8=\",\"payloadType\":\"application/"
                                     "vnd.basalt.machineconfig.v1+yaml\",\"signatures\":[]",
                                     list, "}"))
        .status();
  };
  EXPECT_THAT(with(""), HasReason(""));
  EXPECT_THAT(with(",\"detachedSignatures\":[{\"scheme\":\"sshsig\",\"sig\":\"AAAA\"}]"),
              HasReason(""));
  EXPECT_THAT(with(",\"detachedSignatures\":[{\"scheme\":\"pgp\",\"sig\":\"AAAA\"}]"),
              HasReason("unknown-scheme"));
  for (const char* list :
       {",\"detachedSignatures\":[]", ",\"detachedSignatures\":{}", ",\"detachedSignatures\":\"x\"",
        ",\"detachedSignatures\":[{\"scheme\":\"sshsig\"}]",
        ",\"detachedSignatures\":[{\"sig\":\"AAAA\"}]",
        ",\"detachedSignatures\":[{\"scheme\":\"sshsig\",\"sig\":\"AAA\"}]",
        ",\"detachedSignatures\":[{\"keyid\":\"\",\"scheme\":\"sshsig\",\"sig\":\"AAAA\"}]",
        ",\"detachedSignatures\":[{\"scheme\":\"sshsig\",\"scheme\":\"sshsig\",\"sig\":\"AAAA\"}]",
        ",\"detachedSignatures\":[{\"scheme\":\"sshsig\",\"sig\":\"AAAA\"}],"
        "\"detachedSignatures\":[{\"scheme\":\"sshsig\",\"sig\":\"AAAA\"}]"}) {
    EXPECT_THAT(with(list), HasReason("bad-envelope")) << list;
  }
  std::string many = ",\"detachedSignatures\":[";
  for (int i = 0; i <= kMaxSignatures; ++i) {
    absl::StrAppend(&many, i == 0 ? "" : ",", "{\"scheme\":\"sshsig\",\"sig\":\"AAAA\"}");
  }
  EXPECT_THAT(with(many + "]"), HasReason("too-many-signatures"));
}

TEST(Schemes, AChainMayBeSignedInAnyScheme) {
  v1::TrustChain chain = Chain({Version(1), Version(2)});
  chain.mutable_policies(0)->clear_signatures();
  AddSsh(*chain.mutable_policies(0), Key("root"));
  chain.mutable_policies(1)->clear_signatures();
  AddMinisign(*chain.mutable_policies(1), Key("root"));
  auto again = ChainFromJson(ChainToJson(chain));
  ASSERT_TRUE(again.ok()) << again.status();
  auto verified = VerifyChain(*again);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->policy.version(), 2);
  EXPECT_EQ(verified->first, VerifyChain(Chain({Version(1)}))->first);
  // Root's signature for another type carries no version.
  chain.mutable_policies(1)->clear_signatures();
  v1::SignedDocument config = SignedBy({}, chain.policies(1).payload());
  AddSsh(config, Key("root"));
  *chain.mutable_policies(1)->add_signatures() = config.signatures(0);
  EXPECT_THAT(VerifyChain(chain).status(), HasReason("bad-signature"));
}

}  // namespace
}  // namespace basalt::sign
