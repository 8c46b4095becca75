// Documents that were signed as part of a set: who signed them, what they are, and what is refused.
#include "machineconfig/sign/config_set.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/merkle/hash.h"
#include "machineconfig/merkle/tree.h"
#include "machineconfig/sign/policy.h"
#include "tests/unit/machineconfig/sign/schemes_testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

constexpr auto kConfig = v1::DOCUMENT_TYPE_MACHINE_CONFIG;
constexpr auto kSet = v1::DOCUMENT_TYPE_CONFIG_SET;

std::string Payload(size_t i) {
  return absl::StrCat("kind: MachineConfig\nmetadata: {name: n", i, "}\n");
}

using Signing = std::function<void(v1::SignedDocument&)>;
const Signing kAliceDsse = [](v1::SignedDocument& d) { AddSignature(d, Key("alice")); };
const Signing kAliceSsh = [](v1::SignedDocument& d) { AddSsh(d, Key("alice")); };
const Signing kAliceMinisign = [](v1::SignedDocument& d) { AddMinisign(d, Key("alice")); };

// n0, n1, ... as their nodes get them.
std::vector<v1::SignedDocument> Fleet(size_t count, const Signing& sign = kAliceDsse,
                                      absl::string_view cluster = "home") {
  std::vector<std::string> payloads;
  for (size_t i = 0; i < count; ++i) payloads.push_back(Payload(i));
  NewSet made = MakeSet(cluster, {payloads.begin(), payloads.end()});
  sign(made.set);
  std::vector<v1::SignedDocument> out;
  for (size_t i = 0; i < count; ++i) out.push_back(MemberOf(made.set, made.proofs[i], payloads[i]));
  return out;
}

absl::Status Check(const v1::SignedDocument& document, const v1::TrustPolicy& policy = Policy()) {
  return Verify(document, kConfig, policy).status();
}

TEST(ConfigSet, OneSignatureVouchesForEveryFileInEveryScheme) {
  for (const Signing& sign : {kAliceDsse, kAliceSsh, kAliceMinisign}) {
    for (size_t count : {1u, 2u, 3u, 7u, 8u}) {
      const std::vector<v1::SignedDocument> fleet = Fleet(count, sign);
      for (size_t i = 0; i < count; ++i) {
        auto verified = Verify(fleet[i], kConfig, Policy());
        ASSERT_TRUE(verified.ok()) << verified.status();
        EXPECT_EQ(verified->payload(), Payload(i));
        EXPECT_EQ(verified->signers(), Signers({"alice"}));
        ASSERT_TRUE(verified->set().has_value());
        EXPECT_EQ(verified->set()->index, static_cast<int64_t>(i));
        EXPECT_EQ(verified->set()->size, static_cast<int64_t>(count));
        EXPECT_EQ(verified->set()->set, DocumentDigest(SetOf(fleet[0])));
      }
    }
  }
}

TEST(ConfigSet, TheIdentityIsThatOfTheSameFileSignedAlone) {
  const v1::SignedDocument member = Fleet(3)[1];
  const v1::SignedDocument alone = SignedBy({"bob"}, Payload(1));
  EXPECT_EQ(DocumentDigest(member), DocumentDigest(alone));
  EXPECT_EQ(Verify(member, kConfig, Policy())->digest(), DocumentDigest(alone));
  EXPECT_FALSE(Verify(alone, kConfig, Policy())->set().has_value());
}

TEST(ConfigSet, ALeafIsThePaeOfOneFileAndTheRootThatOfRfc6962) {
  merkle::Tree tree;
  for (size_t i = 0; i < 3; ++i) {
    tree.Append(merkle::LeafHash(Pae(PayloadType(kConfig), Payload(i))));
  }
  EXPECT_THAT(Fleet(3)[0].set_proof().set_payload(),
              HasSubstr(absl::StrCat("size: 3\nroot: ", tree.Root().ToString())));
}

TEST(ConfigSet, AFileUnderTheProofOfAnotherIsRefused) {
  const std::vector<v1::SignedDocument> fleet = Fleet(3);
  v1::SignedDocument swapped = fleet[0];
  swapped.set_payload(Payload(1));
  EXPECT_THAT(Check(swapped), HasReason("bad-proof"));
  *swapped.mutable_set_proof() = fleet[2].set_proof();
  EXPECT_THAT(Check(swapped), HasReason("bad-proof"));
  *swapped.mutable_set_proof() = fleet[1].set_proof();
  EXPECT_THAT(Check(swapped), HasReason(""));
}

TEST(ConfigSet, EveryDamagedProofIsRefused) {
  const v1::SignedDocument good = Fleet(5)[2];
  auto check = [&](const std::function<void(v1::SetProof&)>& damage) {
    v1::SignedDocument document = good;
    damage(*document.mutable_set_proof());
    return Check(document);
  };
  for (uint64_t index : {uint64_t{0}, uint64_t{1}, uint64_t{3}, uint64_t{4}, uint64_t{5},
                         uint64_t{1} << 63, ~uint64_t{0}}) {
    EXPECT_THAT(check([&](auto& p) { p.set_index(index); }), HasReason("bad-proof")) << index;
  }
  EXPECT_THAT(check([](auto& p) { p.clear_path(); }), HasReason("bad-proof"));
  EXPECT_THAT(check([](auto& p) { p.mutable_path()->RemoveLast(); }), HasReason("bad-proof"));
  EXPECT_THAT(check([](auto& p) { p.add_path(p.path(0)); }), HasReason("bad-proof"));
  EXPECT_THAT(check([](auto& p) { p.mutable_path()->SwapElements(0, 1); }), HasReason("bad-proof"));
  EXPECT_THAT(check([](auto& p) { p.set_path(0, p.path(0).substr(1)); }), HasReason("bad-proof"));
  EXPECT_THAT(check([](auto& p) { p.set_path(0, p.path(0) + "x"); }), HasReason("bad-proof"));
  EXPECT_THAT(check([](auto& p) { p.set_path(0, ""); }), HasReason("bad-proof"));
  EXPECT_THAT(check([](auto& p) {
                for (size_t i = 0; i <= kMaxSetPath; ++i) p.add_path(p.path(0));
              }),
              HasReason("bad-proof"));
  EXPECT_THAT(check([](auto& p) { p.clear_set_payload(); }), HasReason("bad-proof"));
  EXPECT_THAT(check([](auto& p) { p.set_set_payload(std::string(kMaxSetPayload + 1, 'x')); }),
              HasReason("bad-proof"));
}

TEST(ConfigSet, SizeAndRootAreBoundByTheSignature) {
  const v1::SignedDocument good = Fleet(3)[0];
  for (const auto& [from, to] : {std::make_pair("size: 3", "size: 4"),
                                 {"size: 3", "size: 2"},
                                 {"root: sha256:", "root: sha256:0"},
                                 {"home", "away"}}) {
    v1::SignedDocument document = good;
    document.mutable_set_proof()->set_set_payload(
        absl::StrReplaceAll(good.set_proof().set_payload(), {{from, to}}));
    EXPECT_THAT(Check(document), HasReason("bad-signature")) << to;
  }
  // With a signature: a proof of the shape of 3 leaves does not fit a set that says it has 5.
  v1::SignedDocument document = good;
  document.mutable_set_proof()->set_set_payload(
      absl::StrReplaceAll(good.set_proof().set_payload(), {{"size: 3", "size: 5"}}));
  document.clear_signatures();
  AddSignature(document, Key("alice"));
  EXPECT_THAT(Check(document), HasReason("bad-proof"));
}

TEST(ConfigSet, ASetOfAnotherClusterIsRefusedAndBothAreNamed) {
  const absl::Status status = Check(Fleet(2, kAliceDsse, "away")[0]);
  EXPECT_THAT(status, HasReason("wrong-cluster"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("`away`"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("`home`"));
}

TEST(ConfigSet, TheSetIsParsedOnlyOnceItsSignaturesHavePassed) {
  v1::SignedDocument document = Fleet(2)[0];
  document.mutable_set_proof()->set_set_payload("&a [*a]");
  EXPECT_THAT(Check(document), HasReason("bad-signature"));
  document.clear_signatures();
  AddSignature(document, Key("mallory"));
  EXPECT_THAT(Check(document), HasReason("bad-signature"));
  // Signed, and not a set: the signers' own mistake.
  for (const char* text : {"&a [*a]", "kind: MachineConfig\n",
                           "apiVersion: basalt/v1\nkind: "
                           "ConfigSet\ncluster: home\nsize: 0\n"}) {
    document.mutable_set_proof()->set_set_payload(text);
    document.clear_signatures();
    AddSignature(document, Key("alice"));
    const absl::Status status = Check(document);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(api::Reason(status), "bad-signature") << status;
  }
}

TEST(ConfigSet, ASignatureOfAFileIsNoneOfASetAndTheReverse) {
  // A payload that is the text of a set, signed as a machine config.
  v1::SignedDocument set = SetOf(Fleet(2)[0]);
  for (const Signing& sign : {kAliceDsse, kAliceSsh, kAliceMinisign}) {
    v1::SignedDocument as_config;
    as_config.set_type(kConfig);
    as_config.set_payload(set.payload());
    sign(as_config);
    v1::SignedDocument member = Fleet(2)[0];
    *member.mutable_signatures() = as_config.signatures();
    EXPECT_THAT(Check(member), HasReason("bad-signature"));
    // And a signature over the set is none over its text as a config.
    v1::SignedDocument as_set;
    as_set.set_type(kSet);
    as_set.set_payload(set.payload());
    sign(as_set);
    EXPECT_TRUE(Verify(as_set, kSet, Policy()).ok());
    as_set.set_type(kConfig);
    EXPECT_THAT(Check(as_set), HasReason("bad-signature"));
    // Signed alone, then given a proof: the signature is over the wrong bytes.
    v1::SignedDocument alone = SignedBy({}, Payload(0));
    sign(alone);
    *alone.mutable_set_proof() = Fleet(2)[0].set_proof();
    EXPECT_THAT(Check(alone), HasReason("bad-signature"));
  }
  // The reverse: a part of a set without its proof.
  v1::SignedDocument bare = Fleet(2)[0];
  bare.clear_set_proof();
  EXPECT_THAT(Check(bare), HasReason("bad-signature"));
}

TEST(ConfigSet, ASetAloneIsNothingThatANodeTakes) {
  const absl::Status status = Check(SetOf(Fleet(2)[0]));
  EXPECT_THAT(status, HasReason("wrong-type"));
  EXPECT_THAT(api::Hint(status), HasSubstr("the node's own file"));
}

TEST(ConfigSet, OnlyConfigsArePartsOfSets) {
  for (v1::DocumentType type :
       {v1::DOCUMENT_TYPE_ACTION, v1::DOCUMENT_TYPE_TRUST_POLICY, v1::DOCUMENT_TYPE_CONFIG_SET,
        v1::DOCUMENT_TYPE_IMAGE, v1::DOCUMENT_TYPE_BUNDLE}) {
    v1::SignedDocument document = Fleet(2)[0];
    document.set_type(type);
    EXPECT_THAT(Verify(document, type, Policy()).status(), HasReason("unsupported-proof")) << type;
  }
}

TEST(ConfigSet, S7_SignersOfASetAreCountedAsThoseOfAFile) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"alice", "bob"}, 2);
  v1::MachineConfig config;
  auto judge = [&](const Signing& sign) {
    auto verified = Verify(Fleet(3, sign)[2], kConfig, policy);
    if (!verified.ok()) return verified.status();
    return AuthorizeConfig(policy, verified->signers(), {}, nullptr, config);
  };
  EXPECT_THAT(judge(kAliceDsse), HasReason("too-few-signers"));
  EXPECT_THAT(judge([](auto& d) {
                AddSignature(d, Key("alice"));
                AddSsh(d, Key("alice"));
              }),
              HasReason("duplicate-signer"));
  EXPECT_THAT(judge([](auto& d) {
                AddMinisign(d, Key("alice"));
                AddMinisign(d, Key("alice"));
              }),
              HasReason("duplicate-signer"));
  EXPECT_THAT(judge([](auto& d) {
                AddSignature(d, Key("alice"));
                AddSsh(d, Key("bob"));
              }),
              HasReason(""));
}

TEST(ConfigSet, S8_ARevokedKeySignsNoSet) {
  v1::TrustPolicy policy = Policy();
  policy.add_revoked("alice");
  EXPECT_THAT(Check(Fleet(2)[0], policy), HasReason("revoked-key"));
}

TEST(ConfigSet, ASecondSignerSignsTheSetThroughOneOfItsFiles) {
  std::vector<v1::SignedDocument> fleet = Fleet(2);
  AddSignature(fleet[0], Key("bob"));
  EXPECT_EQ(Verify(fleet[0], kConfig, Policy())->signers(), Signers({"alice", "bob"}));
  // What he signed is the set: it fits the other file as well.
  *fleet[1].mutable_signatures() = fleet[0].signatures();
  EXPECT_EQ(Verify(fleet[1], kConfig, Policy())->signers(), Signers({"alice", "bob"}));
  EXPECT_TRUE(AddSignatureOf(
      fleet[0], Key("carol").public_key(),
      Key("carol").Sign(Pae(PayloadType(kSet), fleet[0].set_proof().set_payload()))));
}

TEST(ConfigSet, S1_EveryFlippedBitOfTheStoredFormIsRefused) {
  int tried = 0;
  for (const Signing& sign : {kAliceDsse, kAliceSsh, kAliceMinisign}) {
    const v1::SignedDocument good = Fleet(3, sign)[1];
    const auto before = Verify(good, kConfig, Policy());
    ASSERT_TRUE(before.ok()) << before.status();
    const bool minisign = good.signatures(0).scheme() == v1::SIGNATURE_SCHEME_MINISIGN;
    const std::string bytes = good.SerializeAsString();
    const size_t signature = bytes.find(good.signatures(0).signature());
    for (size_t i = 0; i < bytes.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = bytes;
        flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
        v1::SignedDocument document;
        ++tried;
        if (!document.ParseFromString(flipped)) continue;
        auto after = Verify(document, kConfig, Policy());
        if (!after.ok()) continue;
        // minisign's untrusted comment and key number, which nobody signs and nobody reads.
        EXPECT_TRUE(minisign && i >= signature &&
                    i < signature + good.signatures(0).signature().size())
            << "byte " << i << " bit " << bit;
        EXPECT_EQ(after->digest(), before->digest());
        EXPECT_EQ(after->set(), before->set());
        EXPECT_EQ(after->signers(), before->signers());
      }
    }
  }
  RecordProperty("bits", tried);
}

TEST(ConfigSet, S1_EveryFlippedBitOfTheEnvelopeIsRefused) {
  for (const Signing& sign : {kAliceDsse, kAliceSsh, kAliceMinisign}) {
    const v1::SignedDocument good = Fleet(2, sign)[1];
    const std::string json = ToDsseJson(good);
    for (size_t i = 0; i < json.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = json;
        flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
        auto document = FromDsseJson(flipped);
        if (!document.ok() || !Check(*document).ok()) continue;
        EXPECT_EQ(document->payload(), good.payload()) << "byte " << i << " bit " << bit;
        EXPECT_EQ(document->set_proof().SerializeAsString(), good.set_proof().SerializeAsString());
        EXPECT_EQ(Verify(*document, kConfig, Policy())->signers(), Signers({"alice"}));
      }
    }
  }
}

TEST(ConfigSet, S1_EveryTruncationOfTheEnvelopeIsRefused) {
  const std::string json = ToDsseJson(Fleet(2)[0]);
  for (size_t size = 0; size + 1 < json.size(); ++size) {
    EXPECT_FALSE(FromDsseJson(json.substr(0, size)).ok()) << size;
  }
}

TEST(ConfigSet, TheEnvelopeIsThatOfTheSetWithTheFileBesideIt) {
  for (size_t count : {1u, 3u}) {
    v1::SignedDocument member = Fleet(count)[0];
    AddSsh(member, Key("bob"));
    const std::string json = ToDsseJson(member);
    EXPECT_THAT(json, HasSubstr("\"payloadType\": \"application/vnd.basalt.configset.v1+yaml\""));
    EXPECT_THAT(json, HasSubstr("\"member\": {"));
    auto again = FromDsseJson(json);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->SerializeAsString(), member.SerializeAsString());
    EXPECT_EQ(ToDsseJson(*again), json);
    // Without the file it is a DSSE envelope like everybody's.
    auto set = FromDsseJson(ToDsseJson(SetOf(member)));
    ASSERT_TRUE(set.ok()) << set.status();
    EXPECT_TRUE(Verify(*set, kSet, Policy()).ok());
  }
}

TEST(ConfigSet, TheEnvelopeIsReadStrictly) {
  const std::string good = absl::StrReplaceAll(ToDsseJson(Fleet(3)[1]), {{"\n", ""}, {"  ", ""}});
  ASSERT_TRUE(FromDsseJson(good).ok()) << good;
  struct Case {
    const char* from;
    const char* to;
    const char* reason;
    const char* says;
  };
  for (const Case& c : {
           Case{"\"index\": 1,", "", "bad-envelope", "all four"},
           Case{"\"index\": 1,", "\"index\": 1,\"index\": 1,", "bad-envelope", "twice"},
           Case{"\"index\": 1,", "\"index\": \"1\",", "bad-envelope", "string"},
           Case{"\"index\": 1,", "\"index\": -1,", "bad-envelope", "number"},
           Case{"\"index\": 1,", "\"index\": 1.0,", "bad-envelope", "number"},
           Case{"\"index\": 1,", "\"index\": 1e0,", "bad-envelope", "number"},
           Case{"\"index\": 1,", "\"index\": 01,", "bad-envelope", "not JSON"},
           Case{"\"index\": 1,", "\"index\": 18446744073709551616,", "bad-envelope", "number"},
           Case{"\"index\": 1,", "\"index\": null,", "bad-envelope", "null"},
           Case{"\"index\": 1,", "\"index\": [1],", "bad-envelope", "array"},
           Case{"\"path\": [", "\"path\": [[],", "bad-envelope", "array"},
           Case{"\"path\": [", "\"path\": [7,", "bad-envelope", "number"},
           Case{"\"path\": [", "\"path\": [{},", "bad-envelope", "object"},
           Case{"\"path\": [", "\"path\": [\"AAAA\",", "bad-envelope", "32 bytes"},
           Case{"\"path\": [", "\"path\": [\"?\",", "bad-envelope", "32 bytes"},
           Case{"\"path\": [", "\"path\": [],\"path\": [", "bad-envelope", "twice"},
           Case{"\"member\": {", "\"member\": {\"keyid\":\"\",", "bad-envelope", "unknown field"},
           Case{"\"member\": {", "\"member\": {\"payload\":\"\",", "bad-envelope", "twice"},
           Case{"\"member\": {", "\"member\": [{", "bad-envelope", "array"},
           Case{"\"member\": {", "\"member\": \"\",\"x\": {", "bad-envelope", "string"},
           Case{"\"member\": {", "\"member\": {},\"member\": {", "bad-envelope", "twice"},
           Case{"configset.v1", "machineconfig.v1", "bad-envelope", "beside a configset only"},
           Case{"machineconfig.v1", "action.v1", "wrong-type", "a set has machineconfigs"},
           Case{"machineconfig.v1", "configset.v1", "wrong-type", "a set has machineconfigs"},
       }) {
    const std::string json = absl::StrReplaceAll(good, {{c.from, c.to}});
    ASSERT_NE(json, good) << c.from;
    const absl::Status status = FromDsseJson(json).status();
    EXPECT_THAT(status, HasReason(c.reason)) << c.to;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.says)) << c.to;
  }
  std::string path = "\"path\": [";
  for (size_t i = 0; i <= kMaxSetPath; ++i) {
    absl::StrAppend(&path, "\"", Base64Encode(std::string(32, 'x')), "\",");
  }
  EXPECT_THAT(FromDsseJson(absl::StrReplaceAll(good, {{"\"path\": [", path}})).status(),
              HasReason("bad-envelope"));
}

TEST(ConfigSet, S10_AFileInASetHasTheLimitsOfAFile) {
  const std::string large(kMaxPayload, 'x'), larger(kMaxPayload + 1, 'x');
  for (const std::string* payload : {&large, &larger}) {
    NewSet made = MakeSet("home", {*payload});
    AddSignature(made.set, Key("alice"));
    const v1::SignedDocument member = MemberOf(made.set, made.proofs[0], *payload);
    EXPECT_THAT(Check(member), HasReason(payload == &large ? "" : "too-large"));
    EXPECT_THAT(FromDsseJson(ToDsseJson(member)).status(),
                HasReason(payload == &large ? "" : "too-large"));
  }
}

TEST(ConfigSet, FiveThousandFilesAreOneSignature) {
  std::vector<std::string> payloads;
  for (size_t i = 0; i < 5000; ++i) payloads.push_back(Payload(i));
  NewSet made = MakeSet("home", {payloads.begin(), payloads.end()});
  AddSignature(made.set, Key("alice"));
  for (size_t i : {0u, 1u, 2500u, 4095u, 4096u, 4999u}) {
    const v1::SignedDocument member = MemberOf(made.set, made.proofs[i], payloads[i]);
    EXPECT_THAT(Check(member), HasReason(""));
    EXPECT_LE(member.set_proof().ByteSizeLong(), 13u * 34 + 200);
  }
}

}  // namespace
}  // namespace basalt::sign
