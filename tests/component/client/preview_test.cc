// What a signer is shown before a key is used.
#include <gmock/gmock.h>
#include <unistd.h>

#include "absl/strings/str_replace.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Preview : public NodectlFixture {
 protected:
  void PinOffline() { ASSERT_EQ(PinAway().exit_code, 0); }
  Ran Sign(const std::string& file, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"sign", "-f", file, "-o", Path("n1.json")};
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }
  void Change(const std::string& file, const std::string& from, const std::string& to) {
    const std::string before = Read(file), after = absl::StrReplaceAll(before, {{from, to}});
    ASSERT_NE(before, after) << from;
    Write(file, after);
  }
};

TEST_F(Preview, WithoutTheNodeTheLastSignedFileIsTheMeasureAndSaid) {
  PinOffline();
  const std::string file = WriteConfig();
  Ran first = Sign(file);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, HasSubstr("n1, compared with nothing: none was signed here before (n1 "
                                   "was not asked: unreachable)"));
  EXPECT_THAT(first.err, HasSubstr("+ k3s.version: v1.30.4+k3s1"));
  Change(file, "version: v1.30.4+k3s1", "version: v1.31.0+k3s1");
  Ran second = Sign(file);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, HasSubstr("compared with what was signed here last: generation "));
  EXPECT_THAT(second.err, HasSubstr("~ k3s.version: v1.30.4+k3s1 -> v1.31.0+k3s1"));
  EXPECT_THAT(second.err, HasSubstr("effect: restart-k3s"));
  EXPECT_THAT(second.err, Not(HasSubstr("k3s.role")));
}

TEST_F(Preview, TheDocumentOnStandardOutputIsNothingElse) {
  PinOffline();
  Ran ran = Run({"sign", "-f", WriteConfig()});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_TRUE(sign::FromDsseJson(ran.out).ok()) << ran.out;
}

TEST_F(Preview, ASignerWhoseGrantDoesNotReachIsToldBeforeTheNodeSaysIt) {
  PinOffline();
  const std::string file = WriteConfig();
  ASSERT_EQ(Sign(file).exit_code, 0);
  const sign::PrivateKey alice = sign::PrivateKey::GenerateEd25519();
  Write(Path("alice.key"), alice.Pem());
  Write(Path("alice.pub"), alice.public_key().Pem());
  Ran added = Run({"trust", "add-key", "alice", "--public-key", Path("alice.pub")});
  ASSERT_EQ(added.exit_code, 0) << added.err;
  Ran granted = Run(
      {"trust", "grant", "--for", "machineconfig", "--key", "alice", "--path", "metadata.labels"});
  ASSERT_EQ(granted.exit_code, 0) << granted.err;
  Change(file, "version: v1.30.4+k3s1", "version: v1.31.0+k3s1");
  Ran ran = Sign(file, {"--key", Path("alice.key")});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("no node will accept it yet: k3s.version: "));
}

TEST_F(Preview, WhatIsShownIsAboutTheMachineThatIsSignedFor) {
  PinOffline();
  const std::string file = WriteConfig();
  Change(file, "machineId: " + std::string(64, 'a'), "machineId: " + std::string(64, 'b'));
  Ran ran = Sign(file);
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("wrong-target"));
}

TEST_F(Preview, P7_SecretsAreRedacted) {
  PinOffline();
  const std::string file = WriteConfig("n1.yaml", /*plain=*/true);
  ASSERT_EQ(Sign(file).exit_code, 0);
  const std::string text = Read(file);
  const std::string token = text.substr(text.find("\n  token: ") + 10, 64);
  Change(file, token, "canary-0123456789abcdef-canary");
  Ran ran = Sign(file);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("~ k3s.token: (redacted) -> (redacted)"));
  EXPECT_THAT(ran.both(), Not(HasSubstr("canary")));
  EXPECT_THAT(ran.both(), Not(HasSubstr(token)));
}

TEST_F(Preview, ANodeThatAnswersIsTheMeasure) {
  StartNode(/*configured=*/true);
  PinNode();
  const std::string file = WriteConfig();
  Ran fresh = Sign(file);
  EXPECT_THAT(fresh.err, HasSubstr("n1, compared with n1 as it is now: without a config"));
  ASSERT_EQ(Run({"apply", "-f", file}).exit_code, 0);
  Ran configured = Sign(file);
  EXPECT_EQ(configured.exit_code, 0) << configured.err;
  EXPECT_THAT(configured.err, HasSubstr("compared with what n1 runs now: generation "));
}

TEST_F(Preview, WhoMayOnlyDeliverIsShownTheLastSignedFile) {
  StartNode(/*configured=*/true);
  PinNode();
  const std::string file = WriteConfig();
  ASSERT_EQ(Run({"apply", "-f", file}).exit_code, 0);
  api_.FailNext("Plan", api::Coded(absl::StatusCode::kPermissionDenied, "role-missing",
                                   "needs the role reader"));
  Ran ran = Sign(file);
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("compared with what was signed here last: generation "));
  EXPECT_THAT(ran.err, HasSubstr("(n1 was not asked: role-missing)"));
}

TEST_F(Preview, WhatDestroysIsAskedAboutAndInAPipeNeedsYes) {
  PinOffline();
  const std::string file = WriteConfig();
  ASSERT_EQ(Sign(file).exit_code, 0);
  unlink(Path("n1.json").c_str());
  Write(file, Read(file) + "  datastore: {endpoint: \"postgres://k3s:pw@db:5432/k3s\"}\n");
  Ran asked = Sign(file);
  EXPECT_EQ(asked.exit_code, 1) << asked.err;
  EXPECT_THAT(asked.err, HasSubstr("needs-yes"));
  EXPECT_THAT(asked.err, HasSubstr("effect: reinstall"));
  EXPECT_EQ(Read(Path("n1.json")), "");
  Ran sure = Sign(file, {"--yes"});
  EXPECT_EQ(sure.exit_code, 0) << sure.err;
}

TEST_F(Preview, ASecondSignerSeesTheChangeTooAndNotTheirOwnCopy) {
  PinOffline();
  Write(Path("alice.key"), sign::PrivateKey::GenerateEd25519().Pem());
  auto alice = sign::PrivateKey::FromPem(Read(Path("alice.key")));
  Write(Path("alice.pub"), alice->public_key().Pem());
  ASSERT_EQ(Run({"trust", "add-key", "alice", "--public-key", Path("alice.pub"), "--for",
                 "machineconfig"})
                .exit_code,
            0);
  const std::string file = WriteConfig();
  ASSERT_EQ(Sign(file).exit_code, 0);
  Change(file, "version: v1.30.4+k3s1", "version: v1.31.0+k3s1");
  ASSERT_EQ(Sign(file).exit_code, 0);
  Ran second =
      Run({"sign", "-f", Path("n1.json"), "--key", Path("alice.key"), "-o", Path("n1.json")});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, HasSubstr("~ k3s.version: v1.30.4+k3s1 -> v1.31.0+k3s1"));
}

TEST_F(Preview, AChangeAtTheEndOfALongValueIsShownAndNotCutOff) {
  PinOffline();
  const std::string file = WriteConfig();
  const std::string list =
      "[audit-log-maxage=30, audit-log-maxbackup=10, audit-log-maxsize=100, request-timeout=60s";
  Write(file, Read(file) + "  config: {kube-apiserver-arg: " + list + "]}\n");
  Ran first = Sign(file);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  // What is new is there whole, a certificate too.
  EXPECT_THAT(first.err, HasSubstr("-----END CERTIFICATE-----"));
  Change(file, "request-timeout=60s", "request-timeout=60s, anonymous-auth=true");
  Ran second = Sign(file);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, HasSubstr("anonymous-auth=true]"));
}

TEST_F(Preview, AMachineThatGetsAnotherNameIsComparedWithWhatItRuns) {
  PinOffline();
  const std::string file = WriteConfig();
  ASSERT_EQ(Sign(file).exit_code, 0);
  // What somebody else completed for the machine that is n1 here.
  ASSERT_EQ(Run({"sign", "-f", file, "--payload-only", "-o", Path("n9.yaml")}).exit_code, 0);
  Change(Path("n9.yaml"), "  name: n1\n", "  name: n9\n");
  auto theirs = sign::FromDsseJson(Read(Path("n1.json")));
  theirs->clear_signatures();
  theirs->set_payload(Read(Path("n9.yaml")));
  sign::AddSignature(*theirs, *sign::PrivateKey::FromPem(Read(lab_ + "/keys/config.key")));
  Write(Path("n9.json"), sign::ToDsseJson(*theirs));
  Write(Path("alice.key"), sign::PrivateKey::GenerateEd25519().Pem());
  Write(Path("alice.pub"), sign::PrivateKey::FromPem(Read(Path("alice.key")))->public_key().Pem());
  ASSERT_EQ(Run({"trust", "add-key", "alice", "--public-key", Path("alice.pub"), "--for",
                 "machineconfig"})
                .exit_code,
            0);
  Ran asked =
      Run({"sign", "-f", Path("n9.json"), "--key", Path("alice.key"), "-o", Path("n9.json")});
  EXPECT_EQ(asked.exit_code, 1) << asked.err;
  EXPECT_THAT(asked.err, HasSubstr("n9, a new name for the machine n1, compared with what was "
                                   "signed here last"));
  EXPECT_THAT(asked.err, HasSubstr("~ metadata.name: n1 -> n9  # reinstall"));
  EXPECT_THAT(asked.err, HasSubstr("needs-yes"));
}

TEST_F(Preview, P7_ANodeIsAskedWithSealedSecretsAlone) {
  StartNode(/*configured=*/true);
  PinNode();
  const std::string file = WriteConfig("n1.yaml", /*plain=*/true);
  ASSERT_EQ(Run({"apply", "-f", file}).exit_code, 0);
  const std::string text = Read(file);
  const std::string token = text.substr(text.find("\n  token: ") + 10, 64);
  Ran ran = Sign(file);
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("compared with what n1 runs now"));
  EXPECT_THAT(api_.last_planned_source(), HasSubstr("token: !sealed"));
  EXPECT_THAT(api_.last_planned_source(), Not(HasSubstr(token)));
}

TEST_F(Preview, P7_APlanOfASealedSourceKeepsItSealed) {
  StartNode(/*configured=*/true);
  PinNode();
  const std::string file = WriteConfig();
  ASSERT_EQ(Run({"apply", "-f", file}).exit_code, 0);
  Change(file, "version: v1.30.4+k3s1", "version: v1.31.0+k3s1");
  Ran plan = Run({"plan", "-f", file});
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_EQ(api_.last_planned_source(), Read(file));
  EXPECT_THAT(api_.last_planned_source(), HasSubstr("token: !sealed"));
}

TEST_F(Preview, AnOrderIsShownAndAlwaysAsked) {
  StartNode();
  PinNode();
  ASSERT_EQ(Run({"reset", "-n", "n1", "--to", Path("reset.json"), "--yes", "--reason", "OPS-7"})
                .exit_code,
            0);
  EXPECT_EQ(api_.CallCount("ApplyAction"), 0);
  Write(Path("alice.key"), sign::PrivateKey::GenerateEd25519().Pem());
  auto alice = sign::PrivateKey::FromPem(Read(Path("alice.key")));
  Write(Path("alice.pub"), alice->public_key().Pem());
  ASSERT_EQ(Run({"trust", "add-key", "alice", "--public-key", Path("alice.pub")}).exit_code, 0);
  Ran asked = Run({"sign", "-f", Path("reset.json"), "--key", Path("alice.key")});
  EXPECT_EQ(asked.exit_code, 1);
  EXPECT_THAT(asked.err, HasSubstr("reset of n1 (machine " + fingerprint()));
  EXPECT_THAT(asked.err, HasSubstr("reason: OPS-7"));
  EXPECT_THAT(asked.err, HasSubstr("needs-yes"));
  EXPECT_EQ(asked.out, "");
}

}  // namespace
}  // namespace basalt::client
