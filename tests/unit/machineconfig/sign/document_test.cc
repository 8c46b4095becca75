#include "machineconfig/sign/document.h"

#include <string>

#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kConfig = v1::DOCUMENT_TYPE_MACHINE_CONFIG;

absl::Status Check(const v1::SignedDocument& document, const v1::TrustPolicy& policy = Policy(),
                   v1::DocumentType expected = kConfig) {
  return Verify(document, expected, policy).status();
}

TEST(Document, PaeIsThatOfTheDsseSpecification) {
  EXPECT_EQ(Pae("http://example.com/HelloWorld", "hello world"),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  EXPECT_EQ(PayloadType(kConfig), "application/vnd.basalt.machineconfig.v1+yaml");
}

TEST(Document, VerifiedDocumentNamesItsSignersSorted) {
  v1::SignedDocument document = SignedBy({"bob", "alice"});
  auto verified = Verify(document, kConfig, Policy());
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_THAT(verified->signers(), ElementsAre(Signer{"alice", Key("alice").public_key().id()},
                                               Signer{"bob", Key("bob").public_key().id()}));
  EXPECT_EQ(verified->digest(), Sha256(Pae(PayloadType(kConfig), document.payload())));
  EXPECT_EQ(verified->payload(), document.payload());
}

TEST(Document, TheDigestDoesNotDependOnTheSigners) {
  EXPECT_EQ(DocumentDigest(SignedBy({"alice"})), DocumentDigest(SignedBy({"bob", "carol"})));
  EXPECT_NE(DocumentDigest(SignedBy({"alice"}, "a")), DocumentDigest(SignedBy({"alice"}, "b")));
  EXPECT_NE(DocumentDigest(SignedBy({"alice"}, "a")),
            DocumentDigest(SignedBy({"alice"}, "a", v1::DOCUMENT_TYPE_ACTION)));
}

TEST(Document, MixedAlgorithmsSignTogether) {
  v1::TrustPolicy policy = Policy();
  AddKey(policy, "token", P256Key().public_key());
  v1::SignedDocument document = SignedBy({"alice"});
  AddSignature(document, P256Key());
  auto verified = Verify(document, kConfig, policy);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->signers().size(), 2u);
}

// r and s of a DER signature side by side, as PKCS#11 gives them.
std::string SideBySide(const std::string& der) {
  std::string out;
  for (size_t at = 2; at < der.size(); at += 2 + static_cast<size_t>(der[at + 1])) {
    std::string number = der.substr(at + 2, static_cast<size_t>(der[at + 1]));
    if (number.size() > 32) number.erase(0, 1);
    out += std::string(32 - number.size(), '\0') + number;
  }
  return out;
}

TEST(Document, ASignatureMadeElsewhereIsTakenWhenItIsGood) {
  v1::TrustPolicy policy = Policy();
  AddKey(policy, "token", P256Key().public_key());
  v1::SignedDocument document = SignedBy({});
  const std::string pae = Pae(PayloadType(kConfig), document.payload());
  const std::string der = P256Key().Sign(pae);
  for (const std::string& bad : {std::string(), std::string(64, '\0'), std::string(64, '\xff'),
                                 P256Key().Sign("x"), SideBySide(P256Key().Sign("x")), der + "x"}) {
    EXPECT_FALSE(AddSignatureOf(document, P256Key().public_key(), bad));
  }
  EXPECT_FALSE(AddSignatureOf(document, Key("alice").public_key(), Key("bob").Sign(pae)));
  EXPECT_EQ(document.signatures_size(), 0);
  EXPECT_TRUE(AddSignatureOf(document, Key("alice").public_key(), Key("alice").Sign(pae)));
  for (const std::string& good : {der, SideBySide(der)}) {
    v1::SignedDocument both = document;
    ASSERT_TRUE(AddSignatureOf(both, P256Key().public_key(), good));
    EXPECT_EQ(both.signatures(1).signature(), der);
    EXPECT_THAT(Check(both, policy), HasReason(""));
  }
}

TEST(Document, S1_EveryFlippedBitOfTheStoredFormIsRefused) {
  const v1::SignedDocument good = SignedBy({"alice"}, "kind: MachineConfig\nname: n1\n");
  ASSERT_TRUE(Check(good).ok());
  const std::string bytes = good.SerializeAsString();
  int tried = 0, accepted = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = bytes;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      v1::SignedDocument document;
      ++tried;
      if (!document.ParseFromString(flipped)) continue;
      accepted += Check(document).ok();
    }
  }
  EXPECT_EQ(tried, static_cast<int>(bytes.size()) * 8);
  EXPECT_EQ(accepted, 0);
}

TEST(Document, S1_ADocumentChangedAfterSigningNamesTheKey) {
  v1::SignedDocument document = SignedBy({"alice"});
  document.set_payload(document.payload() + " ");
  absl::Status status = Check(document);
  EXPECT_THAT(status, HasReason("bad-signature"));
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("`alice`"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("changed after signing"));
}

TEST(Document, AStrangersSignatureIsRefusedAlsoBesideAGoodOne) {
  EXPECT_THAT(Check(SignedBy({"mallory"})), HasReason("bad-signature"));
  EXPECT_THAT(Check(SignedBy({"alice", "mallory"})), HasReason("bad-signature"));
}

TEST(Document, AKeyIdThatIsNotTheSignersIsRefused) {
  v1::SignedDocument document = SignedBy({"alice"});
  const auto& bob = Key("bob").public_key().id().bytes;
  document.mutable_signatures(0)->set_key_id(bob.data(), bob.size());
  EXPECT_THAT(Check(document), HasReason("bad-signature"));
  document.mutable_signatures(0)->set_key_id("alice");
  EXPECT_THAT(Check(document), HasReason("bad-signature"));
  document.mutable_signatures(0)->clear_key_id();
  EXPECT_TRUE(Check(document).ok());
}

TEST(Document, S7_OneKeySigningTwiceIsRefused) {
  EXPECT_THAT(Check(SignedBy({"alice", "alice"})), HasReason("duplicate-signer"));
  // The same with a signature of other bytes: ECDSA is randomised.
  v1::TrustPolicy policy = Policy();
  AddKey(policy, "token", P256Key().public_key());
  v1::SignedDocument document = SignedBy({});
  AddSignature(document, P256Key());
  AddSignature(document, P256Key());
  ASSERT_NE(document.signatures(0).signature(), document.signatures(1).signature());
  EXPECT_THAT(Check(document, policy), HasReason("duplicate-signer"));
}

TEST(Document, S7_OneKeyUnderTwoNamesMakesThePolicyInvalid) {
  v1::TrustPolicy policy = Policy();
  AddKey(policy, "alice2", Key("alice").public_key());
  EXPECT_THAT(Check(SignedBy({"alice"}), policy), HasReason("invalid-policy"));
  // Also in another encoding.
  policy = Policy();
  v1::TrustKey* twin = policy.add_keys();
  twin->set_name("alice2");
  twin->set_public_key(Base64Encode("Ed12345678" + Key("alice").public_key().raw()));
  EXPECT_THAT(Check(SignedBy({"alice"}), policy), HasReason("invalid-policy"));
}

TEST(Document, S8_ARevokedKeyIsRefusedAlsoBesideAGoodOne) {
  v1::TrustPolicy policy = Policy();
  policy.add_revoked("bob");
  EXPECT_THAT(Check(SignedBy({"bob"}), policy), HasReason("revoked-key"));
  EXPECT_THAT(Check(SignedBy({"alice", "bob"}), policy), HasReason("revoked-key"));
  EXPECT_TRUE(Check(SignedBy({"alice"}), policy).ok());
}

TEST(Document, S9_UnknownSchemesAreRefusedAndTheKnownOnesNamed) {
  for (v1::SignatureScheme scheme :
       {v1::SIGNATURE_SCHEME_UNSPECIFIED, static_cast<v1::SignatureScheme>(77)}) {
    v1::SignedDocument document = SignedBy({"alice"});
    document.mutable_signatures(0)->set_scheme(scheme);
    absl::Status status = Check(document);
    EXPECT_THAT(status, HasReason("unknown-scheme"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("it knows DSSE, SSHSIG and minisign"));
  }
}

TEST(Document, ARightSignatureOverAnotherTypeIsRefused) {
  v1::SignedDocument action = SignedBy({"alice"}, "x", v1::DOCUMENT_TYPE_ACTION);
  EXPECT_THAT(Check(action), HasReason("wrong-type"));
  // Relabelled: the type is part of what was signed.
  action.set_type(kConfig);
  EXPECT_THAT(Check(action), HasReason("bad-signature"));
  v1::SignedDocument untyped = SignedBy({"alice"});
  untyped.set_type(v1::DOCUMENT_TYPE_UNSPECIFIED);
  EXPECT_THAT(Check(untyped, Policy(), v1::DOCUMENT_TYPE_UNSPECIFIED), HasReason("wrong-type"));
}

TEST(Document, CountsAndSizesAreLimited) {
  EXPECT_THAT(Check(SignedBy({})), HasReason("no-signatures"));
  v1::SignedDocument many = SignedBy({"alice"});
  for (int i = 0; i < kMaxSignatures; ++i) *many.add_signatures() = many.signatures(0);
  EXPECT_THAT(Check(many), HasReason("too-many-signatures"));
  EXPECT_TRUE(Check(SignedBy({"alice"}, std::string(kMaxPayload, 'x'))).ok());
  EXPECT_THAT(Check(SignedBy({"alice"}, std::string(kMaxPayload + 1, 'x'))),
              HasReason("too-large"));
}

TEST(Document, ASetProofIsNeverIgnored) {
  v1::SignedDocument document = SignedBy({"alice"});
  document.mutable_set_proof()->set_set_payload("x");
  EXPECT_THAT(Check(document), HasReason("bad-signature"));
  document = SignedBy({"alice"}, "x", v1::DOCUMENT_TYPE_ACTION);
  document.mutable_set_proof();
  EXPECT_THAT(Check(document, Policy(), v1::DOCUMENT_TYPE_ACTION), HasReason("unsupported-proof"));
}

TEST(Document, APolicyWithAnUnreadableKeyVerifiesNothing) {
  v1::TrustPolicy policy = Policy();
  policy.mutable_keys(3)->set_public_key("garbage");
  EXPECT_THAT(Check(SignedBy({"alice"}), policy), HasReason("invalid-policy"));
}

}  // namespace
}  // namespace basalt::sign
