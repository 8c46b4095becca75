// Keys on security keys (sk-*): what they are in a policy, what they sign, and what is refused.
#include <vector>

#include "absl/strings/str_replace.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/emit.h"
#include "tests/unit/machineconfig/sign/security_key_testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

constexpr auto kConfig = v1::DOCUMENT_TYPE_MACHINE_CONFIG;
constexpr absl::string_view kPayload = "kind: MachineConfig\n";

v1::TrustPolicy PolicyWith(const PublicKey& key) {
  v1::TrustPolicy policy = Policy();
  v1::TrustKey* entry = policy.add_keys();
  entry->set_name("token");
  entry->set_public_key(PublicKeyText(key));
  return policy;
}

v1::SignedDocument DocumentOf(const std::string& blob) {
  v1::SignedDocument document = SignedBy({}, kPayload);
  v1::Signature* made = document.add_signatures();
  made->set_scheme(v1::SIGNATURE_SCHEME_SSHSIG);
  made->set_signature(blob);
  return document;
}

absl::Status Check(const std::string& blob, const PublicKey& key) {
  return Verify(DocumentOf(blob), kConfig, PolicyWith(key)).status();
}
absl::Status Check(const SecurityKey& key) {
  return Check(key.Blob(kConfig, kPayload), key.public_key());
}

const PrivateKey* const* Both() {
  static const PrivateKey* const both[] = {&Key("dave"), &P256Key()};
  return both;
}

TEST(SecurityKey, BothAlgorithmsSignWhenTouched) {
  for (int i = 0; i < 2; ++i) {
    SecurityKey key{*Both()[i]};
    EXPECT_THAT(Check(key), HasReason(""));
    key.counter = 0;
    EXPECT_THAT(Check(key), HasReason(""));
    key.flags = kUserPresent | 0x04;  // and a PIN or a finger
    EXPECT_THAT(Check(key), HasReason(""));
    key.application = "ssh:lab";
    EXPECT_THAT(Check(key), HasReason(""));
    auto parsed = ParseSshSignature(key.Blob(kConfig, kPayload));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed->application, "ssh:lab");
    EXPECT_EQ(parsed->flags, 5);
  }
}

TEST(SecurityKey, WithoutATouchNothingIsSigned) {
  for (int i = 0; i < 2; ++i) {
    for (uint8_t flags : {0x00, 0x04, 0xfe}) {
      SecurityKey key{*Both()[i]};
      key.flags = flags;
      EXPECT_THAT(Check(key), HasReason("bad-signature")) << int{flags};
      EXPECT_FALSE(key.public_key().VerifyTouched("m", flags, 7, key.key.Sign(key.Assertion("m"))));
    }
    SecurityKey key{*Both()[i]};
    key.flags = 0x04;
    EXPECT_THAT(std::string(Check(key).message()), HasSubstr("without being touched"));
  }
}

TEST(SecurityKey, FlagsCounterAndApplicationAreSigned) {
  for (int i = 0; i < 2; ++i) {
    const SecurityKey key{*Both()[i]};
    const std::string blob = key.Blob(kConfig, kPayload);
    for (size_t from_end : {0u, 1u, 2u, 3u}) {  // the counter
      std::string changed = blob;
      changed[changed.size() - 1 - from_end] ^= 1;
      EXPECT_THAT(Check(changed, key.public_key()), HasReason("bad-signature"));
    }
    std::string changed = blob;
    changed[changed.size() - 5] = 5;
    EXPECT_THAT(Check(changed, key.public_key()), HasReason("bad-signature"));
    for (uint8_t flags : {0x41, 0x81}) {
      SecurityKey odd = key;
      odd.flags = flags;
      EXPECT_THAT(std::string(Check(odd).message()), HasSubstr("data that is not there"));
    }
  }
}

TEST(SecurityKey, S9_WhatIsNotExactlyOneIsRefused) {
  for (int i = 0; i < 2; ++i) {
    const SecurityKey key{*Both()[i]};
    const std::string message = SshToBeSigned(kConfig, kPayload);
    const std::string answer = key.Answer(message);
    auto with = [&](const std::string& other) {
      return Check(SshSignatureOf(key.KeyBlob(), kConfig, other), key.public_key());
    };
    EXPECT_THAT(with(answer), HasReason(""));
    for (const std::string& bad :
         {std::string(), answer.substr(0, answer.size() - 1), answer.substr(0, answer.size() - 5),
          answer + '\0', absl::StrReplaceAll(answer, {{"sk-", "sk+"}}),
          absl::StrReplaceAll(answer, {{"@openssh.com", "@openssh.org"}})}) {
      EXPECT_THAT(with(bad), HasReason("bad-signature")) << bad.size();
    }
    // Made by the same pair as an ordinary key: the device never does that.
    std::string ordinary;
    PutString(&ordinary, i == 0 ? "ssh-ed25519" : "ecdsa-sha2-nistp256");
    PutString(&ordinary, key.Value(message));
    EXPECT_THAT(with(ordinary), HasReason("bad-signature"));
    // Key blobs.
    const std::string raw = key.key.public_key().raw();
    auto under = [&](const std::string& blob) {
      return Check(SshSignatureOf(blob, kConfig, answer), key.public_key());
    };
    EXPECT_THAT(under(key.KeyBlob() + "x"), HasReason("bad-signature"));
    EXPECT_THAT(under(key.KeyBlob().substr(0, key.KeyBlob().size() - 8)),
                HasReason("bad-signature"));
    EXPECT_THAT(under(absl::StrReplaceAll(key.KeyBlob(), {{"ssh:", "ssh;"}})),
                HasReason("bad-signature"));
    // Another type: its word is part of what was signed.
    EXPECT_THAT(Check(key.Blob(v1::DOCUMENT_TYPE_ACTION, kPayload), key.public_key()),
                HasReason("bad-signature"));
    EXPECT_THAT(Check(key.Blob(kConfig, "other"), key.public_key()), HasReason("bad-signature"));
  }
  SecurityKey key{Key("dave")};
  std::string webauthn = key.KeyBlob();
  webauthn = absl::StrReplaceAll(webauthn, {{"sk-ssh-ed25519@", "sk-ssh-ed25520@"}});
  EXPECT_THAT(ParseSshSignature(SshSignatureOf(webauthn, kConfig, key.Answer("m"))).status(),
              HasReason("unknown-scheme"));
}

TEST(SecurityKey, S1_EveryFlippedBitIsRefused) {
  for (int i = 0; i < 2; ++i) {
    const SecurityKey key{*Both()[i]};
    const v1::TrustPolicy policy = PolicyWith(key.public_key());
    const std::string bytes = DocumentOf(key.Blob(kConfig, kPayload)).SerializeAsString();
    int accepted = 0;
    for (size_t at = 0; at < bytes.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = bytes;
        flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
        v1::SignedDocument document;
        if (document.ParseFromString(flipped)) accepted += Verify(document, kConfig, policy).ok();
      }
    }
    EXPECT_EQ(accepted, 0);
  }
}

TEST(SecurityKey, ItSignsInNoOtherScheme) {
  for (int i = 0; i < 2; ++i) {
    const SecurityKey key{*Both()[i]};
    v1::SignedDocument dsse = SignedBy({}, kPayload);
    AddSignature(dsse, key.key);
    EXPECT_THAT(Verify(dsse, kConfig, PolicyWith(key.public_key())).status(),
                HasReason("bad-signature"));
    EXPECT_FALSE(AddSignatureOf(dsse, key.public_key(), dsse.signatures(0).signature()));
    EXPECT_FALSE(key.public_key().Verify("m", key.key.Sign("m")));
    // Nor does an ordinary key sign as one.
    EXPECT_FALSE(key.key.public_key().VerifyTouched("m", 1, 7, key.key.Sign(key.Assertion("m"))));
    EXPECT_THAT(Check(key.Blob(kConfig, kPayload), key.key.public_key()),
                HasReason("bad-signature"));
  }
  v1::SignedDocument minisign = SignedBy({}, kPayload);
  AddMinisign(minisign, Key("dave"));
  EXPECT_THAT(Verify(minisign, kConfig, PolicyWith(SecurityKey{Key("dave")}.public_key())).status(),
              HasReason("bad-signature"));
}

TEST(SecurityKey, AnotherApplicationIsNamed) {
  const SecurityKey made{Key("dave"), "ssh:other"}, known{Key("dave"), "ssh:lab"};
  const absl::Status status = Check(made.Blob(kConfig, kPayload), known.public_key());
  EXPECT_THAT(status, HasReason("bad-signature"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("`ssh:other`"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("`ssh:lab`"));
  EXPECT_THAT(std::string(Check(made.Blob(kConfig, kPayload), Key("dave").public_key()).message()),
              HasSubstr("an ordinary key"));
}

// One key pair is one signer: neither its application nor its being on a device makes a second.
TEST(SecurityKey, S7_OnePairUnderTwoApplicationsMakesThePolicyInvalid) {
  for (const PublicKey& twin :
       {Key("dave").public_key(), SecurityKey{Key("dave"), "ssh:other"}.public_key()}) {
    const SecurityKey key{Key("dave")};
    v1::TrustPolicy policy = PolicyWith(key.public_key());
    v1::TrustKey* entry = policy.add_keys();
    entry->set_name("again");
    entry->set_public_key(PublicKeyText(twin));
    EXPECT_THAT(Verify(DocumentOf(key.Blob(kConfig, kPayload)), kConfig, policy).status(),
                HasReason("invalid-policy"));
  }
}

TEST(SecurityKey, S7_ItCountsOnceHoweverOftenItWasTouched) {
  SecurityKey key{Key("dave")};
  v1::SignedDocument document = DocumentOf(key.Blob(kConfig, kPayload));
  key.counter = 8;
  *document.add_signatures() = DocumentOf(key.Blob(kConfig, kPayload)).signatures(0);
  EXPECT_THAT(Verify(document, kConfig, PolicyWith(key.public_key())).status(),
              HasReason("duplicate-signer"));
}

TEST(SecurityKey, ItsTextComesBackAsTheSameKey) {
  for (int i = 0; i < 2; ++i) {
    const PublicKey key = SecurityKey{*Both()[i], "ssh:lab"}.public_key();
    const std::string text = PublicKeyText(key);
    auto again = PublicKey::Parse(text + " alice on her yubikey");
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->application(), "ssh:lab");
    EXPECT_EQ(again->raw(), key.raw());
    // The id names the pair.
    EXPECT_EQ(again->id(), Both()[i]->public_key().id());
    EXPECT_EQ(PublicKeyText(*again), text);
    EXPECT_EQ(PublicKeyText(Both()[i]->public_key()), Both()[i]->public_key().Pem());
  }
}

TEST(SecurityKey, S9_ADamagedTextIsRefused) {
  const PublicKey& key = Key("dave").public_key();
  auto line = [&](const std::string& blob) {
    return PublicKey::Parse("sk-ssh-ed25519@openssh.com " + Base64Encode(blob)).status();
  };
  const std::string good = SshKeyBlob(key.algorithm(), key.raw(), "ssh:");
  EXPECT_THAT(line(good), HasReason(""));
  EXPECT_THAT(line(good + "x"), HasReason("bad-key"));
  EXPECT_THAT(line(good.substr(0, good.size() - 8)), HasReason("bad-key"));
  EXPECT_THAT(line(SshKeyBlob(key.algorithm(), key.raw())), HasReason("bad-key"));
  for (const std::string& application :
       {std::string("ssh:\n"), std::string("ssh: lab"), std::string("ssh:\0x", 6),
        std::string("ssh:\xc3\xa9"), std::string(256, 'x')}) {
    EXPECT_THAT(line(SshKeyBlob(key.algorithm(), key.raw(), application)), HasReason("bad-key"));
  }
  std::string empty = good.substr(0, good.size() - 8);
  PutString(&empty, "");
  EXPECT_THAT(line(empty), HasReason("bad-key"));
  const std::string weak = SshKeyBlob(Algorithm::kEd25519, std::string(32, '\0'), "ssh:");
  EXPECT_THAT(line(weak), HasReason("weak-key"));
}

TEST(SecurityKey, ATrustPolicyTakesItsLine) {
  v1::TrustPolicy policy = Policy();
  policy.mutable_keys(1)->set_public_key(PublicKeyText(SecurityKey{Key("alice")}.public_key()) +
                                         " alice@yubikey");
  AddGrant(policy, "machineconfig", {"alice"});
  auto loaded = validate::LoadTrustPolicy(yaml::Emit(policy), "trust.yaml");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT(
      Verify(DocumentOf(SecurityKey{Key("alice")}.Blob(kConfig, kPayload)), kConfig, *loaded)
          .status(),
      HasReason(""));
}

}  // namespace
}  // namespace basalt::sign
