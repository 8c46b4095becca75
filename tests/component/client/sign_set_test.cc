// Several files under one signature: made, signed again, signed elsewhere, verified and applied.
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/sign/config_set.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/sshsig.h"
#include "nlohmann/json.hpp"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class SignSet : public NodectlFixture {
 protected:
  // nodes/n1.yaml ... n3.yaml, pinned; a node each, or the one of the fixture when it listens.
  void SetUp() override {
    NodectlFixture::SetUp();
    std::filesystem::create_directory(Path("nodes"));
    const std::string first = Read(WriteConfig("n1.yaml", /*plain=*/true));
    for (int i = 1; i <= 3; ++i) {
      const std::string name = absl::StrCat("n", i);
      Ran pin = Run({"pin", name, "--node", absl::StrCat("127.0.0.1:", i), "--fingerprint",
                     std::string(64, static_cast<char>('0' + i)), "--recipient",
                     sealing_.recipient().Text()});
      ASSERT_EQ(pin.exit_code, 0) << pin.err;
      Write(Source(name), absl::StrReplaceAll(first, {{"name: n1", "name: " + name}}));
    }
  }

  std::string Source(const std::string& name) { return Path("nodes/" + name + ".yaml"); }
  Ran Sign(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"sign", "-f", Path("nodes"), "-o", Path("signed") + "/"};
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }
  v1::SignedDocument Signed(const std::string& name, const std::string& directory = "signed") {
    auto document = sign::FromDsseJson(Read(Path(directory + "/" + name + ".json")));
    EXPECT_TRUE(document.ok()) << document.status();
    return document.value_or(v1::SignedDocument());
  }
  // trust.json in which `key` is granted machine configs beside `config`.
  void Trust(const sign::PublicKey& key, int threshold) {
    std::string yaml = Read(lab_ + "/trust.yaml");
    yaml = absl::StrReplaceAll(
        yaml,
        {{"keys:\n  - name: ",
          absl::StrCat("keys:\n  - name: alice\n    publicKey: ssh-ed25519 ",
                       Base64Encode(sign::SshKeyBlob(key.algorithm(), key.raw())), "\n  - name: ")},
         {"keys: [config]\n    threshold: 1",
          absl::StrCat("keys: [config, alice]\n    threshold: ", threshold)}});
    ASSERT_THAT(yaml, AllOf(HasSubstr("name: alice"), HasSubstr("[config, alice]")));
    auto root = sign::PrivateKey::FromPem(Read(lab_ + "/keys/root.key"));
    v1::TrustChain chain;
    *chain.add_policies() = sign::Sign(v1::DOCUMENT_TYPE_TRUST_POLICY, yaml, {&*root});
    Write(lab_ + "/trust.json", sign::ChainToJson(chain));
  }
  std::string SshSign(const std::string& file) {
    Write(file + ".sig", sign::ArmorSshSignature(sign::MakeSshSignature(
                             alice_, v1::DOCUMENT_TYPE_CONFIG_SET, Read(file))));
    return file + ".sig";
  }

  const sign::PrivateKey alice_ = sign::PrivateKey::GenerateEd25519();
};

TEST_F(SignSet, OneSignatureForAllAndAFileANode) {
  Ran made = Sign();
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.out, "");
  EXPECT_THAT(made.err, HasSubstr("of 3 files"));
  EXPECT_THAT(made.err, HasSubstr("n2: filled in metadata.epoch: 1, metadata.generation"));
  const v1::SignedDocument n1 = Signed("n1");
  for (const char* name : {"n1", "n2", "n3"}) {
    const v1::SignedDocument document = Signed(name);
    ASSERT_EQ(document.signatures_size(), 1);
    EXPECT_EQ(document.signatures(0).signature(), n1.signatures(0).signature());
    EXPECT_EQ(document.set_proof().set_payload(), n1.set_proof().set_payload());
    EXPECT_THAT(document.payload(), HasSubstr(absl::StrCat("name: ", name)));
    // 0600: they may hold secrets.
    EXPECT_EQ(std::filesystem::status(Path(absl::StrCat("signed/", name, ".json"))).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
  Ran verified = Run({"verify", "-f", Path("signed")});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_THAT(verified.out, HasSubstr(", file 2 of 3 of set sha256:"));
  Ran json = Run({"verify", "-f", Path("signed/n3.json"), "-o", "json"});
  const auto read = nlohmann::json::parse(json.out);
  EXPECT_EQ(read["set"]["index"], 2);
  EXPECT_EQ(read["set"]["size"], 3);
  EXPECT_EQ(read["set"]["digest"], sign::DocumentDigest(sign::SetOf(n1)).ToString());
  EXPECT_EQ(read["type"], "machineconfig");
}

TEST_F(SignSet, NothingIsShownOrAskedBeforeEveryFileIsRight) {
  ASSERT_EQ(Sign().exit_code, 0);
  Write(Source("n1"), absl::StrReplaceAll(Read(Source("n1")), {{"role: server", "role: agent"}}));
  Write(Source("n4"), absl::StrReplaceAll(Read(Source("n2")), {{"name: n2", "name: n4"}}));
  Ran ran = Sign();
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, Not(HasSubstr("Sign?")));
  EXPECT_THAT(ran.err, Not(HasSubstr("compared with")));
}

TEST_F(SignSet, AProgramOfTheOwnersIsAskedOnce) {
  if (std::system("openssl version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no openssl program";
  const std::string key = lab_ + "/keys/config.key";
  auto config = sign::PrivateKey::FromPem(Read(key));
  ASSERT_TRUE(config.ok());
  Write(Path("config.pub"), config->public_key().Pem());
  const std::string command =
      absl::StrCat("echo touch >> ", Path("touches"), "; cat > ", Path("pae"),
                   " && openssl pkeyutl -sign -rawin -inkey ", key, " -in ", Path("pae"));
  Ran made = Sign({"--sign-command", command, "--sign-public-key", Path("config.pub")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(Read(Path("touches")), "touch\n");
  EXPECT_EQ(Read(Path("pae")).rfind("DSSEv1 40 application/vnd.basalt.configset.v1+yaml ", 0), 0u);
  EXPECT_EQ(Run({"verify", "-f", Path("signed")}).exit_code, 0);
}

TEST_F(SignSet, TheMistakesOfAllFilesAreSaidAndNothingIsSigned) {
  for (const char* name : {"n1", "n3"}) {
    Write(Source(name), absl::StrReplaceAll(Read(Source(name)), {{"role:", "rol:"}}));
  }
  Ran ran = Sign();
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("n1.yaml:"));
  EXPECT_THAT(ran.err, HasSubstr("n3.yaml:"));
  EXPECT_THAT(ran.err, Not(HasSubstr("signing")));
  EXPECT_FALSE(std::filesystem::exists(Path("signed")));
  EXPECT_FALSE(std::filesystem::exists(lab_ + "/signed/n2"));
}

TEST_F(SignSet, WhatCannotBeOneSetIsRefusedByName) {
  EXPECT_THAT(Run({"sign", "-f", Path("nodes")}).err,
              AllOf(HasSubstr("output-needed"), HasSubstr("DIRECTORY/")));
  EXPECT_THAT(Run({"sign", "-f", Path("nodes"), "-o", Path("one.json")}).err,
              HasSubstr("output-needed"));
  Ran same = Run({"sign", "-f", Path("nodes"), "-o", Path("nodes")});
  EXPECT_THAT(same.err, HasSubstr("same-directory"));
  Write(Path("nodes/again.yaml"), Read(Source("n2")));
  EXPECT_THAT(Sign().err, AllOf(HasSubstr("two-for-one-node"), HasSubstr("n2.yaml")));
  std::filesystem::remove(Path("nodes/again.yaml"));
  ASSERT_EQ(Sign().exit_code, 0);
  EXPECT_THAT(Run({"sign", "-f", Path("nodes"), "-f", Path("signed"), "-o", Path("x") + "/"}).err,
              HasSubstr("mixed-input"));
}

TEST_F(SignSet, OneFileIntoADirectoryIsSignedAlone) {
  Ran made = Run({"sign", "-f", Source("n2"), "-o", Path("signed") + "/"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_FALSE(Signed("n2").has_set_proof());
  EXPECT_THAT(Run({"verify", "-f", Path("signed")}).out, Not(HasSubstr("of set")));
}

TEST_F(SignSet, ASecondSignerAddsToAllOfThem) {
  Trust(alice_.public_key(), 2);
  Write(Path("alice.key"), alice_.Pem());
  Ran first = Sign();
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, HasSubstr("no node will accept it yet"));
  EXPECT_THAT(Run({"verify", "-f", Path("signed")}).err, HasSubstr("too-few-signers"));
  const std::vector<std::string> second = {
      "sign", "-f", Path("signed"), "--key", Path("alice.key"), "-o", Path("signed")};
  Ran ran = Run(second);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, Not(HasSubstr("yet")));
  Ran verified = Run({"verify", "-f", Path("signed")});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_THAT(verified.out, HasSubstr("n3.json: good, signed by alice, config"));
  // Once more is the same key twice; nothing changes then.
  const std::string before = Read(Path("signed/n1.json"));
  Ran twice = Run(second);
  EXPECT_EQ(twice.exit_code, 1);
  EXPECT_THAT(twice.err, HasSubstr("duplicate-signer"));
  EXPECT_EQ(Read(Path("signed/n1.json")), before);
}

// The others' signatures would be good for it as well.
TEST_F(SignSet, NobodySignsASetOfWhichFilesAreHidden) {
  Trust(alice_.public_key(), 1);
  Write(Path("alice.key"), alice_.Pem());
  ASSERT_EQ(Sign().exit_code, 0);
  Ran one = Run(
      {"sign", "-f", Path("signed/n1.json"), "--key", Path("alice.key"), "-o", Path("n1.json")});
  EXPECT_EQ(one.exit_code, 1);
  EXPECT_THAT(one.err, HasSubstr("incomplete-set"));
  EXPECT_THAT(one.err, HasSubstr("1 of 3 are here to be seen"));
  EXPECT_TRUE(Read(Path("n1.json")).empty());
}

TEST_F(SignSet, TwoSetsOfSignedFilesGetASignatureEach) {
  Trust(alice_.public_key(), 1);
  Write(Path("alice.key"), alice_.Pem());
  ASSERT_EQ(
      Run({"sign", "-f", Source("n1"), "-f", Source("n2"), "-o", Path("signed") + "/"}).exit_code,
      0);
  ASSERT_EQ(Run({"sign", "-f", Source("n3"), "-o", Path("signed") + "/"}).exit_code, 0);
  Ran ran =
      Run({"sign", "-f", Path("signed"), "--key", Path("alice.key"), "-o", Path("signed") + "/"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  for (const char* name : {"n1", "n2", "n3"}) EXPECT_EQ(Signed(name).signatures_size(), 2);
  EXPECT_THAT(Run({"sign", "-f", Path("signed"), "--payload-only", "-o", Path("x") + "/"}).err,
              HasSubstr("which-set"));
}

TEST_F(SignSet, TwoFilesOfOneNameInTwoDirectoriesDoNotOverwriteEachOther) {
  for (const char* name : {"n1", "n2"}) {
    ASSERT_EQ(Run({"sign", "-f", Source(name), "-o", Path(name) + "/"}).exit_code, 0);
    std::filesystem::rename(Path(absl::StrCat(name, "/", name, ".json")),
                            Path(absl::StrCat(name, "/node.json")));
  }
  Ran ran = Run({"sign", "-f", Path("n1"), "-f", Path("n2"), "-o", Path("both") + "/"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("two-for-one-file"));
  EXPECT_FALSE(std::filesystem::exists(Path("both")));
}

TEST_F(SignSet, AKeyElsewhereSignsOneFile) {
  Trust(alice_.public_key(), 1);
  Ran payload = Sign({"--payload-only"});
  ASSERT_EQ(payload.exit_code, 0) << payload.err;
  EXPECT_THAT(payload.err, HasSubstr("ssh-keygen -Y sign -n basalt-configset@v1"));
  EXPECT_FALSE(std::filesystem::exists(lab_ + "/signed/n1"));  // nothing was signed
  EXPECT_THAT(Read(Path("signed/set.yaml")), HasSubstr("size: 3"));
  const std::string signature = SshSign(Path("signed/set.yaml"));
  Ran made = Run({"sign", "-f", Path("signed"), "--attach", signature, "-o", Path("out") + "/"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(Signed("n2", "out").payload(), Read(Path("signed/n2.yaml")));  // to the byte
  EXPECT_EQ(Signed("n2", "out").set_proof().set_payload(), Read(Path("signed/set.yaml")));
  Ran verified = Run({"verify", "-f", Path("out")});
  EXPECT_THAT(verified.out, HasSubstr("signed by alice"));
  EXPECT_EQ(verified.exit_code, 0) << verified.err;

  // Another file, one less, or another signature: none of them is what was signed.
  Write(Path("signed/n2.yaml"), Read(Path("signed/n2.yaml")) + "# more\n");
  auto again = [&] {
    return Run({"sign", "-f", Path("signed"), "--attach", signature, "-o", Path("x") + "/"});
  };
  EXPECT_THAT(again().err, HasSubstr("other-set"));
  std::filesystem::remove(Path("signed/n2.yaml"));
  EXPECT_THAT(again().err, AllOf(HasSubstr("other-set"), HasSubstr("it is of 3")));
  EXPECT_THAT(Run({"sign", "-f", Path("signed/set.yaml"), "--attach", signature}).err,
              HasSubstr("set-without-files"));
  EXPECT_FALSE(std::filesystem::exists(Path("x")));
}

TEST_F(SignSet, ASecondSignerWhoseKeyIsElsewhereSignsTheSetOfSignedFiles) {
  Trust(alice_.public_key(), 2);
  ASSERT_EQ(Sign().exit_code, 0);
  Ran payload = Run({"sign", "-f", Path("signed"), "--payload-only", "-o", Path("to-sign.yaml")});
  ASSERT_EQ(payload.exit_code, 0) << payload.err;
  EXPECT_EQ(Read(Path("to-sign.yaml")), Signed("n1").set_proof().set_payload());
  Ran made = Run({"sign", "-f", Path("signed"), "--attach", SshSign(Path("to-sign.yaml")), "-o",
                  Path("signed")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(Run({"verify", "-f", Path("signed")}).out, HasSubstr("signed by alice, config"));
}

TEST_F(SignSet, S1_AFileUnderTheProofOfAnotherIsNamedByVerifyAndNotSent) {
  ASSERT_EQ(Sign().exit_code, 0);
  v1::SignedDocument swapped = Signed("n1");
  *swapped.mutable_set_proof() = Signed("n2").set_proof();
  Write(Path("swapped.json"), sign::ToDsseJson(swapped));
  Ran ran = Run({"verify", "-f", Path("swapped.json")});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("bad-proof"));
  EXPECT_THAT(Run({"apply", "-f", Path("swapped.json")}).err, HasSubstr("bad-proof"));
}

TEST_F(SignSet, WhatWasSignedTogetherIsAppliedNodeByNode) {
  StartNode();
  std::vector<std::pair<std::string, std::string>> one;  // three names of one node
  for (char i : {'1', '2', '3'}) {
    one.emplace_back(absl::StrCat("127.0.0.1:", std::string(1, i)), endpoint());
    one.emplace_back(std::string(64, i), fingerprint());
  }
  const std::string inventory = absl::StrReplaceAll(Read(lab_ + "/inventory.yaml"), one);
  Write(lab_ + "/inventory.yaml", inventory);
  ASSERT_EQ(Sign().exit_code, 0);
  Ran planned = Run({"plan", "-f", Path("signed")});
  EXPECT_EQ(planned.exit_code, 0) << planned.both();
  Ran applied = Run({"apply", "-f", Path("signed")});
  EXPECT_EQ(applied.exit_code, 0) << applied.both();
  EXPECT_EQ(api_.CallCount("Apply"), 3);
  // The kept copy is the document as it was sent: rollback and the comparison of secrets read it.
  const std::string copy = lab_ + "/signed/n2";
  for (const auto& file : std::filesystem::directory_iterator(copy)) {
    EXPECT_EQ(Read(file.path()), Read(Path("signed/n2.json")));
  }
}

}  // namespace
}  // namespace basalt::client
