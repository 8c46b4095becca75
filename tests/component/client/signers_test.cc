// Several signers, signatures of other tools, and keys that only another program has.
#include <gmock/gmock.h>
#include <signal.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/sshsig.h"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;

class Signers : public NodectlFixture {
 protected:
  void SetUp() override {
    NodectlFixture::SetUp();
    Ran pin = PinAway();
    ASSERT_EQ(pin.exit_code, 0) << pin.err;
  }

  // trust.json with one more key, granted machine configs beside `config`, as root signs it.
  void Trust(const std::string& name, const sign::PublicKey& key, int threshold = 1) {
    const std::string line =
        absl::StrCat("ssh-ed25519 ", Base64Encode(sign::SshKeyBlob(key.algorithm(), key.raw())));
    std::string yaml = Read(lab_ + "/trust.yaml");
    auto replace = [&](const std::string& from, const std::string& to) {
      const size_t at = yaml.find(from);
      ASSERT_NE(at, std::string::npos) << from << "\n" << yaml;
      yaml.replace(at, from.size(), to);
    };
    replace("keys:\n", absl::StrCat("keys:\n  - name: ", name, "\n    publicKey: ", line, "\n"));
    replace("keys: [config]\n    threshold: 1",
            absl::StrCat("keys: [config, ", name, "]\n    threshold: ", threshold));
    auto root = sign::PrivateKey::FromPem(Read(lab_ + "/keys/root.key"));
    ASSERT_TRUE(root.ok()) << root.status();
    v1::TrustChain chain;
    *chain.add_policies() = sign::Sign(v1::DOCUMENT_TYPE_TRUST_POLICY, yaml, {&*root});
    Write(lab_ + "/trust.json", sign::ChainToJson(chain));
  }

  std::string Payload() {
    const std::string file = Path("n1.signed.yaml");
    Ran made = Run({"sign", "-f", WriteConfig("source.yaml"), "--payload-only", "-o", file});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return file;
  }
  std::string SshSign(const sign::PrivateKey& key, const std::string& file,
                      v1::DocumentType type = v1::DOCUMENT_TYPE_MACHINE_CONFIG) {
    const std::string out = file + ".sig";
    Write(out, sign::ArmorSshSignature(sign::MakeSshSignature(key, type, Read(file))));
    return out;
  }

  const sign::PrivateKey other_ = sign::PrivateKey::GenerateEd25519();
};

TEST_F(Signers, ASignatureOfSshKeygenIsAttachedToWhatWasCompleted) {
  Trust("alice", other_.public_key());
  const std::string file = Payload();
  EXPECT_THAT(Read(file), HasSubstr("generation:"));
  Ran made = Run({"sign", "-f", file, "--attach", SshSign(other_, file), "-o", Path("n1.json")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  Ran verified = Run({"verify", "-f", Path("n1.json")});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_THAT(verified.out, HasSubstr("signed by alice"));
  auto document = sign::FromDsseJson(Read(Path("n1.json")));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(document->payload(), Read(file));  // to the byte
}

TEST_F(Signers, ThePayloadOnStandardOutputIsNothingElse) {
  Ran made = Run({"sign", "-f", WriteConfig(), "--payload-only"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(made.out.rfind("apiVersion:", 0), 0u) << made.out;
  EXPECT_THAT(made.err, HasSubstr("ssh-keygen -Y sign -n basalt-machineconfig@v1"));
  Write(Path("piped.yaml"), made.out);
  Trust("alice", other_.public_key());
  EXPECT_EQ(Run({"sign", "-f", Path("piped.yaml"), "--attach", SshSign(other_, Path("piped.yaml")),
                 "-o", Path("n1.json")})
                .exit_code,
            0);
}

TEST_F(Signers, ThePayloadHoldsSealedSecretsAlone) {
  const std::string source = WriteConfig("n1.yaml", /*plain=*/true);
  Ran ran = Run({"sign", "-f", source, "--payload-only"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("  token: !sealed |"));
  EXPECT_THAT(ran.out, HasSubstr("  nodePassword: !sealed |"));
}

TEST_F(Signers, WhatIsAttachedMustFitTheFileAndItsType) {
  Trust("alice", other_.public_key());
  const std::string file = Payload();
  const std::string signature = SshSign(other_, file);
  Write(Path("other.yaml"), Read(file) + "# one more line\n");
  Ran other = Run({"sign", "-f", Path("other.yaml"), "--attach", signature});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("bad-signature"));
  EXPECT_EQ(other.out, "");
  Ran type = Run({"sign", "-f", file, "--attach", SshSign(other_, file, v1::DOCUMENT_TYPE_ACTION)});
  EXPECT_EQ(type.exit_code, 1);
  EXPECT_THAT(type.err, HasSubstr("basalt-machineconfig@v1"));
  Ran none = Run({"sign", "-f", file, "--attach", file});
  EXPECT_THAT(none.err, HasSubstr("unknown-scheme"));
  Ran stranger =
      Run({"sign", "-f", file, "--attach", SshSign(sign::PrivateKey::GenerateEd25519(), file)});
  EXPECT_THAT(stranger.err, HasSubstr("no key of the trust policy"));
}

TEST_F(Signers, ASourceThatIsNotCompleteTakesNoSignature) {
  Trust("alice", other_.public_key());
  const std::string source = WriteConfig();
  Ran ran = Run({"sign", "-f", source, "--attach", SshSign(other_, source)});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("--payload-only"));
  EXPECT_THAT(ran.err, HasSubstr("metadata.generation"));
}

TEST_F(Signers, AKeyThatIsNotThereSaysHowKeysAreNamed) {
  const std::string file = WriteConfig();
  for (const char* key : {"ssh-keygen:nosuch", "ssh-keygen:~/nosuch", "nosuch", "ssh-keygen:/"}) {
    Ran ran = Run({"sign", "-f", file, "--key", key, "-o", Path("n1.json"), "--yes"});
    EXPECT_EQ(ran.exit_code, 1) << key;
    EXPECT_THAT(ran.err, HasSubstr("no-such-file")) << key;
    EXPECT_THAT(ran.err, HasSubstr("ssh-agent:SHA256:...")) << key;
    EXPECT_THAT(ran.err, HasSubstr("ssh-keygen:~/.ssh/id_ed25519")) << key;
  }
}

TEST_F(Signers, ASecondSignerAddsToTheDocument) {
  Trust("alice", other_.public_key(), 2);
  Write(Path("alice.key"), other_.Pem());
  Ran first = Run({"sign", "-f", WriteConfig(), "-o", Path("n1.json")});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, HasSubstr("no node will accept it yet"));
  const std::string before = Read(Path("n1.json"));
  EXPECT_THAT(Run({"verify", "-f", Path("n1.json")}).err, HasSubstr("too-few-signers"));
  Ran second =
      Run({"sign", "-f", Path("n1.json"), "--key", Path("alice.key"), "-o", Path("n1.json")});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(Run({"verify", "-f", Path("n1.json")}).out, HasSubstr("signed by alice, config"));
  EXPECT_EQ(sign::DocumentDigest(*sign::FromDsseJson(before)),
            sign::DocumentDigest(*sign::FromDsseJson(Read(Path("n1.json")))));
}

TEST_F(Signers, ASecondSignerWhoseKeySignsElsewhereGetsTheBytesOfTheDocument) {
  Trust("alice", other_.public_key(), 2);
  ASSERT_EQ(Run({"sign", "-f", WriteConfig(), "-o", Path("n1.json")}).exit_code, 0);
  Ran payload = Run({"sign", "-f", Path("n1.json"), "--payload-only", "-o", Path("payload")});
  ASSERT_EQ(payload.exit_code, 0) << payload.err;
  EXPECT_THAT(payload.err, HasSubstr("nodectl sign -f " + Path("n1.json") + " --attach SIGNATURE"));
  EXPECT_EQ(Read(Path("payload")), sign::FromDsseJson(Read(Path("n1.json")))->payload());
  Ran both = Run({"sign", "-f", Path("n1.json"), "--attach", SshSign(other_, Path("payload")), "-o",
                  Path("n1.json")});
  ASSERT_EQ(both.exit_code, 0) << both.err;
  EXPECT_THAT(Run({"verify", "-f", Path("n1.json")}).out, HasSubstr("signed by alice, config"));
}

TEST_F(Signers, ASecondSignerIsWarnedAsTheFirstWas) {
  Trust("alice", other_.public_key(), 2);
  Write(Path("alice.key"), other_.Pem());
  const std::string file = WriteConfig();
  Write(file, Read(file) + "  config: {kube-apiserver-arg: [anonymous-auth=true]}\n");
  const char* warning = "the apiserver answers without credentials";
  Ran first = Run({"sign", "-f", file, "-o", Path("n1.json")});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, HasSubstr(warning));
  Ran second =
      Run({"sign", "-f", Path("n1.json"), "--key", Path("alice.key"), "-o", Path("n1.json")});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, HasSubstr(warning));
}

TEST_F(Signers, S7_TheSameKeyIsNotAddedTwiceAlsoNotInAnotherScheme) {
  Trust("alice", other_.public_key());
  Write(Path("alice.key"), other_.Pem());
  ASSERT_EQ(Run({"sign", "-f", WriteConfig(), "-o", Path("n1.json")}).exit_code, 0);
  const std::string before = Read(Path("n1.json"));
  Ran twice = Run({"sign", "-f", Path("n1.json"), "-o", Path("n1.json")});
  EXPECT_EQ(twice.exit_code, 1);
  EXPECT_THAT(twice.err, HasSubstr("duplicate-signer"));
  EXPECT_EQ(Read(Path("n1.json")), before);
  const std::string file = Payload();
  Ran both = Run({"sign", "-f", file, "--attach", SshSign(other_, file), "--key", Path("alice.key"),
                  "-o", Path("n2.json")});
  EXPECT_THAT(both.err, HasSubstr("duplicate-signer"));
  EXPECT_EQ(Read(Path("n2.json")), "");
}

TEST_F(Signers, ASignedDocumentIsNotChangedByAnotherSigner) {
  ASSERT_EQ(Run({"sign", "-f", WriteConfig(), "-o", Path("n1.json")}).exit_code, 0);
  Ran ran = Run({"sign", "-f", Path("n1.json"), "--mode", "try"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("signed-already"));
}

TEST_F(Signers, TheFileOfSshKeygenIsAKeyLikeOthers) {
  if (std::system("command -v ssh-keygen >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "no ssh-keygen program";
  }
  ASSERT_EQ(std::system(("ssh-keygen -q -t ed25519 -N '' -f " + Path("id")).c_str()), 0);
  auto half = sign::PublicKey::Parse(Read(Path("id.pub")));
  ASSERT_TRUE(half.ok()) << half.status();
  Trust("alice", *half);
  Ran made = Run({"sign", "-f", WriteConfig(), "--key", Path("id"), "-o", Path("n1.json")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(Run({"verify", "-f", Path("n1.json")}).out, HasSubstr("signed by alice"));
}

// Its private key is encrypted in a form of OpenSSH's own; ssh-keygen opens it, and asks itself.
TEST_F(Signers, AKeyThatOnlySshKeygenOpensSignsThroughIt) {
  if (std::system("command -v ssh-keygen >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "no ssh-keygen program";
  }
  const std::string file = Path("it's an id"), source = WriteConfig();
  ASSERT_EQ(
      std::system(absl::StrCat("ssh-keygen -q -t ed25519 -N secret123 -f \"", file, "\"").c_str()),
      0);
  auto half = sign::PublicKey::Parse(Read(file + ".pub"));
  ASSERT_TRUE(half.ok()) << half.status();
  Trust("alice", *half);
  auto sign = [&](const std::string& key, const std::string& passphrase) {
    Write(Path("askpass"), absl::StrCat("#!/bin/sh\necho ", passphrase, "\n"));
    EXPECT_EQ(std::system(("chmod +x " + Path("askpass")).c_str()), 0);
    return Run(
        {"sign", "-f", source, "--allow-plaintext", "--key", key, "-o", Path("n1.json")},
        {{"SSH_ASKPASS", Path("askpass")}, {"SSH_ASKPASS_REQUIRE", "force"}, {"DISPLAY", "none"}});
  };
  Ran alone = sign(file, "secret123");
  EXPECT_EQ(alone.exit_code, 1);
  EXPECT_THAT(alone.err, HasSubstr("--key ssh-keygen:FILE"));
  Ran wrong = sign("ssh-keygen:" + file, "wrong");
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("ssh-keygen made no signature"));
  EXPECT_EQ(Read(Path("n1.json")), "");
  Ran made = sign("ssh-keygen:" + file, "secret123");
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(Run({"verify", "-f", Path("n1.json")}).out, HasSubstr("signed by alice"));
}

// A real ssh-agent with one key of each kind that signs, and one that cannot.
class AgentSigners : public Signers {
 protected:
  void SetUp() override {
    Signers::SetUp();
    if (std::system("command -v ssh-agent >/dev/null 2>&1") != 0) GTEST_SKIP() << "no ssh-agent";
    socket_ = Path("agent");
    ASSERT_EQ(std::system(absl::StrCat("cd ", directory_, " && ssh-agent -a agent >agent.env && ",
                                       ". ./agent.env >/dev/null && echo $SSH_AGENT_PID >agent.pid"
                                       " && ssh-keygen -q -t rsa -b 2048 -N '' -f rsa",
                                       " && ssh-keygen -q -t ed25519 -N '' -f id",
                                       " && ssh-add -q rsa id 2>/dev/null")
                              .c_str()),
              0);
  }
  void TearDown() override {
    const int pid = atoi(Read(Path("agent.pid")).c_str());
    if (pid > 1) kill(pid, SIGTERM);
    Signers::TearDown();
  }
  Ran Sign(const std::string& key) {
    return Run({"sign", "-f", source_, "--key", key, "-o", Path("n1.json")},
               {{"SSH_AUTH_SOCK", socket_}});
  }
  std::string socket_;
  std::string source_;
};

TEST_F(AgentSigners, AKeyThatOnlyTheAgentHasSigns) {
  source_ = WriteConfig();
  auto half = sign::PublicKey::Parse(Read(Path("id.pub")));
  ASSERT_TRUE(half.ok()) << half.status();
  Trust("alice", *half);
  const std::string name = sign::SshFingerprint(half->algorithm(), half->raw());
  for (const std::string& key : {"ssh-agent:" + name, std::string("ssh-agent:")}) {
    Ran made = Sign(key);
    ASSERT_EQ(made.exit_code, 0) << made.err;
    EXPECT_THAT(Run({"verify", "-f", Path("n1.json")}).out, HasSubstr("signed by alice"));
  }
  Ran other = Sign("ssh-agent:SHA256:AAAA");
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("no-such-key"));
  EXPECT_THAT(other.err, HasSubstr(name));
  ASSERT_EQ(std::system(("SSH_AUTH_SOCK=" + socket_ + " ssh-add -q -D 2>/dev/null").c_str()), 0);
  EXPECT_THAT(Sign("ssh-agent:").err, HasSubstr("holds no key"));
}

TEST_F(AgentSigners, AnAgentThatDoesNotAnswerIsNamed) {
  source_ = WriteConfig();
  socket_ = Path("no-such-socket");
  Ran ran = Sign("ssh-agent:");
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("no-agent"));
  EXPECT_THAT(ran.err, HasSubstr("no-such-socket"));
}

TEST_F(Signers, AProgramOfTheOwnersSignsRawOrInBase64) {
  if (std::system("openssl version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no openssl program";
  const std::string key = lab_ + "/keys/config.key", source = WriteConfig();
  auto config = sign::PrivateKey::FromPem(Read(key));
  ASSERT_TRUE(config.ok());
  Write(Path("config.pub"), config->public_key().Pem());
  // A file of its own: what is signed has to have a length for Ed25519.
  const std::string raw = absl::StrCat("cat > ", Path("pae"),
                                       " && openssl pkeyutl -sign -rawin "
                                       "-inkey ",
                                       key, " -in ", Path("pae"));
  for (const std::string& command : {raw, raw + " | base64"}) {
    Ran ran = Run({"sign", "-f", source, "--sign-command", command, "--sign-public-key",
                   Path("config.pub"), "-o", Path("n1.json")});
    ASSERT_EQ(ran.exit_code, 0) << ran.err;
    EXPECT_THAT(Run({"verify", "-f", Path("n1.json")}).out, HasSubstr("signed by config"));
  }
  EXPECT_EQ(Read(Path("pae")).rfind("DSSEv1 44 application/vnd.basalt.machineconfig.v1+yaml ", 0),
            0u);
}

TEST_F(Signers, WhatASignCommandWritesIsCheckedBeforeItIsUsed) {
  const std::string source = WriteConfig();
  Write(Path("other.pub"), other_.public_key().Pem());
  auto run = [&](const std::string& command) {
    return Run({"sign", "-f", source, "--sign-command", command, "--sign-public-key",
                Path("other.pub"), "-o", Path("n1.json")});
  };
  for (const char* command :
       {"true", "head -c 64 /dev/zero", "echo AAAA", "yes", "exit 3", "no-such-program"}) {
    Ran ran = run(command);
    EXPECT_EQ(ran.exit_code, 1) << command;
    EXPECT_THAT(ran.err, HasSubstr("sign-command")) << command;
    EXPECT_EQ(Read(Path("n1.json")), "") << command;
  }
  EXPECT_THAT(run("echo 'the card is missing' >&2; exit 1").err, HasSubstr("the card is missing"));
  Ran alone = Run({"sign", "-f", source, "--sign-command", "true"});
  EXPECT_THAT(alone.err, HasSubstr("needs --sign-public-key"));
}

}  // namespace
}  // namespace basalt::client
