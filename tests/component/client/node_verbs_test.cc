// What is read from nodes, with and without a config.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "api/coded_status.h"
#include "nlohmann/json.hpp"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class NodeVerbs : public NodectlFixture {};

TEST_F(NodeVerbs, StatusOfANodeWithoutConfigShowsWhatHelloSays) {
  StartNode();
  PinNode();
  Ran ran = Run({"status"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("no-config"));
  EXPECT_EQ(api_.CallCount("List"), 0);
  auto json = nlohmann::json::parse(Run({"status", "-o", "json"}).out);
  EXPECT_EQ(json["nodes"][0]["name"], "n1");
  EXPECT_EQ(json["nodes"][0]["state"], "no-config");
}

TEST_F(NodeVerbs, StatusGoesOnWhenOneNodeIsGone) {
  StartNode();
  PinNode();
  ASSERT_EQ(Run({"pin", "gone", "--node", "127.0.0.1:1", "--fingerprint", std::string(64, 'a')})
                .exit_code,
            0);
  Ran ran = Run({"status"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out, HasSubstr("no-config"));
  EXPECT_THAT(ran.err, HasSubstr("gone: unreachable"));
}

TEST_F(NodeVerbs, D8_StatusSaysWhyANodeIsDegradedAndExitsWithOne) {
  v1::Resource machine;
  machine.set_kind("MachineStatus");
  machine.set_name("machine");
  machine.mutable_machine_status()->set_stage("degraded");
  v1::Condition& fell_back = *machine.mutable_machine_status()->add_conditions();
  fell_back.set_type("GenerationDamaged");
  fell_back.set_holds(true);
  fell_back.set_alarm(true);
  fell_back.set_message("generation 6 is in force");
  v1::Condition& fine = *machine.mutable_machine_status()->add_conditions();
  fine.set_type("K3sReady");
  fine.set_holds(true);
  api_.PutResource(machine);
  StartNode(/*configured=*/true);
  PinNode();
  ASSERT_EQ(Run({"apply", "-f", WriteConfig()}).exit_code, 0);
  Ran ran = Run({"status"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out, HasSubstr("GenerationDamaged"));
  EXPECT_THAT(ran.out, HasSubstr("generation 6 is in force"));
  EXPECT_THAT(ran.out, Not(HasSubstr("K3sReady")));
}

TEST_F(NodeVerbs, GetShowsAnnotatedColumnsAndJsonThatNeedsNoDefaults) {
  v1::Resource k3s;
  k3s.set_kind("K3sStatus");
  k3s.set_name("k3s");
  k3s.mutable_k3s_status()->set_role("server");
  k3s.mutable_k3s_status()->set_pid(42);
  api_.PutResource(k3s);
  StartNode(/*configured=*/true);
  PinNode();
  Ran table = Run({"get", "k3sstatus", "-n", "n1"});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("ROLE"));
  EXPECT_THAT(table.out, Not(HasSubstr("SHA256")));
  EXPECT_THAT(Run({"get", "k3sstatus", "-n", "n1", "-o", "wide"}).out, HasSubstr("SHA256"));
  auto json = nlohmann::json::parse(Run({"get", "k3sstatus", "-n", "n1", "-o", "json"}).out);
  EXPECT_EQ(json["resources"][0]["k3sStatus"]["ready"], false);
  EXPECT_EQ(json["resources"][0]["k3sStatus"]["pid"], 42);
  EXPECT_EQ(Run({"get", "k3sstatus", "k3s", "-n", "n1", "-o", "name"}).out, "k3sstatus/k3s\n");
}

TEST_F(NodeVerbs, UnknownKindNamesTheKnownOnes) {
  Ran ran = Run({"get", "pods", "-n", "n1"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("K3sStatus"));
}

TEST_F(NodeVerbs, P6_TerminalEscapesOfANodeAreShownEscaped) {
  api_.AppendLog("k3s",
                 "\x1b]0;owned\x07plain\n\xff\xe2\x80\xae"
                 "txt\n");
  StartNode(/*configured=*/true);
  PinNode();
  Ran ran = Run({"logs", "-n", "n1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("\\x1b]0;owned\\x07plain"));
  EXPECT_THAT(ran.out, HasSubstr("\\xff\\u{202e}txt"));
  EXPECT_THAT(ran.out, Not(HasSubstr("\x1b")));
}

TEST_F(NodeVerbs, S16_RefusedCertificateIsExplained) {
  StartNode(/*configured=*/true);
  PinNode();
  // Another owner's certificate: this node's authority did not issue it.
  ASSERT_EQ(Run({"init", Path("other"), "--cluster", "home", "--no-passphrase"}).exit_code, 0);
  for (const char* file : {"admin.crt", "admin.key"}) {
    Write(lab_ + "/ca/" + file, Read(Path("other/ca/") + file));
  }
  Ran ran = Run({"history", "-n", "n1"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, Not(HasSubstr("error: n1: unavailable")));
  EXPECT_THAT(ran.err, HasSubstr("hint:"));
}

TEST_F(NodeVerbs, DenialKeepsTheNodesCode) {
  StartNode(/*configured=*/true);
  PinNode();
  api_.FailNext("Confirm", api::Coded(absl::StatusCode::kFailedPrecondition, "nothing-to-confirm",
                                      "no document awaits it"));
  Ran ran = Run({"confirm", "-n", "n1"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("n1: nothing-to-confirm"));
}

TEST_F(NodeVerbs, KubeconfigGoesToAPrivateFile) {
  StartNode(/*configured=*/true);
  PinNode();
  Ran ran = Run({"kubeconfig", "-n", "n1", "--to", Path("kubeconfig")});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(Read(Path("kubeconfig")), HasSubstr("kind: Config"));
}

TEST_F(NodeVerbs, TofuAsksSomebodyOrNobody) {
  StartNode();
  Ran pipe = Run({"pin", "n1", "--node", endpoint(), "--tofu"});
  EXPECT_EQ(pipe.exit_code, 1);
  EXPECT_THAT(pipe.err, HasSubstr(fingerprint()));
  EXPECT_THAT(pipe.err, HasSubstr("needs-yes"));
  EXPECT_THAT(Read(lab_ + "/inventory.yaml"), Not(HasSubstr(fingerprint())));
  EXPECT_EQ(Run({"pin", "n1", "--node", endpoint(), "--tofu", "--yes"}).exit_code, 0);
  EXPECT_THAT(Read(lab_ + "/inventory.yaml"), HasSubstr(fingerprint()));
}

TEST_F(NodeVerbs, TrustChainIsCheckedHereAndGivenToTheNode) {
  StartNode();
  PinNode();
  Ran ran = Run({"trust", "apply", "-f", lab_ + "/trust.json", "-n", "n1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(api_.CallCount("ApplyTrust"), 1);
}

// The one-character CSI and a right-to-left override are valid UTF-8, and JSON and YAML may hold
// them; a terminal would obey.
TEST_F(NodeVerbs, P6_NothingANodeSaysReachesATerminalAsAnOrderInAnyFormat) {
  const std::string hostile =
      "red \x1b[31m csi \xc2\x9b"
      "2J rtl \xe2\x80\xae end";
  StartNode(/*configured=*/true);
  PinNode();
  ASSERT_EQ(Run({"apply", "-f", WriteConfig()}).exit_code, 0);
  v1::Resource resource;
  resource.set_kind("K3sStatus");
  resource.set_name("k3s");
  resource.mutable_k3s_status()->set_role("server");
  resource.mutable_k3s_status()->set_message(hostile);
  resource.mutable_k3s_status()->add_last_lines(hostile);
  api_.PutResource(resource);
  api_.AppendLog("k3s", hostile + "\n");
  for (const char* format : {"table", "wide", "json", "yaml"}) {
    for (const std::vector<std::string>& verb :
         std::vector<std::vector<std::string>>{{"status"}, {"get", "k3sstatus"}, {"logs"}}) {
      const bool lines = verb[0] == "logs";  // which have two forms
      if (lines && format != std::string("table") && format != std::string("json")) continue;
      std::vector<std::string> words = verb;
      words.insert(words.end(), {"-n", "n1", "-o", format});
      Ran ran = Run(words);
      EXPECT_EQ(ran.exit_code, 0) << ran.err;
      EXPECT_THAT(ran.both(), Not(HasSubstr("\x1b"))) << verb[0] << " " << format;
      EXPECT_THAT(ran.both(), Not(HasSubstr("\xc2\x9b"))) << verb[0] << " " << format;
      EXPECT_THAT(ran.both(), Not(HasSubstr("\xe2\x80\xae"))) << verb[0] << " " << format;
    }
  }
}

TEST_F(NodeVerbs, CompletionNamesTheNodesWithoutAskingThem) {
  ASSERT_EQ(
      Run({"pin", "n1", "--node", "127.0.0.1:1", "--fingerprint", std::string(64, 'a')}).exit_code,
      0);
  EXPECT_EQ(Run({"__nodes"}).out, "n1\n");
  EXPECT_THAT(Run({"--help"}).out, Not(HasSubstr("__nodes")));
  EXPECT_THAT(Run({"completion", "bash"}).out, HasSubstr("__nodes"));
}

TEST_F(NodeVerbs, CompletionNamesTheGenerationsThatAreKeptAlsoOfANodeThatIsAway) {
  ASSERT_EQ(
      Run({"pin", "n1", "--node", "127.0.0.1:1", "--fingerprint", std::string(64, 'a')}).exit_code,
      0);
  EXPECT_EQ(Run({"__generations", "-n", "n1"}).out, "");
  std::filesystem::create_directories(lab_ + "/signed/n1");
  for (const char* file : {"20261101000000.json", "20261102000000.json", "notes.txt"}) {
    Write(lab_ + "/signed/n1/" + file, "{}");
  }
  EXPECT_EQ(Run({"__generations", "-n", "n1"}).out, "20261102000000\n20261101000000\n");
  Write(Path("try.sh"), "PATH=$(dirname " NODECTL
                        "):$PATH\nsource <(nodectl completion bash)\n"
                        "COMP_WORDS=(nodectl --context " +
                            lab_ +
                            "/context.yaml rollback -n n1 2026110) COMP_CWORD=6\n"
                            "__nodectl_words; echo \"${COMPREPLY[*]}\"\n");
  ASSERT_EQ(system(("bash " + Path("try.sh") + " > " + Path("words")).c_str()), 0);
  EXPECT_EQ(Read(Path("words")), "20261102000000 20261101000000\n");
}

// Nobody is left to guess whether `-o yaml` was understood.
TEST_F(NodeVerbs, AnOutputFormThatAVerbDoesNotHaveIsAnErrorThatListsThoseItHas) {
  struct Case {
    std::vector<std::string> words;
    const char* hint;
  };
  const Case cases[] = {
      {{"init", Path("x"), "--cluster", "c", "--no-passphrase", "-o", "name"}, "table, json, yaml"},
      {{"apply", "-f", "n1.yaml", "-o", "yaml"}, "table, json"},
      {{"plan", "-f", "n1.yaml", "-o", "name"}, "table, json, yaml"},
      {{"logs", "-o", "yaml"}, "table, json"},
      {{"sign", "-f", "n1.yaml", "--output-format", "yaml"}, "table, json"},
      {{"status", "-o", "jsn"}, "table, wide, json, yaml, name"},
  };
  for (const Case& one : cases) {
    Ran ran = Run(one.words);
    EXPECT_EQ(ran.exit_code, 2) << one.words[0];
    EXPECT_THAT(ran.err, HasSubstr("bad-output")) << one.words[0];
    EXPECT_THAT(ran.err, HasSubstr(std::string("one of ") + one.hint + "\n")) << one.words[0];
  }
  EXPECT_FALSE(std::filesystem::exists(Path("x")));
  Ran none = Run({"unseal", "-f", "n1.yaml", "k3s.token", "-o", "json"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.out, HasSubstr("{\"errors\":[{\"code\":\"bad-output\""));  // as it asked
}

TEST_F(NodeVerbs, CompletionKnowsTheVerbs) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    Ran ran = Run({"completion", shell});
    EXPECT_EQ(ran.exit_code, 0);
    EXPECT_THAT(ran.out, HasSubstr("kubeconfig"));
    EXPECT_THAT(ran.out, HasSubstr("detailed-exitcode"));
  }
}

TEST_F(NodeVerbs, OutputThatCannotBeWrittenIsAnError) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  const std::string command = std::string(NODECTL) + " version >/dev/full 2>" + Path("full.err");
  EXPECT_NE(system(command.c_str()), 0);
  EXPECT_THAT(Read(Path("full.err")), HasSubstr("output-error"));
}

// `nodectl completion bash | head -2`: more than a pipe takes, and a reader that has left.
TEST_F(NodeVerbs, ReaderThatLeavesEarlyIsNoError) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  const std::string err = Path("left.err");
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(open(err.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644), STDERR_FILENO);
    execl(NODECTL, NODECTL, "completion", "bash", nullptr);
    _exit(127);
  }
  close(ends[1]);
  int status = -1;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Read(Path("left.err")), "");
}

TEST_F(NodeVerbs, VersionNeedsNoContext) {
  Ran ran = Run({"version"}, {{"NODECTL_CONTEXT", "/nonexistent"}});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.out, HasSubstr("basalt/v1"));
}

}  // namespace
}  // namespace basalt::client
