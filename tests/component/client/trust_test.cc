// nodectl trust on the owner's side: the next version, its signatures, and what is never lost.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/policy.h"
#include "machineconfig/sign/sshsig.h"
#include "nlohmann/json.hpp"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Trust : public NodectlFixture {
 protected:
  std::string Chain() const { return lab_ + "/trust.json"; }
  std::string Next() const { return lab_ + "/trust.next.json"; }
  nlohmann::json Show() { return nlohmann::json::parse(Run({"trust", "show", "-o", "json"}).out); }
  // A key of its own, private half in the directory but not among the lab's.
  std::string Key(const std::string& name) {
    const sign::PrivateKey key = sign::PrivateKey::GenerateEd25519();
    Write(Path(name + ".key"), key.Pem());
    Write(Path(name + ".pub"), key.public_key().Pem());
    return Path(name + ".pub");
  }
  Ran Good(const std::vector<std::string>& words) {
    Ran ran = Run(words);
    EXPECT_EQ(ran.exit_code, 0) << ran.both();
    return ran;
  }
  // Root of two, whose second lies elsewhere.
  void TwoRoots() {
    Key("root-b");
    Good({"trust", "add-key", "root-b", "--public-key", Path("root-b.pub"), "--root", "--threshold",
          "2", "--root-key", lab_ + "/keys/root.key", "--root-key", Path("root-b.key")});
    ASSERT_EQ(Show()["version"], 2);
  }
};

TEST_F(Trust, ShowTellsKeysGrantsAndWhereTheKeysLie) {
  Ran text = Good({"trust", "show"});
  EXPECT_THAT(text.out, HasSubstr("config may change everything in machine configs"));
  EXPECT_THAT(text.out, HasSubstr(lab_ + "/keys/root.key"));
  EXPECT_THAT(text.out, HasSubstr("signs trust policies (root: root)"));
  const auto shown = Show();
  EXPECT_EQ(shown["version"], 1);
  EXPECT_EQ(shown["versions"][0]["signedBy"], nlohmann::json({"root"}));
  EXPECT_EQ(shown["keys"][1]["name"], "config");
  EXPECT_EQ(shown["keys"][1]["fileChecked"], true);
  EXPECT_EQ(shown["grants"][0]["number"], 1);
  EXPECT_THAT(Good({"trust", "show", "-o", "yaml"}).out, HasSubstr("epoch: 1\n"));
  EXPECT_EQ(Good({"trust", "show", "-o", "name"}).out, "root\nconfig\nimage\n");
}

TEST_F(Trust, AnEditIsTheNextVersionSignedByRootAndTheTextFollows) {
  const std::string pub = Key("alice");
  Ran made = Good({"trust", "add-key", "alice", "--public-key", pub, "--for", "machineconfig",
                   "--path", "k3s.config", "--label", "site=lab"});
  EXPECT_THAT(made.out, HasSubstr("version 1 -> 2"));
  EXPECT_THAT(made.out, HasSubstr("+ key alice: ed25519 "));
  EXPECT_THAT(made.out, HasSubstr("+ grant: alice may change k3s.config in machine configs of "
                                  "nodes with site=lab"));
  auto chain = sign::ChainFromJson(Read(Chain()));
  ASSERT_TRUE(chain.ok()) << chain.status();
  auto verified = sign::VerifyChain(*chain);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->policy.version(), 2);
  EXPECT_EQ(Read(lab_ + "/trust.yaml"), chain->policies(1).payload());
  struct stat st;
  ASSERT_EQ(stat(Chain().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0644u);
}

TEST_F(Trust, ADryRunShowsTheDiffAndWritesNothing) {
  const std::string before = Read(Chain());
  Ran ran = Good({"trust", "epoch", "--dry-run"});
  EXPECT_THAT(ran.out, HasSubstr("epoch: 1 -> 2"));
  EXPECT_THAT(ran.out, HasSubstr("dry run"));
  EXPECT_EQ(Read(Chain()), before);
  const auto json = nlohmann::json::parse(Good({"trust", "rotate", "config", "--generate",
                                                "--no-passphrase", "--dry-run", "-o", "json"})
                                              .out);
  EXPECT_EQ(json["version"], 2);
  EXPECT_EQ(json["dryRun"], true);
  EXPECT_NE(access((lab_ + "/keys/config-2.key").c_str(), F_OK), 0);
}

TEST_F(Trust, ATypoInAGrantIsNamedAndNothingIsSigned) {
  const std::string before = Read(Chain());
  Ran path =
      Run({"trust", "grant", "--for", "machineconfig", "--key", "config", "--path", "k3s.confg"});
  EXPECT_EQ(path.exit_code, 1);
  EXPECT_THAT(path.err, HasSubstr("did you mean `k3s.config`?"));
  Ran key = Run({"trust", "grant", "--for", "machineconfig", "--key", "confg"});
  EXPECT_EQ(key.exit_code, 1);
  EXPECT_THAT(key.err, HasSubstr("did you mean `config`?"));
  EXPECT_EQ(Run({"trust", "grant", "--for", "machineconfigs", "--key", "config"}).exit_code, 2);
  Ran verb = Run({"trust", "grant", "--for", "action", "--key", "config", "--verb", "rest"});
  EXPECT_THAT(verb.err, HasSubstr("did you mean `reset`?"));
  EXPECT_EQ(Read(Chain()), before);
}

TEST_F(Trust, APrivateKeyGoesIntoNoPolicy) {
  Key("alice");
  Ran ran = Run({"trust", "add-key", "alice", "--public-key", Path("alice.key")});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("is a private key"));
  EXPECT_THAT(Run({"trust", "add-key", "alice", "--public-key", "ssh-ed25519 AAAA"}).err,
              HasSubstr("bad-key"));
  EXPECT_THAT(Read(lab_ + "/trust.yaml"), Not(HasSubstr("alice")));
}

TEST_F(Trust, ATextThatSomebodyEditedIsLeftAlone) {
  const std::string mine = Read(lab_ + "/trust.yaml") + "# mine\n";
  Write(lab_ + "/trust.yaml", mine);
  Ran ran = Good({"trust", "epoch"});
  EXPECT_THAT(ran.err, HasSubstr("was edited and is left as it is"));
  EXPECT_EQ(Read(lab_ + "/trust.yaml"), mine);
  EXPECT_EQ(Show()["epoch"], 2);
}

TEST_F(Trust, TheKeyFileOfMinisignIsTaken) {
  const sign::PrivateKey key = sign::PrivateKey::GenerateEd25519();
  Write(Path("mini.pub"),
        absl::StrCat("untrusted comment: minisign public key 0011223344556677\n",
                     Base64Encode(absl::StrCat("Ed", "01234567", key.public_key().raw())), "\n"));
  Good({"trust", "add-key", "mini", "--public-key", Path("mini.pub"), "--for", "machineconfig"});
  EXPECT_EQ(Show()["version"], 2);
  EXPECT_THAT(Read(lab_ + "/trust.yaml"), Not(HasSubstr("untrusted comment")));
}

TEST_F(Trust, AStricterGrantBesideAWiderOneIsSaidToBindNobody) {
  Key("alice");
  Good({"trust", "add-key", "alice", "--public-key", Path("alice.pub")});
  const std::vector<std::string> grant = {"trust",       "grant", "--for",   "machineconfig",
                                          "--key",       "alice", "--key",   "config",
                                          "--threshold", "2",     "--label", "tier=production"};
  Ran made = Good(grant);
  EXPECT_THAT(made.err, HasSubstr("grant 1 (config may change everything"));
  EXPECT_THAT(made.err, HasSubstr("nodectl trust ungrant 1"));
}

TEST_F(Trust, WordsThatDoNotGoTogetherAreAUsageError) {
  EXPECT_EQ(Run({"trust", "add-key", "zz"}).exit_code, 2);
  EXPECT_EQ(Run({"seal"}).exit_code, 2);
  EXPECT_EQ(Run({"edit"}).exit_code, 2);
}

TEST_F(Trust, S8_ARotatedKeySignsNoMoreAndTheContextFollows) {
  ASSERT_EQ(PinAway().exit_code, 0);
  const std::string source = WriteConfig();
  Good({"sign", "-f", source, "-o", Path("old.json")});
  Ran made = Good({"trust", "rotate", "config", "--generate", "--no-passphrase"});
  EXPECT_THAT(made.out, HasSubstr("nodectl trust apply -n n1"));
  EXPECT_THAT(Read(lab_ + "/context.yaml"), HasSubstr("\nkey: keys/config-2.key\n"));
  EXPECT_THAT(Run({"verify", "-f", Path("old.json")}).err, HasSubstr("revoked-key"));
  Good({"sign", "-f", source, "-o", Path("new.json")});
  EXPECT_THAT(Good({"verify", "-f", Path("new.json")}).out, HasSubstr("signed by config-2"));
  Ran old = Run({"sign", "-f", source, "--key", lab_ + "/keys/config.key"});
  EXPECT_EQ(old.exit_code, 1);
  EXPECT_THAT(old.err, HasSubstr("revoked-key"));
}

TEST_F(Trust, S8_ANewRootNeedsTheOldOneAndItself) {
  Key("root-new");
  // The old one lies in a safe.
  ASSERT_EQ(rename((lab_ + "/keys/root.key").c_str(), Path("safe.key").c_str()), 0);
  Ran made = Good({"trust", "rotate", "root", "--new-key", Path("root-new.key")});
  EXPECT_THAT(made.out, HasSubstr("awaits signatures: 1 more of root (root of version 1)"));
  EXPECT_EQ(Show()["version"], 1);
  Good({"sign", "-f", Next(), "--key", Path("safe.key"), "-o", Next()});
  Good({"trust", "adopt", "-f", Next()});
  EXPECT_EQ(Show()["version"], 2);
  EXPECT_EQ(Show()["revoked"], nlohmann::json({"root"}));
}

TEST_F(Trust, S8_TheRootIsRotatedAlongTheChainOnly) {
  Key("root-new");
  Ran made = Good({"trust", "rotate", "root", "--old-key", lab_ + "/keys/root.key", "--new-key",
                   Path("root-new.key"), "--as", "root-new"});
  EXPECT_THAT(made.out, HasSubstr("~ root: root -> root-new"));
  // The old root signs nothing any more, the new one everything.
  Ran old = Run({"trust", "epoch", "--root-key", lab_ + "/keys/root.key"});
  EXPECT_EQ(old.exit_code, 1);
  EXPECT_THAT(old.err, HasSubstr("revoked-key"));
  EXPECT_EQ(Show()["version"], 2);
  EXPECT_THAT(Run({"trust", "epoch"}).err, HasSubstr("no-root-key"));
  Good({"trust", "epoch", "--root-key", Path("root-new.key")});
  const auto shown = Show();
  EXPECT_EQ(shown["version"], 3);
  EXPECT_EQ(shown["versions"][1]["signedBy"], nlohmann::json({"root", "root-new"}));
  EXPECT_EQ(shown["versions"][2]["signedBy"], nlohmann::json({"root-new"}));
}

TEST_F(Trust, S8_AForkOrASkippedVersionIsNoNextOne) {
  Good({"trust", "epoch", "--payload-only", "--to", Path("two.yaml")});
  Good({"trust", "epoch"});
  Ran late = Run({"sign", "-f", Path("two.yaml"), "-o", Path("two.json"), "--yes"});
  EXPECT_EQ(late.exit_code, 1);
  EXPECT_THAT(late.err, HasSubstr("broken-chain"));
  EXPECT_THAT(late.err, HasSubstr("write `version: 3`"));
  // Another owner's chain.
  ASSERT_EQ(Run({"init", Path("other"), "--cluster", "home", "--no-passphrase"}).exit_code, 0);
  Ran foreign = Run({"trust", "adopt", "-f", Path("other/trust.json")});
  EXPECT_EQ(foreign.exit_code, 1);
  EXPECT_THAT(foreign.err, HasSubstr("foreign-chain"));
  EXPECT_EQ(Show()["version"], 2);
}

TEST_F(Trust, S7_TwoRootHoldersSignInTurnAndTheOldChainStaysUntilBothHave) {
  TwoRoots();
  const std::string before = Read(Chain());
  Ran first = Good({"trust", "epoch"});
  EXPECT_THAT(first.out, HasSubstr("awaits signatures: 1 more of root-b (root)"));
  EXPECT_EQ(Read(Chain()), before);
  EXPECT_THAT(Good({"trust", "show"}).out, HasSubstr("missing: 1 more of root-b (root)"));
  Ran early = Run({"trust", "adopt", "-f", Next()});
  EXPECT_EQ(early.exit_code, 1);
  EXPECT_THAT(early.err, HasSubstr("too-few-signers"));
  Ran same = Run({"sign", "-f", Next(), "--key", lab_ + "/keys/root.key", "-o", Next()});
  EXPECT_EQ(same.exit_code, 1);
  EXPECT_THAT(same.err, HasSubstr("duplicate-signer"));
  // A key with a grant is no root.
  Ran granted = Good({"sign", "-f", Next(), "--key", lab_ + "/keys/config.key", "-o", Path("x")});
  EXPECT_THAT(granted.err, HasSubstr("awaits signatures: 1 more of root-b (root)"));
  // What waits is not overwritten by another edit.
  EXPECT_THAT(Run({"trust", "epoch"}).err, HasSubstr("pending-policy"));

  Ran second = Good({"sign", "-f", Next(), "--key", Path("root-b.key"), "-o", Next()});
  EXPECT_THAT(second.err, HasSubstr("~ epoch: 1 -> 2"));
  EXPECT_THAT(second.err, HasSubstr("nodectl trust adopt"));
  EXPECT_EQ(Read(Chain()), before);
  Good({"trust", "adopt", "-f", Next()});
  EXPECT_EQ(Show()["epoch"], 2);
  EXPECT_NE(access(Next().c_str(), F_OK), 0);
  EXPECT_THAT(Good({"trust", "adopt", "-f", Chain()}).out, HasSubstr("(unchanged)"));
}

TEST_F(Trust, APolicyIsSignedByOtherToolsToo) {
  const sign::PrivateKey ssh = sign::PrivateKey::GenerateEd25519();
  const std::string line = absl::StrCat(
      "ssh-ed25519 ",
      Base64Encode(sign::SshKeyBlob(ssh.public_key().algorithm(), ssh.public_key().raw())));
  Good({"trust", "rotate", "root", "--new-public-key", line, "--payload-only", "--to",
        Path("next.yaml")});
  Write(Path("next.sig"), sign::ArmorSshSignature(sign::MakeSshSignature(
                              ssh, v1::DOCUMENT_TYPE_TRUST_POLICY, Read(Path("next.yaml")))));
  Ran attached = Good({"sign", "-f", Path("next.yaml"), "--attach", Path("next.sig"), "--key",
                       lab_ + "/keys/root.key", "-o", Path("next.json")});
  EXPECT_THAT(attached.err, HasSubstr("has its signatures"));
  Good({"trust", "adopt", "-f", Path("next.json")});
  EXPECT_EQ(Show()["root"]["keys"], nlohmann::json({"root-2"}));
}

TEST_F(Trust, APolicyThatAPersonEditedIsSignedAsItStands) {
  std::string text = Read(lab_ + "/trust.yaml");
  text.replace(text.find("version: 1"), 10, "version: 2");
  const std::string before = "allowPlaintextSecrets: false";
  ASSERT_THAT(text, HasSubstr(before));
  text.replace(text.find(before), before.size(), "allowPlaintextSecrets: true  # from now on");
  Write(lab_ + "/trust.yaml", text);
  // Nobody signs a policy by mistake: among sources it looks like one more.
  Ran asked = Run({"sign", "-f", lab_ + "/trust.yaml", "-o", Path("next.json")});
  EXPECT_EQ(asked.exit_code, 1);
  EXPECT_THAT(asked.err, HasSubstr("needs-yes"));
  EXPECT_EQ(Read(Path("next.json")), "");
  Ran made = Good({"sign", "-f", lab_ + "/trust.yaml", "-o", Path("next.json"), "--yes"});
  EXPECT_THAT(made.err, HasSubstr("~ allowPlaintextSecrets: false -> true"));
  Good({"trust", "adopt", "-f", Path("next.json")});
  EXPECT_EQ(Show()["allowPlaintextSecrets"], true);
  EXPECT_EQ(Read(lab_ + "/trust.yaml"), text);
  // And the next edit goes on from there.
  EXPECT_THAT(Good({"trust", "epoch"}).err, Not(HasSubstr("was edited")));
}

TEST_F(Trust, NamesOfKeysAndPathsAreCompleted) {
  EXPECT_EQ(Run({"__keys"}).out, "root\nconfig\nimage\n");
  EXPECT_THAT(Run({"--help"}).out, Not(HasSubstr("__keys")));
  Write(Path("complete.sh"), "PATH=$(dirname " + std::string(NODECTL) +
                                 "):$PATH\nexport NODECTL_CONTEXT=" + lab_ +
                                 "/context.yaml\nsource <(nodectl completion bash)\n"
                                 "try() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1));"
                                 " __nodectl_words; echo \"${COMPREPLY[*]}\"; }\n"
                                 "try nodectl trust rotate con\n"
                                 "try nodectl trust grant --key im\n"
                                 "try nodectl trust grant --path k3s.conf\n"
                                 "try nodectl trust grant --for act\n");
  ASSERT_EQ(std::system(("bash " + Path("complete.sh") + " > " + Path("words")).c_str()), 0);
  const std::string words = Read(Path("words"));
  EXPECT_THAT(words, ::testing::StartsWith("config\nimage\nk3s.config "));
  EXPECT_THAT(words, HasSubstr("\naction\n"));
}

TEST_F(Trust, AnOwnersProgramSignsAsRoot) {
  if (std::system("openssl version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no openssl program";
  auto root = sign::PrivateKey::FromPem(Read(lab_ + "/keys/root.key"));
  ASSERT_TRUE(root.ok());
  Write(Path("root.pub"), root->public_key().Pem());
  const std::string command =
      absl::StrCat("cat > ", Path("pae"), " && openssl pkeyutl -sign -rawin -inkey ", lab_,
                   "/keys/root.key -in ", Path("pae"));
  Good({"trust", "epoch", "--sign-command", command, "--sign-public-key", Path("root.pub")});
  EXPECT_EQ(Show()["epoch"], 2);
}

TEST_F(Trust, AnAgentsKeyTakesTheRootsPlace) {
  if (std::system("command -v ssh-agent >/dev/null 2>&1") != 0) GTEST_SKIP() << "no ssh-agent";
  ASSERT_EQ(std::system(absl::StrCat("cd ", directory_, " && ssh-agent -a agent >agent.env && ",
                                     ". ./agent.env >/dev/null && echo $SSH_AGENT_PID >agent.pid"
                                     " && ssh-keygen -q -t ed25519 -N '' -f id",
                                     " && ssh-add -q id 2>/dev/null && rm id")
                            .c_str()),
            0);
  const std::map<std::string, std::string> agent = {{"SSH_AUTH_SOCK", Path("agent")}};
  Ran half = Run({"trust", "rotate", "root", "--new-key", "ssh-agent:"}, agent);
  EXPECT_THAT(half.err, HasSubstr("needs --new-public-key"));
  Ran made = Run({"trust", "rotate", "root", "--new-key", "ssh-agent:", "--new-public-key",
                  Path("id.pub"), "--old-key", lab_ + "/keys/root.key"},
                 agent);
  EXPECT_EQ(made.exit_code, 0) << made.both();
  Ran next = Run({"trust", "epoch", "--root-key", "ssh-agent:"}, agent);
  EXPECT_EQ(next.exit_code, 0) << next.both();
  kill(atoi(Read(Path("agent.pid")).c_str()), SIGTERM);
  EXPECT_EQ(Show()["version"], 3);
  EXPECT_EQ(Show()["epoch"], 2);
}

TEST_F(Trust, EditsAtTheSameTimeNeverForkTheChain) {
  std::vector<std::future<Ran>> running;
  for (int i = 0; i < 6; ++i) {
    const std::string name = absl::StrCat("k", i);
    running.push_back(RunAsync({"trust", "add-key", name, "--public-key", Key(name)}));
  }
  int made = 0;
  for (std::future<Ran>& one : running) {
    const Ran ran = one.get();
    if (ran.exit_code == 0) {
      ++made;
    } else {
      EXPECT_THAT(ran.err, HasSubstr("changed-meanwhile"));
    }
  }
  EXPECT_GE(made, 1);
  // Whoever was told that it is in force is in the chain.
  EXPECT_EQ(Show()["version"], 1 + made);
}

TEST_F(Trust, InitLeavesASheetThatTellsEveryKeyAndNoSecret) {
  const std::string sheet = Read(lab_ + "/recovery.txt");
  const nlohmann::json shown = Show();
  for (const auto& key : shown["keys"]) {
    EXPECT_THAT(sheet, HasSubstr(key["id"].get<std::string>()));
    EXPECT_THAT(sheet, HasSubstr(key["words"].get<std::string>()));
  }
  for (const char* word : {"lost", "stolen", "TO RESTORE", "CLIENT AUTHORITY", "SEALED SECRETS",
                           "TOKENS OF THE CLUSTER"}) {
    EXPECT_THAT(sheet, HasSubstr(word));
  }
  EXPECT_THAT(sheet, Not(HasSubstr("PRIVATE KEY")));
  EXPECT_THAT(sheet, Not(HasSubstr("AGE-SECRET-KEY")));
  // What protects each is said as it is.
  EXPECT_THAT(sheet, HasSubstr("/keys/root.key, without a passphrase"));
  EXPECT_THAT(sheet, HasSubstr("/secrets.yaml, sealed: opens with the key of"));
  EXPECT_THAT(sheet, Not(HasSubstr("The passphrase on a paper")));
  EXPECT_THAT(Run({"init", Path("lab2"), "--cluster", "home", "--no-passphrase"}).out,
              HasSubstr("recovery.txt"));
}

TEST_F(Trust, ASheetWithSecretsIsAskedForAndPrivate) {
  ASSERT_EQ(Run({"init", Path("lab2"), "--cluster", "home", "--with-secrets"},
                {{"NODECTL_PASSPHRASE", "correct horse"}})
                .exit_code,
            0);
  const std::string file = Path("lab2/recovery-secrets.txt");
  struct stat st;
  ASSERT_EQ(stat(file.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  EXPECT_THAT(Read(file), HasSubstr("BEGIN ENCRYPTED PRIVATE KEY"));
  EXPECT_THAT(Read(file), HasSubstr("AGE-SECRET-KEY"));
  EXPECT_THAT(Read(Path("lab2/.gitignore")), HasSubstr("/recovery-secrets.txt"));
  EXPECT_THAT(Read(Path("lab2/recovery.txt")), Not(HasSubstr("PRIVATE KEY")));
  EXPECT_THAT(Read(Path("lab2/recovery.txt")), HasSubstr("The passphrase on a paper"));
  Good({"trust", "sheet", "--with-secrets", "--to", Path("sheet")});
  ASSERT_EQ(stat(Path("sheet").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
}

}  // namespace
}  // namespace basalt::client
