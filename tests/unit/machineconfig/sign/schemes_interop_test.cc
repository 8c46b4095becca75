// ssh-keygen and minisign sign, we verify; we sign, ssh-keygen verifies. Skipped where they are not
// installed.
#include <string>

#include "absl/strings/str_cat.h"
#include "machineconfig/sign/detached.h"
#include "tests/unit/machineconfig/sign/interop_testing.h"
#include "tests/unit/machineconfig/sign/schemes_testing.h"
#include "tests/unit/machineconfig/sign/security_key_testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

constexpr auto kConfig = v1::DOCUMENT_TYPE_MACHINE_CONFIG;
constexpr absl::string_view kPayload = "apiVersion: basalt/v1\nkind: MachineConfig\n";

class SshInterop : public Interop {
 protected:
  void SetUp() override {
    Interop::SetUp();
    if (!dir_.empty() && !Run("command -v ssh-keygen")) GTEST_SKIP() << "no ssh-keygen program";
  }
};

class MinisignInterop : public Interop {
 protected:
  void SetUp() override {
    Interop::SetUp();
    if (!dir_.empty() && !Run("command -v minisign")) GTEST_SKIP() << "no minisign program";
  }
};

// The text of a signature file and of a public key, as a node judges them.
absl::Status Judge(absl::string_view signature, absl::string_view public_key) {
  v1::TrustPolicy policy = Policy();
  v1::TrustKey* key = policy.add_keys();
  key->set_name("theirs");
  key->set_public_key(std::string(public_key));
  v1::SignedDocument document = SignedBy({}, kPayload);
  auto read = ReadDetachedSignature(signature);
  if (!read.ok()) return read.status();
  *document.add_signatures() = *read;
  auto verified = Verify(document, kConfig, policy);
  if (!verified.ok()) return verified.status();
  EXPECT_EQ(verified->signers().size(), 1u);
  EXPECT_EQ(verified->signers()[0].name, "theirs");
  return absl::OkStatus();
}

TEST_F(SshInterop, WeVerifyWhatSshKeygenSigned) {
  Write("n1.yaml", kPayload);
  for (const char* type : {"-t ed25519", "-t ecdsa -b 256"}) {
    for (const char* hash : {"sha256", "sha512"}) {
      SCOPED_TRACE(absl::StrCat(type, " ", hash));
      ASSERT_TRUE(Run(absl::StrCat("rm -f id id.pub n1.yaml.sig; ssh-keygen -q ", type,
                                   " -N '' -C 'alice at work' -f id && ssh-keygen -Y sign -O "
                                   "hashalg=",
                                   hash, " -n basalt-machineconfig@v1 -f id n1.yaml")))
          << Read("out");
      EXPECT_THAT(Judge(Read("n1.yaml.sig"), Read("id.pub")), HasReason(""));
      EXPECT_EQ(DetachedText(*ReadDetachedSignature(Read("n1.yaml.sig"))), Read("n1.yaml.sig"));
    }
  }
}

TEST_F(SshInterop, WhatSshKeygenSignedInAnotherNamespaceIsRefused) {
  Write("n1.yaml", kPayload);
  ASSERT_TRUE(
      Run("ssh-keygen -q -t ed25519 -N '' -f id && ssh-keygen -Y sign -n file -f id n1.yaml"))
      << Read("out");
  const absl::Status status = Judge(Read("n1.yaml.sig"), Read("id.pub"));
  EXPECT_THAT(status, HasReason("bad-signature"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("`file`"));
}

TEST_F(SshInterop, OtherKeysOfSshKeygenAreRefusedByName) {
  Write("n1.yaml", kPayload);
  for (const char* type : {"-t rsa -b 2048", "-t rsa -b 4096", "-t ecdsa -b 384"}) {
    ASSERT_TRUE(Run(absl::StrCat("rm -f id id.pub n1.yaml.sig; ssh-keygen -q ", type,
                                 " -N '' -f id && ssh-keygen -Y sign -n basalt-machineconfig@v1 "
                                 "-f id n1.yaml")))
        << Read("out");
    EXPECT_THAT(ReadDetachedSignature(Read("n1.yaml.sig")).status(), HasReason("unknown-scheme"));
  }
}

TEST_F(SshInterop, SshKeygenVerifiesWhatWeSigned) {
  Write("n1.yaml", kPayload);
  for (const PrivateKey* key : {&Key("alice"), &P256Key()}) {
    const PublicKey& half = key->public_key();
    Write("sig", ArmorSshSignature(MakeSshSignature(*key, kConfig, kPayload)));
    Write("allowed",
          absl::StrCat(
              "owner namespaces=\"basalt-machineconfig@v1\" ",
              half.algorithm() == Algorithm::kEd25519 ? "ssh-ed25519" : "ecdsa-sha2-nistp256", " ",
              Base64Encode(SshKeyBlob(half.algorithm(), half.raw())), "\n"));
    const std::string verify =
        "ssh-keygen -Y verify -f allowed -I owner -n basalt-machineconfig@v1 -s sig <";
    ASSERT_TRUE(Run(verify + "n1.yaml")) << Read("out");
    EXPECT_THAT(Read("out"), HasSubstr(SshFingerprint(half.algorithm(), half.raw())));
    Write("other.yaml", "something else");
    EXPECT_FALSE(Run(verify + "other.yaml"));
  }
}

// The real ssh-keygen and its helper, with a security key that is only software behind them.
TEST_F(SshInterop, WeVerifyWhatSshKeygenSignedOnASecurityKey) {
#ifndef SECURITY_KEY_MIDDLEWARE
  GTEST_SKIP() << "no middleware in this build: the programs of OpenSSH could not load it";
#else
  Write("n1.yaml", kPayload);
  const std::string provider = "export SSH_SK_PROVIDER=" SECURITY_KEY_MIDDLEWARE "; ";
  for (const char* type : {"-t ed25519-sk", "-t ecdsa-sk"}) {
    for (const char* application : {"ssh:", "ssh:lab"}) {
      SCOPED_TRACE(absl::StrCat(type, " ", application));
      const std::string make =
          absl::StrCat(provider, "rm -f id id.pub n1.yaml.sig; ssh-keygen -q ", type,
                       " -N '' -C 'alice at work' -O application=", application, " -f id");
      if (!Run(make)) GTEST_SKIP() << "this ssh-keygen knows no security keys: " << Read("out");
      ASSERT_TRUE(
          Run(provider + "ssh-keygen -Y sign -n basalt-machineconfig@v1 -f id n1.yaml </dev/null"))
          << Read("out");
      EXPECT_THAT(Judge(Read("n1.yaml.sig"), Read("id.pub")), HasReason(""));
      auto key = PublicKey::Parse(Read("id.pub"));
      ASSERT_TRUE(key.ok()) << key.status();
      EXPECT_EQ(key->application(), application);
      ASSERT_TRUE(Run("ssh-keygen -l -f id.pub"));
      EXPECT_THAT(Read("out"),
                  HasSubstr(SshFingerprint(key->algorithm(), key->raw(), key->application())));
      // And the reverse: what our tests build, ssh-keygen takes.
      Write("allowed", "owner " + Read("id.pub"));
      EXPECT_TRUE(
          Run("ssh-keygen -Y verify -f allowed -I owner -n basalt-machineconfig@v1 -s "
              "n1.yaml.sig <n1.yaml"))
          << Read("out");
    }
  }
#endif
}

TEST_F(SshInterop, SshKeygenVerifiesTheSoftwareSecurityKeyOfTheTests) {
  Write("n1.yaml", kPayload);
  for (const PrivateKey* half : {&Key("alice"), &P256Key()}) {
    const SecurityKey key{*half, "ssh:lab"};
    Write("sig", ArmorSshSignature(key.Blob(kConfig, kPayload)));
    Write("allowed", "owner " + PublicKeyText(key.public_key()) + "\n");
    EXPECT_TRUE(
        Run("ssh-keygen -Y verify -f allowed -I owner -n basalt-machineconfig@v1 -s sig "
            "<n1.yaml"))
        << Read("out");
  }
}

TEST_F(MinisignInterop, WeVerifyWhatMinisignSigned) {
  Write("n1.yaml", kPayload);
  ASSERT_TRUE(
      Run("minisign -G -W -p key.pub -s key.sec && "
          "minisign -S -s key.sec -c 'from alice' -t basalt-machineconfig@v1 -m n1.yaml"))
      << Read("out");
  EXPECT_THAT(Judge(Read("n1.yaml.minisig"), Read("key.pub")), HasReason(""));
  EXPECT_EQ(DetachedText(*ReadDetachedSignature(Read("n1.yaml.minisig"))), Read("n1.yaml.minisig"));
}

TEST_F(MinisignInterop, ItsOldFormAndOtherCommentsAreRefused) {
  Write("n1.yaml", kPayload);
  ASSERT_TRUE(Run("minisign -G -W -p key.pub -s key.sec && minisign -S -s key.sec -m n1.yaml"))
      << Read("out");
  absl::Status status = Judge(Read("n1.yaml.minisig"), Read("key.pub"));
  EXPECT_THAT(status, HasReason("bad-signature"));
  EXPECT_THAT(api::Hint(status), HasSubstr("minisign -S -t basalt-machineconfig@v1"));
  ASSERT_TRUE(Run("minisign -S -l -s key.sec -t basalt-machineconfig@v1 -m n1.yaml"))
      << Read("out");
  EXPECT_THAT(Judge(Read("n1.yaml.minisig"), Read("key.pub")), HasReason("unknown-scheme"));
}

TEST_F(MinisignInterop, MinisignVerifiesWhatTheTestsBuild) {
  // So that the vectors of minisign_test are minisign's and not only ours.
  Write("n1.yaml", kPayload);
  Write("sig", MinisignOf(Key("alice"), "basalt-machineconfig@v1", kPayload).Text());
  const std::string key = Base64Encode("Ed12345678" + Key("alice").public_key().raw());
  ASSERT_TRUE(Run(absl::StrCat("minisign -V -H -P ", key, " -x sig -m n1.yaml"))) << Read("out");
  EXPECT_THAT(Read("out"), HasSubstr("basalt-machineconfig@v1"));
}

}  // namespace
}  // namespace basalt::sign
