// Who may change what, from the verbs that grant it to the node that holds it.
#include <gmock/gmock.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "machineconfig/sign/keys.h"
#include "nlohmann/json.hpp"
#include "tests/component/client/owned_node.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Grants : public OwnedNode {
 protected:
  // Keys whose private halves lie beside the others.
  void AddKeys(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      Good({"trust", "add-key", name, "--generate", "--no-passphrase"});
    }
  }
  std::string KeyOf(const std::string& name) const { return lab_ + "/keys/" + name + ".key"; }
  Ran Apply(const std::string& file, const std::vector<std::string>& keys) {
    std::vector<std::string> words = {"apply", "-f", file, "--yes"};
    for (const std::string& key : keys) words.insert(words.end(), {"--key", KeyOf(key)});
    return Run(words);
  }
};

TEST_F(Grants, S7_TwoPeopleForProductionAndOneForTest) {
  AddKeys({"alice", "bob"});
  Good({"trust", "grant", "--for", "machineconfig", "--key", "alice", "--key", "bob", "--threshold",
        "2", "--label", "tier=production"});
  Good({"trust", "grant", "--for", "machineconfig", "--key", "alice", "--label", "tier=test"});
  Good({"trust", "ungrant", "1"});  // config, for everything
  StartOwned();

  // A node without a config has no labels yet: the first config says which node it is.
  const std::string test = WriteYaml("test.yaml", {.labels = "{tier: test}"});
  Refused(Apply(test, {"bob"}), "too-few-signers");
  Ran first = Apply(test, {"alice"});
  ASSERT_EQ(first.exit_code, 0) << first.both();
  const std::string more = WriteYaml("more.yaml", {.labels = "{tier: test, site: lab}"});
  EXPECT_EQ(Apply(more, {"alice"}).exit_code, 0);

  // Labels must hold before and after: neither of them pulls the node into the other's reach.
  const std::string production = WriteYaml("prod.yaml", {.labels = "{tier: production}"});
  Refused(Apply(production, {"alice"}), "label-scope");
  Refused(Apply(production, {"alice", "bob"}), "label-scope");

  // For that there is a grant without labels, for the labels alone, and two people again.
  Good({"trust", "grant", "--for", "machineconfig", "--key", "alice", "--key", "bob", "--threshold",
        "2", "--path", "metadata.labels"});
  Good({"trust", "apply", "-n", "n1"});
  Refused(Apply(production, {"alice"}), "label-scope");
  EXPECT_EQ(Apply(production, {"alice", "bob"}).exit_code, 0);

  // Now it is production: one is too few, also for a change of bookkeeping, and two sign in turn.
  const std::string change = WriteYaml(
      "change.yaml", {.labels = "{tier: production}", .api = "  anonymousDelivery: true\n"});
  Refused(Apply(change, {"alice"}), "label-scope");
  Good({"sign", "-f", change, "--key", KeyOf("alice"), "-o", Path("n1.json")});
  Ran second = Good({"sign", "-f", Path("n1.json"), "--key", KeyOf("bob"), "-o", Path("n1.json")});
  EXPECT_THAT(second.err, HasSubstr("compared with what n1 runs now"));
  EXPECT_THAT(second.err, HasSubstr("~ api.anonymousDelivery: false -> true"));
  EXPECT_EQ(Run({"apply", "-f", Path("n1.json")}).exit_code, 0);
}

TEST_F(Grants, APathScopeReachesThatPathAndWhatIsBelowIt) {
  AddKeys({"ci"});
  Good({"trust", "grant", "--for", "machineconfig", "--key", "ci", "--path", "metadata.labels"});
  StartOwned();
  // A stranger, as everybody is before the first config, is told no more.
  Refused(Apply(WriteYaml("first.yaml", {}), {"ci"}), "signature-refused");
  ASSERT_EQ(Apply(WriteYaml("first.yaml", {}), {"config"}).exit_code, 0);
  EXPECT_EQ(Apply(WriteYaml("labels.yaml", {.labels = "{site: lab}"}), {"ci"}).exit_code, 0);
  Ran api =
      Apply(WriteYaml("api.yaml", {.labels = "{site: lab}", .api = "  anonymousDelivery: true\n"}),
            {"ci"});
  Refused(api, "too-few-signers");  // the nearest that would do: config
  EXPECT_THAT(api.err, HasSubstr("api.anonymousDelivery"));
  // Consent to what destroys is a path like others, and not free.
  Refused(Apply(WriteYaml("allow.yaml",
                          {.labels = "{site: lab}", .metadata = "  allow: [roleChange]\n"}),
                {"ci"}),
          "too-few-signers");
  // Where nobody else may, it is the path.
  Good({"trust", "ungrant", "1"});
  Good({"trust", "apply", "-n", "n1"});
  Refused(Apply(Path("api.yaml"), {"ci"}), "path-not-granted");
  // When and why are free.
  EXPECT_EQ(
      Apply(WriteYaml("why.yaml", {.labels = "{site: attic}", .metadata = "  reason: OPS-7\n"}),
            {"ci"})
          .exit_code,
      0);
}

TEST_F(Grants, S7_GrantsOfSeveralAreNeverPooled) {
  AddKeys({"alice", "bob", "carol", "dave"});
  Good({"trust", "grant", "--for", "machineconfig", "--key", "alice", "--key", "bob", "--threshold",
        "2"});
  Good({"trust", "grant", "--for", "machineconfig", "--key", "carol", "--key", "dave",
        "--threshold", "2"});
  Good({"trust", "grant", "--for", "machineconfig", "--key", "alice", "--path", "metadata.labels"});
  StartOwned();
  ASSERT_EQ(Apply(WriteYaml("first.yaml", {}), {"config"}).exit_code, 0);
  const std::string file =
      WriteYaml("n1.yaml", {.labels = "{site: lab}", .api = "  anonymousDelivery: true\n"});
  // alice alone covers the labels; with carol she is half of two grants.
  Ran mixed = Apply(file, {"alice", "carol"});
  Refused(mixed, "too-few-signers");
  EXPECT_THAT(mixed.err, HasSubstr("Signers of several grants are not added up"));
  EXPECT_EQ(Apply(file, {"alice", "bob"}).exit_code, 0);
}

TEST_F(Grants, S7_TwoPeopleResetANode) {
  AddKeys({"alice", "bob"});
  Good({"trust", "grant", "--for", "action", "--key", "alice", "--key", "bob", "--threshold", "2",
        "--verb", "reset"});
  Good({"trust", "ungrant", "2"});  // config, for every action
  StartOwned();
  ASSERT_EQ(Apply(WriteYaml("n1.yaml", {}), {"config"}).exit_code, 0);
  Refused(Run({"reset", "-n", "n1", "--yes"}), "too-few-signers");
  Ran first = Good({"reset", "-n", "n1", "--key", KeyOf("alice"), "--to", Path("r.json"), "--yes"});
  EXPECT_THAT(first.err, HasSubstr("will not accept it yet"));
  Refused(Run({"reset", "-n", "n1", "-f", Path("r.json"), "--yes"}), "too-few-signers");
  Good({"sign", "-f", Path("r.json"), "--key", KeyOf("bob"), "-o", Path("r.json"), "--yes"});
  Good({"reset", "-n", "n1", "-f", Path("r.json"), "--yes"});
}

TEST_F(Grants, S7_TwoPeopleRollANodeBackEachWithAKeyOfTheirKind) {
  if (std::system("openssl version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no openssl program";
  AddKeys({"alice", "bob"});
  Good({"trust", "grant", "--for", "machineconfig", "--key", "alice", "--key", "bob", "--threshold",
        "2"});
  Good({"trust", "ungrant", "1"});
  StartOwned();
  ASSERT_EQ(Apply(WriteYaml("one.yaml", {}), {"alice", "bob"}).exit_code, 0);
  const auto history = nlohmann::json::parse(Good({"history", "-n", "n1", "-o", "json"}).out);
  const std::string first = history["generations"][0]["generation"];
  ASSERT_EQ(Apply(WriteYaml("two.yaml", {.labels = "{site: lab}"}), {"alice", "bob"}).exit_code, 0);

  // Bob's key is behind a program of his.
  auto bob = sign::PrivateKey::FromPem(Read(KeyOf("bob")));
  ASSERT_TRUE(bob.ok());
  Write(Path("bob.pub"), bob->public_key().Pem());
  const std::string program =
      absl::StrCat("cat > ", Path("pae"), " && openssl pkeyutl -sign -rawin -inkey ", KeyOf("bob"),
                   " -in ", Path("pae"));
  Refused(Run({"rollback", first, "-n", "n1", "--yes", "--key", KeyOf("alice")}),
          "too-few-signers");
  Ran made = Good({"rollback", first, "-n", "n1", "--key", KeyOf("alice"), "--to", Path("r.json")});
  EXPECT_THAT(made.err, HasSubstr("- metadata.labels[site]: lab"));
  Good({"sign", "-f", Path("r.json"), "--sign-command", program, "--sign-public-key",
        Path("bob.pub"), "-o", Path("r.json")});
  Good({"apply", "-f", Path("r.json")});
  EXPECT_THAT(Good({"history", "-n", "n1", "--limit", "1"}).out, HasSubstr("rollback to " + first));

  // And both at once.
  const auto later = nlohmann::json::parse(Good({"history", "-n", "n1", "-o", "json"}).out);
  const std::string second = later["generations"][1]["generation"];
  Good({"rollback", second, "-n", "n1", "--yes", "--key", KeyOf("alice"), "--sign-command", program,
        "--sign-public-key", Path("bob.pub")});
}

TEST_F(Grants, S8_ANodeObeysTheRotatedPolicyAndTheOldKeyNoMore) {
  StartOwned();
  const std::string file = WriteYaml("n1.yaml", {});
  ASSERT_EQ(Run({"apply", "-f", file}).exit_code, 0);
  const std::string stale = CopyLab("stale");  // a laptop that did not hear of it
  Good({"trust", "rotate", "config", "--generate", "--no-passphrase"});
  Good({"trust", "epoch"});
  // It slept through two versions and catches up in one step.
  EXPECT_THAT(Good({"trust", "apply", "-n", "n1"}).out, HasSubstr("trust version 3, epoch 2"));
  Ran again = Good({"trust", "apply", "-n", "n1"});
  EXPECT_THAT(again.out, HasSubstr("(unchanged)"));
  Refused(RunIn(stale, {"trust", "apply", "-n", "n1"}), "older-chain");
  Refused(RunIn(stale, {"apply", "-f", WriteYaml("new.yaml", {.labels = "{site: lab}"})}),
          "revoked-key");

  // What runs was signed by a key that is gone: said, and signed anew without a change of source.
  EXPECT_THAT(Run({"status"}).out, HasSubstr("SignedByRevokedKey"));
  EXPECT_THAT(Good({"apply", "-f", file}).out, Not(HasSubstr("unchanged")));
  EXPECT_THAT(Good({"status"}).out, Not(HasSubstr("SignedByRevokedKey")));
}

TEST_F(Grants, S8_AForkOfTheChainIsRefusedByTheNodeWhoeverComesSecond) {
  StartOwned();
  ASSERT_EQ(Run({"apply", "-f", WriteYaml("n1.yaml", {})}).exit_code, 0);
  const std::string thief = CopyLab("thief");
  Good({"trust", "rotate", "root", "--generate", "--no-passphrase"});
  Good({"trust", "apply", "-n", "n1"});
  ASSERT_EQ(RunIn(thief, {"trust", "epoch"}).exit_code, 0);
  Refused(RunIn(thief, {"trust", "apply", "-n", "n1"}), "foreign-chain");
}

TEST_F(Grants, S3_AGenerationThatRootPutTooFarAheadIsRecoveredByAnEpoch) {
  StartOwned();
  ASSERT_EQ(Run({"apply", "-f", WriteYaml("n1.yaml", {})}).exit_code, 0);
  const std::string far = WriteYaml(
      "far.yaml", {.labels = "{site: lab}", .metadata = "  generation: 99990101000000\n"});
  Refused(Run({"apply", "-f", far}), "generation-too-far");
  ASSERT_EQ(Apply(far, {"config", "root"}).exit_code, 0);
  const std::string next = WriteYaml("next.yaml", {.labels = "{site: attic}"});
  Refused(Run({"apply", "-f", next}), "generation-too-far");
  // Three steps.
  Good({"trust", "epoch"});
  Good({"trust", "apply", "-n", "n1"});
  Good({"apply", "-f", next});
  const auto history = nlohmann::json::parse(Good({"history", "-n", "n1", "-o", "json"}).out);
  EXPECT_EQ(history["generations"][0]["state"], "APPLY_STATE_COMMITTED");
  EXPECT_THAT(history["generations"][0]["generation"].get<std::string>(), HasSubstr("20"));
}

}  // namespace
}  // namespace basalt::client
