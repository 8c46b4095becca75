// Whom the secrets of a node are sealed to: how nodectl comes to know it, and what it refuses.
#include <gmock/gmock.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/policy.h"
#include "machineconfig/sign/vouching.h"
#include "nlohmann/json.hpp"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

bool FromOpenSsl(uint8_t* out, size_t size) { return RAND_bytes(out, static_cast<int>(size)) == 1; }

class Recipients : public NodectlFixture {
 protected:
  void SetUp() override {
    NodectlFixture::SetUp();
    StartNode();
  }
  std::string recipient() const { return sealing_.recipient().Text(); }
  std::string Inventory() { return Read(lab_ + "/inventory.yaml"); }
  // The node has another sealing key from now on.
  std::string LoseKey() {
    const std::string other = seal::Identity::Generate(FromOpenSsl)->recipient().Text();
    api_.SetRecipient(sign::VouchForRecipient(node_key_, other));
    return other;
  }
  // As it was before nodes had a sealing key.
  void ForgetRecipient() {
    Write(lab_ + "/inventory.yaml",
          absl::StrReplaceAll(Inventory(), {{absl::StrCat("    recipient: ", recipient(), "\n"),
                                             "    # by the window\n"}}));
    ASSERT_THAT(Inventory(), Not(HasSubstr("recipient")));
  }
  // A policy that still accepts secrets in the clear.
  void AllowPlaintext() {
    const std::string yaml =
        absl::StrReplaceAll(Read(lab_ + "/trust.yaml"),
                            {{"allowPlaintextSecrets: false", "allowPlaintextSecrets: true"}});
    auto root = sign::PrivateKey::FromPem(Read(lab_ + "/keys/root.key"));
    ASSERT_TRUE(root.ok()) << root.status();
    v1::TrustChain chain;
    *chain.add_policies() = sign::Sign(v1::DOCUMENT_TYPE_TRUST_POLICY, yaml, {&*root});
    Write(lab_ + "/trust.json", sign::ChainToJson(chain));
  }
  std::string PayloadOf(const std::string& file) {
    return sign::FromDsseJson(Read(file))->payload();
  }
};

TEST_F(Recipients, PinRecordsWhatTheIdentityVouchesFor) {
  Ran ran = Run({"pin", "n1", "--node", endpoint(), "--fingerprint", fingerprint()});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr(recipient()));
  EXPECT_THAT(Inventory(), HasSubstr(absl::StrCat("    recipient: ", recipient(), "\n")));
  Ran json = Run({"pin", "n1", "-o", "json"});  // again, as the inventory has it
  ASSERT_EQ(json.exit_code, 0) << json.err;
  EXPECT_EQ(nlohmann::json::parse(json.out)["recipient"], recipient());
  ASSERT_EQ(Run({"pin", "n2", "--node", "127.0.0.1:1", "--tofu", "--yes"}).exit_code, 1);
}

TEST_F(Recipients, TofuRecordsItToo) {
  ASSERT_EQ(Run({"pin", "n1", "--node", endpoint(), "--tofu", "--yes"}).exit_code, 0);
  EXPECT_THAT(Inventory(), HasSubstr(recipient()));
}

TEST_F(Recipients, S7_WhatNobodyVouchesForIsRefusedAndNothingIsRecorded) {
  const sign::PrivateKey stranger = sign::PrivateKey::GenerateEd25519();
  v1::VouchedRecipient altered = sign::VouchForRecipient(node_key_, recipient());
  altered.set_recipient(seal::Identity::Generate(FromOpenSsl)->recipient().Text());
  for (const v1::VouchedRecipient& bad :
       {sign::VouchForRecipient(stranger, recipient()), altered}) {
    api_.SetRecipient(bad);
    Ran ran = Run({"pin", "n1", "--node", endpoint(), "--fingerprint", fingerprint()});
    EXPECT_EQ(ran.exit_code, 1);
    EXPECT_THAT(ran.err, HasSubstr("bad-vouching"));
    EXPECT_THAT(Inventory(), Not(HasSubstr("n1")));
  }
}

TEST_F(Recipients, ANodeThatDoesNotAnswerIsPinnedWithoutOneAndThatIsSaid) {
  Ran ran = Run({"pin", "n1", "--node", "127.0.0.1:1", "--fingerprint", fingerprint()});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.err, HasSubstr("nodectl pin n1 asks again when it answers"));
  EXPECT_THAT(Inventory(), Not(HasSubstr("recipient")));
}

TEST_F(Recipients, ApplyFillsInWhatAnOlderInventoryLacks) {
  PinNode();
  ForgetRecipient();
  Ran ran = Run({"apply", "-f", WriteConfig(), "--timeout", "60s"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr(absl::StrCat("n1: its identity vouches for ", recipient())));
  EXPECT_THAT(Inventory(), HasSubstr(absl::StrCat("    recipient: ", recipient(), "\n")));
  EXPECT_THAT(Inventory(), HasSubstr("    # by the window\n"));
}

TEST_F(Recipients, AnotherOneThanRecordedIsAnErrorUntilItIsPinned) {
  PinNode();
  const std::string file = WriteConfig();
  const std::string other = LoseKey();
  for (const char* verb : {"apply", "sign"}) {
    Ran refused = Run({verb, "-f", file});
    EXPECT_EQ(refused.exit_code, 1) << verb;
    EXPECT_THAT(refused.err, HasSubstr("recipient-changed"));
    EXPECT_THAT(refused.err, HasSubstr(other));
    EXPECT_THAT(refused.err, HasSubstr("nodectl pin n1"));
  }
  EXPECT_EQ(api_.CallCount("Apply"), 0);
  EXPECT_THAT(Inventory(), HasSubstr(recipient()));
  Ran asked = Run({"pin", "n1"});  // nobody is there to answer
  EXPECT_EQ(asked.exit_code, 1);
  EXPECT_THAT(Inventory(), HasSubstr(recipient()));
  ASSERT_EQ(Run({"pin", "n1", "--yes"}).exit_code, 0);
  EXPECT_THAT(Inventory(), HasSubstr(other));
  EXPECT_THAT(Inventory(), Not(HasSubstr(recipient())));
  Ran applied = Run({"apply", "-f", file, "--timeout", "60s"});
  EXPECT_EQ(applied.exit_code, 0) << applied.err;
}

TEST_F(Recipients, AnotherMachineUnderTheNameHasAnotherRecipient) {
  PinNode();
  ASSERT_EQ(
      Run({"pin", "n1", "--node", "127.0.0.1:1", "--fingerprint", std::string(64, 'a'), "--yes"})
          .exit_code,
      0);
  EXPECT_THAT(Inventory(), Not(HasSubstr("recipient")));
}

TEST_F(Recipients, GivenByHandItMustBeWhatTheNodeSays) {
  const std::string other = seal::Identity::Generate(FromOpenSsl)->recipient().Text();
  Ran ran = Run(
      {"pin", "n1", "--node", endpoint(), "--fingerprint", fingerprint(), "--recipient", other});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("other-recipient"));
  EXPECT_THAT(Run({"pin", "n1", "--node", endpoint(), "--fingerprint", fingerprint(), "--recipient",
                   "age1mistyped"})
                  .err,
              HasSubstr("bad-recipient"));
}

TEST_F(Recipients, PlaintextNeedsTheWordAndAPolicyThatHasIt) {
  ASSERT_EQ(Run({"pin", "n1", "--node", "127.0.0.1:1", "--fingerprint", fingerprint()}).exit_code,
            0);
  const std::string file = WriteConfig();
  Ran forbidden = Run({"sign", "-f", file, "--allow-plaintext"});
  EXPECT_EQ(forbidden.exit_code, 1);
  EXPECT_THAT(forbidden.err, HasSubstr("no-recipient"));
  EXPECT_THAT(forbidden.err, HasSubstr("the trust policy accepts sealed secrets alone"));
  AllowPlaintext();
  Ran refused = Run({"sign", "-f", file});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("no-recipient"));
  EXPECT_THAT(refused.err, HasSubstr("--allow-plaintext"));
  Ran made = Run({"sign", "-f", file, "--allow-plaintext", "-o", Path("n1.json")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("signed in the clear: k3s.token"));
  EXPECT_THAT(PayloadOf(Path("n1.json")), Not(HasSubstr("!sealed")));
  EXPECT_EQ(Run({"verify", "-f", Path("n1.json")}).exit_code, 0);
}

// Whoever signed elsewhere cannot get around the policy either: it is said before a node says it.
TEST_F(Recipients, S7_ADocumentInTheClearIsRefusedUnderAPolicyThatForbidsIt) {
  ASSERT_EQ(Run({"pin", "n1", "--node", "127.0.0.1:1", "--fingerprint", fingerprint()}).exit_code,
            0);
  const std::string forbidding = Read(lab_ + "/trust.json");
  AllowPlaintext();
  const std::string file = WriteConfig();
  ASSERT_EQ(Run({"sign", "-f", file, "--allow-plaintext", "-o", Path("n1.json")}).exit_code, 0);
  Write(lab_ + "/trust.json", forbidding);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"verify", "-f", Path("n1.json")},
        {"apply", "-f", Path("n1.json")}}) {
    Ran ran = Run(words);
    EXPECT_EQ(ran.exit_code, 1) << words[0];
    EXPECT_THAT(ran.err, HasSubstr("plaintext-forbidden"));
    EXPECT_THAT(ran.err, HasSubstr("k3s.token"));
  }
}

TEST_F(Recipients, APlanWithoutTheIdentityLeavesThemSealedAndSaysSo) {
  PinNode();
  const std::string file = WriteConfig();
  ASSERT_EQ(rename((lab_ + "/keys/secrets.key").c_str(), Path("away").c_str()), 0);
  Ran plan = Run({"plan", "-f", file});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.err, HasSubstr("its secrets stay sealed and are not compared"));
}

class GenSecrets : public NodectlFixture {
 protected:
  std::string secrets() const { return lab_ + "/secrets.yaml"; }
  // The token that `gen config` finds.
  std::string TokenNow() {
    Ran made = Run({"gen", "config", "--name", "n1", "--role", "server", "--plain"});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    const size_t at = made.out.find("  token: ") + 9;
    return absl::StrReplaceAll(made.out.substr(at, made.out.find('\n', at) - at), {{"\"", ""}});
  }
};

TEST_F(GenSecrets, NothingIsMissingAfterInit) {
  const std::string before = Read(secrets());
  Ran ran = Run({"gen", "secrets"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("nothing is missing"));
  EXPECT_EQ(Read(secrets()), before);
}

TEST_F(GenSecrets, WhatIsMissingIsMadeAndCommentsStay) {
  Write(secrets(), absl::StrCat("# ours\nagent: agent-token-in-the-clear\n# kept\n"));
  Ran ran = Run({"gen", "secrets"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("server: made, sealed to 1 recipient"));
  EXPECT_THAT(Read(secrets()), HasSubstr("# ours\nagent: agent-token-in-the-clear\n# kept\n"));
  EXPECT_EQ(TokenNow().size(), 64u);
  Ran again = Run({"gen", "secrets"});
  EXPECT_THAT(again.err, HasSubstr("agent stands in the clear: --reseal seals it"));
  ASSERT_EQ(Run({"gen", "secrets", "--reseal"}).exit_code, 0);
  EXPECT_THAT(Read(secrets()), Not(HasSubstr("in-the-clear")));
  EXPECT_THAT(Read(secrets()), HasSubstr("# kept\n"));
}

TEST_F(GenSecrets, RotationMakesANewOneAndLeavesTheOther) {
  const std::string before = TokenNow();
  Ran agent = Run({"gen", "secrets", "--rotate", "agent"});
  ASSERT_EQ(agent.exit_code, 0) << agent.err;
  EXPECT_THAT(agent.err, HasSubstr("k3s.agentToken"));
  EXPECT_EQ(TokenNow(), before);
  Ran server = Run({"gen", "secrets", "--rotate", "server"});
  ASSERT_EQ(server.exit_code, 0) << server.err;
  EXPECT_THAT(server.err, HasSubstr("k3s token rotate"));
  EXPECT_NE(TokenNow(), before);
}

TEST_F(GenSecrets, ResealingGivesThemToAnotherPerson) {
  ASSERT_EQ(Run({"init", Path("other"), "--cluster", "home", "--no-passphrase"}).exit_code, 0);
  const std::string theirs = Run({"recipient", "--identity", Path("other/keys/secrets.key")}).out;
  const std::string before = TokenNow();
  const std::string context = lab_ + "/context.yaml";
  Write(context, absl::StrReplaceAll(Read(context), {{"recipients:\n",
                                                      absl::StrCat("recipients:\n  - ", theirs)}}));
  ASSERT_EQ(Run({"gen", "secrets", "--reseal"}).exit_code, 0);
  EXPECT_EQ(TokenNow(), before);
  // With their own identity instead of ours.
  Write(lab_ + "/keys/secrets.key", Read(Path("other/keys/secrets.key")));
  EXPECT_EQ(TokenNow(), before);
}

TEST_F(GenSecrets, InTheClearOnlyWhenAsked) {
  Ran made = Run({"gen", "secrets", "--plain", "-f", Path("plain.yaml")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(Read(Path("plain.yaml")), Not(HasSubstr("sealed |")));
  EXPECT_THAT(made.out, ::testing::IsEmpty());
  Ran config = Run({"gen", "config", "--name", "n1", "--role", "server"});
  ASSERT_EQ(config.exit_code, 0) << config.err;
  for (const char* field : {"token", "agentToken", "nodePassword"}) {
    EXPECT_THAT(config.out, HasSubstr(absl::StrCat("  ", field, ": !sealed |")));
  }
  EXPECT_THAT(config.out, Not(HasSubstr(TokenNow())));
}

TEST_F(GenSecrets, SecretsOfSetAreSealedToo) {
  Ran config = Run({"gen", "config", "--name", "n1", "--role", "server", "--set",
                    "k3s.datastore.endpoint=postgres://k3s:hunter2hunter2@db/k3s"});
  ASSERT_EQ(config.exit_code, 0) << config.err;
  EXPECT_THAT(config.out, HasSubstr("    endpoint: !sealed |"));
  EXPECT_THAT(config.out, Not(HasSubstr("hunter2")));
}

TEST_F(GenSecrets, AMovedValueDoesNotOpen) {
  const std::string text = Read(secrets());
  Write(secrets(), absl::StrReplaceAll(text, {{"server:", "agent:"}, {"agent:", "server:"}}));
  Ran made = Run({"gen", "config", "--name", "n1", "--role", "server"});
  EXPECT_EQ(made.exit_code, 1);
  EXPECT_THAT(made.err, HasSubstr("wrong-seal-context"));
  EXPECT_THAT(made.err, HasSubstr("secrets.yaml: agent"));
}

}  // namespace
}  // namespace basalt::client
