// Plans and applies over real connections.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/coded_status.h"
#include "nlohmann/json.hpp"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Apply : public NodectlFixture {
 protected:
  void SetUp() override {
    NodectlFixture::SetUp();
    StartNode();
    PinNode();
    file_ = WriteConfig();
  }
  std::vector<std::string> Command(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"apply", "-f", file_, "--timeout", "60s"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::string file_;
};

TEST_F(Apply, SourceIsSignedDeliveredAndTheCallerComesBackOverANewConnection) {
  Ran ran = Run(Command());
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("committed"));
  EXPECT_EQ(api_.CallCount("Apply"), 1);
  // The fake takes the token over another connection than the apply's only.
  EXPECT_THAT(ran.err, HasSubstr("came back over a new connection"));
}

TEST_F(Apply, SignedFileSentAgainIsASuccessThatChangesNothing) {
  ASSERT_EQ(Run({"sign", "-f", file_, "-o", Path("n1.json")}).exit_code, 0);
  ASSERT_EQ(Run({"apply", "-f", Path("n1.json")}).exit_code, 0);
  Ran again = Run({"apply", "-f", Path("n1.json")});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("unchanged"));
}

TEST_F(Apply, JsonIsOneDocumentALineAndHoldsNoToken) {
  Ran ran = Run(Command({"-o", "json"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  std::stringstream lines(ran.out);
  std::string line;
  nlohmann::json last;
  while (std::getline(lines, line)) {
    last = nlohmann::json::parse(line);
    EXPECT_EQ(last["node"], "n1");
  }
  EXPECT_EQ(last["type"], "result");
  EXPECT_EQ(last["result"], "committed");
  EXPECT_EQ(last["healthy"], true);
  EXPECT_THAT(ran.out, Not(HasSubstr("return-token")));
}

TEST_F(Apply, DryRunShowsThePlanAndAppliesNothing) {
  Ran ran = Run(Command({"--dry-run"}));
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(api_.CallCount("Plan"), 1);
  EXPECT_EQ(api_.CallCount("Apply"), 0);
}

TEST_F(Apply, WhatTheNodeCannotApplyIsShownAndNotSent) {
  Write(file_, Read(file_) +
                   "network:\n  interfaces: [{name: eth0, dhcp4: true}]\n"
                   "system:\n  kernel: {arguments: [quiet]}\n");
  api_.CannotApply("network", "no machine of its own");
  api_.CannotApply("system", "no machine of its own");
  // A first config is compared here: what the node cannot do is known from its Hello.
  Ran plan = Run({"plan", "-f", file_});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("+ network.interfaces[eth0].dhcp4: true"));
  EXPECT_THAT(plan.out, HasSubstr("  * network: apply what changes in `network`\n"
                                  "    not done on this platform: no machine of its own\n"));
  EXPECT_THAT(plan.out, HasSubstr("  * system: apply what changes in `system`  # reboot\n"));
  EXPECT_THAT(plan.out, HasSubstr("effect: reboot"));
  // Nobody is asked whether the node shall reboot for what it will refuse.
  Ran ran = Run(Command());
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_THAT(ran.out, HasSubstr("not done on this platform: no machine of its own"));
  EXPECT_THAT(ran.err, HasSubstr("unimplemented-on-platform"));
  EXPECT_THAT(ran.err, HasSubstr("`network`, `system` cannot be applied by this node: no machine"));
  EXPECT_THAT(ran.err, HasSubstr("leave `network`, `system` out of the config of this node"));
  EXPECT_EQ(api_.CallCount("Apply"), 0);
  Ran dry = Run(Command({"--dry-run"}));
  EXPECT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_THAT(dry.out, HasSubstr("not done on this platform"));
}

TEST_F(Apply, S1_EditedByteIsRefusedBeforeAnythingIsSent) {
  ASSERT_EQ(Run({"sign", "-f", file_, "-o", Path("n1.json")}).exit_code, 0);
  const int hellos = api_.CallCount("Hello");
  std::string text = Read(Path("n1.json"));
  char& byte = text[text.find("\"payload\"") + 60];
  byte = byte == 'A' ? 'B' : 'A';
  Write(Path("edited.json"), text);
  Ran ran = Run({"apply", "-f", Path("edited.json"), "-n", "n1", "--yes"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("bad-signature"));
  EXPECT_EQ(api_.CallCount("Hello"), hellos);
  EXPECT_EQ(api_.CallCount("Apply"), 0);
}

TEST_F(Apply, WrongPinNamesBothFingerprintsAndSendsNothing) {
  const std::string wrong(64, 'b');
  ASSERT_EQ(Run({"pin", "n1", "--node", endpoint(), "--fingerprint", wrong, "--yes"}).exit_code, 0);
  Ran ran = Run({"status", "-n", "n1"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("fingerprint-mismatch"));
  EXPECT_THAT(ran.err, HasSubstr(wrong));
  EXPECT_THAT(ran.err, HasSubstr(fingerprint()));
  EXPECT_EQ(api_.CallCount("Hello"), 1);  // when it was pinned rightly
}

TEST_F(Apply, S4_DocumentForAnotherNodeIsRefusedWithBothIds) {
  ASSERT_EQ(Run({"sign", "-f", file_, "-o", Path("n1.json")}).exit_code, 0);
  const std::string other(64, 'c');
  ASSERT_EQ(Run({"pin", "n2", "--node", endpoint(), "--fingerprint", other}).exit_code, 0);
  Ran ran = Run({"apply", "-f", Path("n1.json"), "-n", "n2", "--yes"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("wrong-target"));
  EXPECT_THAT(ran.err, HasSubstr(other));
  EXPECT_THAT(ran.err, HasSubstr(fingerprint()));
}

// The node as it is after a switch of `api.listen`: another port, the old one closed.
class ApplyMoves : public Apply {
 protected:
  Ran Move(v1::ApplyState end, const std::vector<std::string>& more) {
    old_ = endpoint();
    const std::string inventory = Read(lab_ + "/inventory.yaml");
    Write(lab_ + "/inventory.yaml", "# racks\n" + inventory + "# the end\n");
    api_.Hold("Apply");
    std::future<Ran> running = RunAsync(Command(more));
    EXPECT_TRUE(api_.WaitForWatchers(1));
    engine::ApiPolicy policy;
    policy.api.add_listen("127.0.0.2:0");
    absl::Status switched = server_->SetPolicy(policy);
    EXPECT_TRUE(switched.ok()) << switched;
    v1::ApplyEvent event;
    event.set_state(v1::APPLY_STATE_VERIFYING);
    event.set_return_token("return-token");
    event.add_return_endpoints(endpoint());
    api_.Emit(event);
    EXPECT_TRUE(api_.WaitForCalls("Return", 1));
    event.Clear();
    event.set_state(end);
    event.set_generation(7);
    event.set_final(end != v1::APPLY_STATE_AWAITING_CONFIRM);
    api_.Emit(event);
    return running.get();
  }
  std::string old_;
};

TEST_F(ApplyMoves, InventoryFollowsTheNodeAndKeepsItsComments) {
  Ran ran = Move(v1::APPLY_STATE_COMMITTED, {});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_NE(endpoint(), old_);
  EXPECT_THAT(ran.out, HasSubstr("n1 listens at " + endpoint() + " now (inventory updated)"));
  const std::string inventory = Read(lab_ + "/inventory.yaml");
  EXPECT_THAT(inventory, HasSubstr(endpoint()));
  EXPECT_THAT(inventory, HasSubstr(fingerprint()));
  EXPECT_THAT(inventory, HasSubstr("# racks\n"));
  EXPECT_THAT(inventory, HasSubstr("# the end\n"));
  EXPECT_THAT(inventory, Not(HasSubstr(old_)));
}

// The recipient was recorded by the same apply, after the entry was read.
TEST_F(ApplyMoves, WhatWasRecordedOnTheWayStays) {
  const std::string file = lab_ + "/inventory.yaml";
  const std::string recipient = absl::StrCat("    recipient: ", sealing_.recipient().Text(), "\n");
  const std::string before = Read(file);
  ASSERT_THAT(before, HasSubstr(recipient));
  Write(file, absl::StrReplaceAll(before, {{recipient, ""}}));
  Ran ran = Move(v1::APPLY_STATE_COMMITTED, {});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(Read(file), HasSubstr(endpoint()));
  EXPECT_THAT(Read(file), HasSubstr(recipient));
}

TEST_F(ApplyMoves, JsonSaysItInANoteBeforeTheResult) {
  Ran ran = Move(v1::APPLY_STATE_COMMITTED, {"-o", "json"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  const size_t note = ran.out.find("n1 listens at " + endpoint() + " now (inventory updated)");
  ASSERT_NE(note, std::string::npos) << ran.out;
  EXPECT_LT(ran.out.rfind("{\"type\":\"note\"", note), note);
  EXPECT_GT(ran.out.find("{\"type\":\"result\""), note);
}

TEST_F(ApplyMoves, RevertLeavesTheInventoryAsItWas) {
  Ran ran = Move(v1::APPLY_STATE_REVERTED, {});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(Read(lab_ + "/inventory.yaml"), HasSubstr(old_));
}

// `nodectl confirm` has to find the node, and the way back has to be known.
TEST_F(ApplyMoves, WhileItAwaitsConfirmationTheInventoryHasTheNewAddressAndTheWayBackIsSaid) {
  Ran ran = Move(v1::APPLY_STATE_AWAITING_CONFIRM, {});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(Read(lab_ + "/inventory.yaml"), HasSubstr(endpoint()));
  EXPECT_THAT(ran.err, HasSubstr("nodectl pin n1 --node " + old_ + " --fingerprint"));
}

class Copies : public Apply {
 protected:
  size_t Kept() const {
    const std::string directory = lab_ + "/signed/n1";
    if (!std::filesystem::exists(directory)) return 0;
    return std::distance(std::filesystem::directory_iterator(directory), {});
  }
};

TEST_F(Copies, AreKeptOfWhatTheNodeTookOnly) {
  EXPECT_EQ(Run(Command({"--dry-run"})).exit_code, 0);
  EXPECT_EQ(Kept(), 0u);
  api_.FailNext("Plan", api::Coded(absl::StatusCode::kFailedPrecondition, "no-grant", "refused"));
  EXPECT_EQ(Run(Command()).exit_code, 1);
  EXPECT_EQ(Kept(), 0u);
  api_.FailNext("Apply", api::Coded(absl::StatusCode::kFailedPrecondition, "pending", "refused"));
  EXPECT_EQ(Run(Command()).exit_code, 1);
  EXPECT_EQ(Kept(), 0u);
  EXPECT_EQ(Run(Command()).exit_code, 0);
  EXPECT_EQ(Kept(), 1u);
}

TEST_F(Copies, AreKeptOfASignedFileAsWellAlsoWhenItRunsAlready) {
  ASSERT_EQ(Run({"sign", "-f", file_, "-o", Path("n1.json")}).exit_code, 0);
  for (int i = 0; i < 2; ++i) {
    std::filesystem::remove_all(lab_ + "/signed");
    ASSERT_EQ(Run({"apply", "-f", Path("n1.json")}).exit_code, 0);
    EXPECT_EQ(Kept(), 1u);
  }
}

TEST_F(Copies, TheNewest32StayAndOtherFilesAreNotTouched) {
  const std::string directory = lab_ + "/signed/n1/";
  std::filesystem::create_directories(directory);
  for (int i = 1; i <= 40; ++i) Write(absl::StrCat(directory, i, ".json"), "{}");
  Write(directory + "notes.txt", "mine");
  ASSERT_EQ(Run(Command()).exit_code, 0);
  EXPECT_EQ(Kept(), 33u);
  EXPECT_EQ(access((directory + "notes.txt").c_str(), F_OK), 0);
  EXPECT_NE(access((directory + "9.json").c_str(), F_OK), 0);
  EXPECT_EQ(access((directory + "10.json").c_str(), F_OK), 0);
}

TEST_F(Apply, RevertIsExitOneWithTheNodesCodeAndWhatDoesNotHold) {
  api_.Hold("Apply");
  std::future<Ran> running = RunAsync(Command());
  ASSERT_TRUE(api_.WaitForWatchers(1));
  v1::ApplyEvent event;
  event.set_state(v1::APPLY_STATE_REVERTED);
  event.set_error_code("gate-failed");
  event.set_message("K3s did not get ready\x1b[31m");
  event.set_hint("nodectl logs");
  v1::Condition* condition = event.add_conditions();
  condition->set_type("K3sReady");
  condition->set_reason("ExitedAtOnce");
  event.set_final(true);
  api_.Emit(event);
  Ran ran = running.get();
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("n1: gate-failed"));
  EXPECT_THAT(ran.err, HasSubstr("reverted"));
  EXPECT_THAT(ran.err, HasSubstr("K3sReady does not hold: ExitedAtOnce"));
  EXPECT_THAT(ran.both(), Not(HasSubstr("\x1b")));
}

TEST_F(Apply, CommittedButNotHealthyIsExitOne) {
  api_.Hold("Apply");
  std::future<Ran> running = RunAsync(Command({"-o", "json"}));
  ASSERT_TRUE(api_.WaitForWatchers(1));
  v1::ApplyEvent event;
  event.set_state(v1::APPLY_STATE_COMMITTED);
  event.set_error_code("k3s-not-ready");
  event.set_generation(7);
  event.set_final(true);
  api_.Emit(event);
  Ran ran = running.get();
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out, HasSubstr("\"healthy\":false"));
  EXPECT_THAT(ran.out, HasSubstr("\"errors\":[{\"code\":\"k3s-not-ready\""));
}

TEST_F(Apply, TimeoutEndsTheWaitAndSaysThatTheApplyGoesOn) {
  api_.Hold("Apply");
  Ran ran = Run({"apply", "-f", file_, "--timeout", "2s"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("wait-ended"));
  EXPECT_EQ(api_.CallCount("Cancel"), 0);
}

TEST_F(Apply, RefusalOfTheNodeIsShownWithCodeNodeAndHint) {
  api_.FailNext("Apply", api::Coded(absl::StatusCode::kFailedPrecondition, "below-floor",
                                    "generation 1 is below 5", "sign it anew"));
  Ran ran = Run(Command());
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("error: n1: below-floor: generation 1 is below 5"));
  EXPECT_THAT(ran.err, HasSubstr("hint: sign it anew"));
}

TEST_F(Apply, TwoFilesForOneNodeAreRefusedBeforeEitherIsSent) {
  ASSERT_EQ(mkdir(Path("nodes").c_str(), 0700), 0);
  Write(Path("nodes/a.yaml"), Read(file_));
  Write(Path("nodes/b.yaml"), Read(file_));
  Ran ran = Run({"apply", "-f", Path("nodes")});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("two-for-one-node"));
  EXPECT_THAT(ran.err, HasSubstr("a.yaml"));
  EXPECT_THAT(ran.err, HasSubstr("b.yaml"));
  EXPECT_EQ(api_.CallCount("Apply"), 0);
}

TEST_F(Apply, S4_SourceForAnotherMachineIsRefusedBeforeItIsSigned) {
  std::string text = Read(file_);
  const std::string other(64, 'c');
  text.replace(text.find(fingerprint()), 64, other);
  Write(file_, text);
  Ran ran = Run(Command());
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("wrong-target"));
  EXPECT_THAT(ran.err, HasSubstr(other));
  EXPECT_EQ(api_.CallCount("Plan"), 0);
  EXPECT_NE(access((lab_ + "/signed").c_str(), F_OK), 0);
}

TEST_F(Apply, InterruptSaysThatTheNodeGoesOn) {
  api_.Hold("Apply");
  std::future<Ran> running = RunAsync(Command());
  ASSERT_TRUE(api_.WaitForWatchers(1));
  kill(last_pid_, SIGINT);
  Ran ran = running.get();
  EXPECT_EQ(ran.exit_code, 130);
  EXPECT_THAT(ran.err, HasSubstr("the node goes on with the apply"));
  EXPECT_THAT(ran.err, HasSubstr("nodectl cancel -n n1"));
  EXPECT_EQ(api_.CallCount("Cancel"), 0);
}

class ApplyAgain : public NodectlFixture {
 protected:
  void SetUp() override {
    NodectlFixture::SetUp();
    StartNode(/*configured=*/true);
    PinNode();
    file_ = WriteConfig();
    ASSERT_EQ(Run({"apply", "-f", file_}).exit_code, 0);
    api_.FindSourcesUnchanged();
  }
  void Waiting(int64_t pending, int64_t staged) {
    v1::Resource resource;
    resource.set_kind("ConfigStatus");
    resource.set_name("config");
    resource.mutable_config_status()->set_pending_generation(pending);
    resource.mutable_config_status()->set_staged_generation(staged);
    api_.PutResource(resource);
  }
  std::string file_;
};

TEST_F(ApplyAgain, WhatRunsAlreadyIsNotSent) {
  Ran ran = Run({"apply", "-f", file_});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("unchanged, nothing was sent"));
  EXPECT_EQ(api_.CallCount("Apply"), 1);
}

// "Unchanged" would be no answer to somebody who wants back what is only committed.
TEST_F(ApplyAgain, WhatIsCommittedIsSentAllTheSameWhileAnotherIsTriedOrStaged) {
  Waiting(7, 0);
  EXPECT_EQ(Run({"apply", "-f", file_}).exit_code, 0);
  EXPECT_EQ(api_.CallCount("Apply"), 2);
  Waiting(0, 7);
  EXPECT_EQ(Run({"apply", "-f", file_}).exit_code, 0);
  EXPECT_EQ(api_.CallCount("Apply"), 3);
}

TEST_F(Apply, P7_NoSecretIsShownByPlanValidateOrApply) {
  const std::string token = Run({"unseal", "-f", file_, "k3s.agentToken"}).out;
  ASSERT_GE(token.size(), 16u);
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"plan", "-f", file_},
                                             {"plan", "-f", file_, "-o", "json"},
                                             {"diff", "-f", file_},
                                             {"validate", "-f", file_},
                                             Command()}) {
    EXPECT_THAT(Run(words).both(), Not(HasSubstr(token))) << words[0];
  }
}

TEST_F(Apply, P7_AnotherProgramThatShowsTheDiffGetsNoSecret) {
  const std::string token = Run({"unseal", "-f", file_, "k3s.token"}).out;
  ASSERT_GE(token.size(), 16u);
  Write(Path("show.sh"), "#!/bin/sh\ncat \"$1\"/* >" + Path("before") + "\ncat \"$2\"/* >" +
                             Path("after") + "\nexit 1\n");
  chmod(Path("show.sh").c_str(), 0700);
  Ran ran = Run({"diff", "-f", file_},
                {{"NODECTL_EXTERNAL_DIFF", Path("show.sh")}, {"TMPDIR", directory_}});
  EXPECT_EQ(ran.exit_code, 1) << ran.err;
  EXPECT_THAT(Read(Path("after")), HasSubstr("version: v1.30.4+k3s1"));
  EXPECT_THAT(Read(Path("after")), HasSubstr("(redacted)"));
  EXPECT_THAT(Read(Path("before")) + Read(Path("after")) + ran.both(), Not(HasSubstr(token)));
}

TEST_F(Apply, ExitCodesOfPlanAndDiff) {
  EXPECT_EQ(Run({"plan", "-f", file_}).exit_code, 0);
  EXPECT_EQ(Run({"plan", "-f", file_, "--detailed-exitcode"}).exit_code, 2);
  EXPECT_EQ(Run({"diff", "-f", file_}).exit_code, 1);
  EXPECT_EQ(Run({"diff", "-f", Path("nothing.yaml")}).exit_code, 2);
  // A node without a config is not asked: there is nothing there to compare with.
  EXPECT_EQ(api_.CallCount("Plan"), 0);
}

// The fake counts its generations itself, from 1.
class Rollback : public NodectlFixture {};

TEST_F(Rollback, FindsTheCopyOfWhatTheNodeCommittedAndSendsItAsANewGeneration) {
  StartNode(/*configured=*/true);
  PinNode();
  const std::string file = WriteConfig();
  std::string text = Read(file);
  text.replace(text.find("metadata:\n"), 10, "metadata:\n  generation: 1\n");
  Write(file, text);
  Ran first = Run({"apply", "-f", file});
  ASSERT_EQ(first.exit_code, 0) << first.both();
  Ran ran = Run({"rollback", "1", "-n", "n1", "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.both();
  EXPECT_EQ(api_.CallCount("Apply"), 2);
  EXPECT_EQ(api_.active_generation(), 2);
  Ran unknown = Run({"rollback", "7", "-n", "n1", "--yes"});
  EXPECT_THAT(unknown.err, HasSubstr("no-copy"));
}

TEST_F(ApplyAgain, PlanAndDiffTakeTheWordsOfApply) {
  for (const char* verb : {"plan", "diff"}) {
    Ran ran = Run({verb, "-f", file_, "--key", lab_ + "/keys/config.key", "--timeout", "2m",
                   "--dry-run", "--yes"});
    EXPECT_EQ(ran.exit_code, 0) << verb << ran.both();
    EXPECT_EQ(Run({verb, "-f", file_, "--timeout", "soon"}).exit_code, 2);
    Ran help = Run({verb, "--help"});
    for (const char* word : {"--key", "--timeout", "--dry-run", "--yes"}) {
      EXPECT_THAT(help.out, HasSubstr(word)) << verb;
    }
  }
  EXPECT_EQ(api_.CallCount("Apply"), 1);
}

TEST_F(ApplyAgain, TimeoutEndsAPlanThatTheNodeDoesNotAnswer) {
  api_.Hold("Plan");
  Ran ran = Run({"plan", "-f", file_, "--timeout", "2s"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("timeout"));
}

TEST_F(Apply, ResetNeedsYesInAPipe) {
  Ran unasked = Run({"reset", "-n", "n1"});
  EXPECT_EQ(unasked.exit_code, 1);
  EXPECT_THAT(unasked.err, HasSubstr("needs-yes"));
  EXPECT_EQ(api_.CallCount("ApplyAction"), 0);
}

}  // namespace
}  // namespace basalt::client
