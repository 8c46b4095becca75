// Secrets sealed, opened and signed by the real nodectl.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/document.h"
#include "nlohmann/json.hpp"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Seal : public NodectlFixture {
 protected:
  void SetUp() override {
    NodectlFixture::SetUp();
    StartNode();
    PinNode();
    file_ = WriteConfig("n1.yaml", /*plain=*/true);
    token_ = ValueIn(Read(file_), "  token: ");
    password_ = ValueIn(Read(file_), "  nodePassword: ");
    ASSERT_GT(token_.size(), 20u);
  }
  static std::string ValueIn(const std::string& text, const std::string& key) {
    const size_t at = text.find(key) + key.size();
    return absl::StrReplaceAll(text.substr(at, text.find('\n', at) - at), {{"\"", ""}});
  }
  // As if it were piped in.
  Ran RunWith(const std::string& input, const std::vector<std::string>& words) {
    Write(Path("input"), input);
    input_ = Path("input");
    Ran ran = Run(words);
    input_ = "/dev/null";
    return ran;
  }
  std::string PayloadOf(const std::string& file) {
    return sign::FromDsseJson(Read(file))->payload();
  }

  std::string file_, token_, password_;
};

TEST_F(Seal, AllSecretsOfAFileAreSealedInPlace) {
  const std::string before = Read(file_);
  Ran ran = Run({"seal", "-f", file_, "--all"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("sealed k3s.token to 1 recipient"));
  const std::string after = Read(file_);
  EXPECT_THAT(after, HasSubstr("  token: !sealed |\n    -----BEGIN AGE ENCRYPTED FILE-----\n"));
  EXPECT_EQ(after.substr(0, after.find("  token:")), before.substr(0, before.find("  token:")));
  EXPECT_THAT(after, HasSubstr("# With it a reflashed node"));
  EXPECT_EQ(Run({"validate", "-f", file_}).exit_code, 0);
  EXPECT_EQ(Run({"unseal", "-f", file_, "k3s.token"}).out, token_);
  Ran again = Run({"seal", "-f", file_, "--all"});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.err, HasSubstr("no secret stands in the clear"));
  EXPECT_EQ(Read(file_), after);
}

TEST_F(Seal, SigningOpensThemAndSealsThemForTheNodeAndTheOwner) {
  ASSERT_EQ(Run({"seal", "-f", file_, "--all"}).exit_code, 0);
  Ran made = Run({"sign", "-f", file_, "-o", Path("n1.json")});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const std::string payload = PayloadOf(Path("n1.json"));
  EXPECT_THAT(payload, Not(HasSubstr(token_)));
  EXPECT_THAT(payload, Not(HasSubstr(password_)));
  Write(Path("signed.yaml"), payload);
  EXPECT_EQ(Run({"unseal", "-f", Path("signed.yaml"), "k3s.token"}).out, token_);
  Write(Path("node.key"), absl::StrCat(sealing_.Text().view(), "\n"));
  EXPECT_EQ(
      Run({"unseal", "-f", Path("signed.yaml"), "k3s.nodePassword", "-i", Path("node.key")}).out,
      password_);
  // The source itself is not for the node.
  EXPECT_EQ(Run({"unseal", "-f", file_, "k3s.token", "-i", Path("node.key")}).exit_code, 1);
  // Nor does the copy that is kept hold more than what is sent.
  for (const auto& entry : std::filesystem::directory_iterator(lab_ + "/signed/n1")) {
    EXPECT_THAT(PayloadOf(entry.path()), Not(HasSubstr(token_)));
  }
}

TEST_F(Seal, SealedSourceIsPlannedAndAppliedAsIfItWereInTheClear) {
  ASSERT_EQ(Run({"seal", "-f", file_, "--all"}).exit_code, 0);
  Ran plan = Run({"plan", "-f", file_});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  Ran ran = Run({"apply", "-f", file_, "--timeout", "60s"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("committed"));
}

TEST_F(Seal, ValueIsReadFromStandardInputWithoutTheLineFeedOfEcho) {
  const std::string token = "from-the-vault-93b1c07d5e";
  ASSERT_EQ(RunWith(token + "\n", {"seal", "-f", file_, "k3s.token"}).exit_code, 0);
  EXPECT_EQ(Run({"unseal", "-f", file_, "k3s.token"}).out, token);
  ASSERT_EQ(
      Run({"patch", "-f", file_, "--set", "k3s.manifests=[{name: a, content: x}]", "--in-place"})
          .exit_code,
      0);
  const std::string manifest = "k3s.manifests[a].content";
  ASSERT_EQ(RunWith("two:\nlines:\n", {"seal", "-f", file_, manifest}).exit_code, 0);
  EXPECT_EQ(Run({"unseal", "-f", file_, manifest}).out, "two:\nlines:\n");
  const std::string before = Read(file_);
  for (const char* bad : {"", "\n", "bell\a", "\xff\xfe"}) {
    Ran ran = RunWith(bad, {"seal", "-f", file_, "k3s.token"});
    EXPECT_EQ(ran.exit_code, 1) << bad;
    EXPECT_EQ(Read(file_), before);
  }
}

TEST_F(Seal, TextIsReadyToPaste) {
  Ran made = RunWith("pasted-secret-93b1c07d5e", {"seal", "--name", "n1", "k3s.token"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  std::string text = Read(file_);
  const size_t at = text.find("  token: "), end = text.find('\n', at);
  std::string block = "  token: !sealed |\n";
  for (absl::string_view line : absl::StrSplit(made.out, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&block, "    ", line, "\n");
  }
  text.replace(at, end + 1 - at, block);
  Write(file_, text);
  EXPECT_EQ(Run({"unseal", "-f", file_, "k3s.token"}).out, "pasted-secret-93b1c07d5e");
}

TEST_F(Seal, MovedCiphertextIsAnErrorAtItsLineForEveryVerbThatOpensIt) {
  ASSERT_EQ(Run({"seal", "-f", file_, "--all"}).exit_code, 0);
  // The token of the servers where the agents' belongs, and the other way round.
  Write(file_, absl::StrReplaceAll(Read(file_),
                                   {{"  token:", "  agentToken:"}, {"  agentToken:", "  token:"}}));
  for (const std::vector<std::string>& words : {std::vector<std::string>{"sign", "-f", file_},
                                                {"apply", "-f", file_},
                                                {"plan", "-f", file_}}) {
    Ran ran = Run(words);
    EXPECT_EQ(ran.exit_code, 1) << words[0];
    EXPECT_THAT(ran.err, HasSubstr("k3s.token: it was sealed for field k3s.agentToken, and stands "
                                   "at field k3s.token"));
    EXPECT_THAT(ran.err, HasSubstr("k3s.agentToken: it was sealed for field k3s.token"));
    EXPECT_THAT(ran.err, HasSubstr(absl::StrCat(file_, ":")));
  }
  Write(file_, absl::StrReplaceAll(Read(file_), {{"name: n1", "name: n2"}}));
  Ran other = Run({"unseal", "-f", file_, "k3s.nodePassword"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("wrong-seal-context"));
  EXPECT_THAT(other.err, HasSubstr("node n1, and stands at node n2"));
}

TEST_F(Seal, SeveralPeopleOpenIt) {
  ASSERT_EQ(Run({"init", Path("other"), "--cluster", "home", "--no-passphrase"}).exit_code, 0);
  const std::string second = Path("other/keys/secrets.key");
  Ran theirs = Run({"recipient", "--identity", second});
  ASSERT_EQ(theirs.exit_code, 0) << theirs.err;
  EXPECT_EQ(Run({"unseal", "-f", file_, "k3s.token"}).exit_code, 1);  // not sealed
  ASSERT_EQ(Run({"seal", "-f", file_, "--all"}).exit_code, 0);
  Ran refused = Run({"unseal", "-f", file_, "k3s.token", "--identity", second});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("no-matching-identity"));

  Write(Path("people"), absl::StrCat("# both\n", Run({"recipient"}).out, theirs.out));
  Ran both =
      RunWith("shared-value-93b1c07d5e", {"seal", "-f", file_, "k3s.token", "-R", Path("people")});
  ASSERT_EQ(both.exit_code, 0) << both.err;
  EXPECT_THAT(both.err, HasSubstr("to 2 recipients"));
  EXPECT_EQ(Run({"unseal", "-f", file_, "k3s.token", "--identity", second}).out,
            "shared-value-93b1c07d5e");
  EXPECT_EQ(Run({"unseal", "-f", file_, "k3s.token"}).out, "shared-value-93b1c07d5e");
}

TEST_F(Seal, WithoutRecipientsOrIdentityTheRemedyIsNamed) {
  const std::string context = lab_ + "/context.yaml";
  const std::string text = Read(context);
  Write(context, text.substr(0, text.find("recipients:")));
  Ran none = Run({"seal", "-f", file_, "--all"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.err, HasSubstr("no-recipients"));
  EXPECT_THAT(none.err, HasSubstr("age-keygen"));
  Write(context, text);
  ASSERT_EQ(Run({"seal", "-f", file_, "--all"}).exit_code, 0);
  ASSERT_EQ(rename((lab_ + "/keys/secrets.key").c_str(), Path("away").c_str()), 0);
  Ran closed = Run({"sign", "-f", file_});
  EXPECT_EQ(closed.exit_code, 1);
  EXPECT_THAT(closed.err, HasSubstr("--identity FILE"));
  EXPECT_EQ(Run({"sign", "-f", file_, "-i", Path("away"), "-o", Path("n1.json")}).exit_code, 0);
}

TEST_F(Seal, ValueThatStandsElsewhereInTheFileIsPointedAt) {
  Write(file_, absl::StrCat("# the token was ", token_, "\n", Read(file_)));
  Ran ran = Run({"seal", "-f", file_, "--all"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr(absl::StrCat(
                           file_, ":1: the value of k3s.token still stands here in the clear")));
}

TEST_F(Seal, P7_SecretsAppearInNoOutput) {
  std::string all;
  auto run = [&](const std::vector<std::string>& words) { all += Run(words).both(); };
  all += RunWith("canary-from-stdin", {"seal", "-f", file_, "k3s.datastore.key"}).both();
  all += RunWith("canary-from-stdin\a", {"seal", "-f", file_, "k3s.token"}).both();
  run({"seal", "-f", file_, "--all"});
  run({"sign", "-f", file_});
  run({"sign", "-f", file_, "-o", Path("n1.json")});
  run({"plan", "-f", file_});
  run({"plan", "-f", file_, "-o", "json"});
  run({"apply", "-f", file_, "--timeout", "60s"});
  run({"validate", "-f", file_});
  run({"unseal", "-f", Path("n1.json"), "k3s.token"});
  Write(file_, absl::StrReplaceAll(Read(file_),
                                   {{"  token:", "  agentToken:"}, {"  agentToken:", "  token:"}}));
  run({"sign", "-f", file_});
  run({"unseal", "-f", file_, "k3s.token"});
  const std::string identity = Read(lab_ + "/keys/secrets.key");
  Write(Path("damaged"), absl::StrCat(identity.substr(identity.find("AGE-SECRET"), 70), "X\n"));
  run({"unseal", "-f", file_, "k3s.token", "-i", Path("damaged")});
  run({"seal", "-f", file_, "k3s.token", "-r", identity.substr(identity.find("AGE-SECRET"), 74)});
  EXPECT_GT(all.size(), 1000u);
  EXPECT_THAT(all, Not(HasSubstr("canary-from-stdin")));
  EXPECT_THAT(all, Not(HasSubstr(token_)));
  EXPECT_THAT(all, Not(HasSubstr(password_)));
  EXPECT_THAT(all, Not(HasSubstr(identity.substr(identity.find("AGE-SECRET") + 16, 20))));
  EXPECT_THAT(Read(file_), Not(HasSubstr(token_)));
}

// Once it is sealed nobody sees what is wrong with it, until a node opens it.
TEST_F(Seal, AValueThatItsFieldWouldRefuseIsNotSealed) {
  const std::string before = Read(file_);
  struct Case {
    const char* value;
    const char* path;
    const char* code;
    const char* said;
  };
  const Case cases[] = {
      {"short\n", "k3s.token", "bad-token", "k3s.token"},
      {"with spaces in the middle of it", "k3s.token", "bad-token", "printable"},
      {"changeme", "k3s.agentToken", "bad-token", "default"},
      {"no-key", "k3s.datastore.key", "bad-format", "k3s.datastore.key"},
      {"not a url", "k3s.datastore.endpoint", "", "k3s.datastore.endpoint"},
      {"x", "network.interfaces[wg0].wireguard.privateKey", "bad-format", "wireguard"},
  };
  for (const Case& one : cases) {
    Ran ran = RunWith(one.value, {"seal", "-f", file_, one.path});
    EXPECT_EQ(ran.exit_code, 1) << one.path << " " << one.value;
    EXPECT_THAT(ran.err, HasSubstr(file_)) << one.path;
    EXPECT_THAT(ran.err, HasSubstr(one.said)) << one.path;
    EXPECT_EQ(Read(file_), before);
    Ran alone = RunWith(one.value, {"seal", "--name", "n1", one.path});
    EXPECT_EQ(alone.exit_code, 1) << one.path << alone.out;
    EXPECT_EQ(alone.out, "");
  }
  // One that is good for its field, though the file has something else that is wrong.
  Ran good = RunWith("93b1c07d5e93b1c07d5e93b1c07d5e", {"seal", "-f", file_, "k3s.token"});
  EXPECT_EQ(good.exit_code, 0) << good.err;
}

TEST_F(Seal, WhatCannotBeEditedInPlaceIsShownReadyToPaste) {
  Ran ran =
      RunWith("a-password", {"seal", "-f", file_, "k3s.registries.configs[ghcr.io].password"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("cannot-edit"));
  EXPECT_THAT(ran.err, HasSubstr("  k3s:\n"));
  EXPECT_THAT(ran.err, HasSubstr("      configs:\n        - name: ghcr.io\n"
                                 "          password: !sealed |\n            -----BEGIN AGE"));
  EXPECT_THAT(ran.err, Not(HasSubstr("a-password")));
}

TEST_F(Seal, RecipientsAreAListForPrograms) {
  const std::string text = Run({"recipient"}).out;
  const auto json = nlohmann::json::parse(Run({"recipient", "-o", "json"}).out);
  ASSERT_EQ(json["recipients"].size(), 1u);
  EXPECT_EQ(json["recipients"][0].get<std::string>() + "\n", text);
}

TEST_F(Seal, UsageIsExplained) {
  EXPECT_THAT(Run({"seal", "-f", file_}).err, HasSubstr("which field?"));
  EXPECT_THAT(Run({"seal", "-f", file_, "k3s.token", "--all"}).err, HasSubstr("leave one"));
  EXPECT_THAT(Run({"seal", "k3s.token"}).err, HasSubstr("--name"));
  EXPECT_THAT(Run({"seal", "-f", file_, "k3s.tokn"}).err, HasSubstr("did you mean `k3s.token`?"));
  Write(Path("other.yaml"), "metadata: {cluster: lab, name: n1}\nk3s:\n  token: abcdefgh\n");
  EXPECT_THAT(Run({"seal", "-f", Path("other.yaml"), "--all"}).err, HasSubstr("wrong-cluster"));
}

}  // namespace
}  // namespace basalt::client
