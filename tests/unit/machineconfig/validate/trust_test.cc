#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/validate/validate.h"

namespace basalt::validate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string SshKey(char fill) {
  std::string blob("\0\0\0\x0bssh-ed25519\0\0\0 ", 19);
  blob.append(32, fill);
  return absl::StrCat("ssh-ed25519 ", Base64Encode(blob));
}

v1::TrustPolicy Policy() {
  v1::TrustPolicy policy;
  policy.set_api_version("basalt/v1");
  policy.set_kind("TrustPolicy");
  policy.set_cluster("home");
  policy.set_epoch(1);
  policy.set_version(1);
  for (const char* name : {"root", "config"}) {
    v1::TrustKey& key = *policy.add_keys();
    key.set_name(name);
    key.set_public_key(SshKey(*name));
  }
  policy.mutable_root()->add_keys("root");
  v1::Grant& grant = *policy.add_grants();
  grant.set_for_("machineconfig");
  grant.add_keys("config");
  return policy;
}

template <typename Message>
std::vector<std::string> Errors(const Message& message) {
  std::vector<std::string> out;
  for (const auto& v : Validate(message).errors) out.push_back(absl::StrCat(v.reason, " ", v.path));
  return out;
}

TEST(ValidateTrust, APlainPolicyIsFine) { EXPECT_THAT(Errors(Policy()), IsEmpty()); }

TEST(ValidateTrust, NamedKeysMustExistAndNotBeRevoked) {
  v1::TrustPolicy policy = Policy();
  policy.mutable_grants(0)->add_keys("confg");
  policy.add_revoked("config");
  policy.add_revoked("gone");
  EXPECT_THAT(Errors(policy),
              UnorderedElementsAre("revoked-key grants[0].keys[0]", "unknown-key grants[0].keys[1]",
                                   "unknown-key revoked[1]"));
}

TEST(ValidateTrust, RootSharesNoKeyWithAGrant) {
  v1::TrustPolicy policy = Policy();
  policy.mutable_grants(0)->add_keys("root");
  EXPECT_THAT(Errors(policy), ElementsAre("root-in-grant grants[0].keys[1]"));
  // Nor under another name: a comment does not make another key.
  policy = Policy();
  policy.mutable_keys(1)->set_public_key(absl::StrCat(SshKey('r'), " somebody@else"));
  EXPECT_THAT(Errors(policy), ElementsAre("duplicate-key keys[config].publicKey"));
}

TEST(ValidateTrust, ThresholdsCanBeMet) {
  v1::TrustPolicy policy = Policy();
  policy.mutable_root()->set_threshold(2);
  policy.mutable_grants(0)->set_threshold(2);
  EXPECT_THAT(Errors(policy), UnorderedElementsAre("out-of-range root.threshold",
                                                   "out-of-range grants[0].threshold"));
}

TEST(ValidateTrust, BreakglassListsItsVerbs) {
  v1::TrustPolicy policy = Policy();
  policy.mutable_grants(0)->set_for_("breakglass");
  EXPECT_THAT(Errors(policy), ElementsAre("required grants[0].verbs"));
  policy.mutable_grants(0)->add_verbs("clusterReset");
  EXPECT_THAT(Errors(policy), IsEmpty());
  policy.mutable_grants(0)->set_for_("machineconfig");
  EXPECT_THAT(Errors(policy), ElementsAre("conflict grants[0].verbs"));
}

v1::Action Reset() {
  v1::Action action;
  action.set_api_version("basalt/v1");
  action.set_kind("Action");
  action.set_cluster("home");
  action.set_epoch(1);
  action.mutable_target()->set_machine_id(std::string(64, 'a'));
  action.set_verb("reset");
  action.set_signed_at("2026-11-23T22:15:00Z");
  action.set_not_after("2026-11-24T22:15:00Z");
  return action;
}

TEST(ValidateAction, LivesADayAtMostAndNamesItsMachine) {
  v1::Action action = Reset();
  EXPECT_THAT(Errors(action), IsEmpty());
  action.set_not_after("2026-11-24T22:15:01Z");
  EXPECT_THAT(Errors(action), ElementsAre("out-of-range notAfter"));
  action.set_not_after("2026-11-23T22:15:00Z");
  EXPECT_THAT(Errors(action), ElementsAre("bad-order notAfter"));
  action = Reset();
  action.mutable_target()->clear_machine_id();
  EXPECT_THAT(Errors(action), ElementsAre("required target"));
  action.clear_target();
  EXPECT_THAT(Errors(action), ElementsAre("required target"));
}

TEST(ValidateAction, KnowsItsVerbs) {
  v1::Action action = Reset();
  action.set_verb("rest");
  EXPECT_THAT(Errors(action), ElementsAre("not-allowed verb"));
}

// "Nothing" must not read as "everything".
TEST(ValidateTrust, AScopeThatStandsThereEmptyIsRefused) {
  auto reasons = [](const std::string& scope) {
    const absl::Status status =
        LoadTrustPolicy(absl::StrCat("apiVersion: basalt/v1\nkind: TrustPolicy\ncluster: home\n"
                                     "epoch: 1\nversion: 1\nkeys:\n- {name: root, publicKey: ",
                                     SshKey('r'), "}\n- {name: config, publicKey: ", SshKey('c'),
                                     "}\nroot: {keys: [root]}\ngrants:\n- for: machineconfig\n",
                                     "  keys: [config]\n", scope),
                        "t.yaml")
            .status();
    std::vector<std::string> out;
    for (const auto& v : api::Violations(status))
      out.push_back(absl::StrCat(v.reason, " ", v.path));
    return out;
  };
  EXPECT_THAT(reasons(""), IsEmpty());
  EXPECT_THAT(reasons("  paths: [k3s]\n"), IsEmpty());
  for (const char* empty : {"[]", "", "null"}) {
    EXPECT_THAT(reasons(absl::StrCat("  paths: ", empty, "\n")),
                ElementsAre("empty-list grants[0].paths"))
        << empty;
  }
  EXPECT_THAT(reasons("  labels: {}\n"), ElementsAre("empty-list grants[0].labels"));
  EXPECT_THAT(reasons("  verbs: []\n"), ElementsAre("empty-list grants[0].verbs"));
}

TEST(ValidateTrust, AGrantsPathIsOneThatAChangeCanHave) {
  auto hint = [](const std::string& path) {
    v1::TrustPolicy policy = Policy();
    policy.mutable_grants(0)->add_paths(path);
    const auto errors = Validate(policy).errors;
    return errors.empty() ? "" : absl::StrCat(errors[0].reason, " ", errors[0].hint);
  };
  for (const char* good :
       {"k3s", "k3s.config", "k3s.config[disable]", "metadata.labels", "metadata.labels[a\\]b]",
        "api.clientCas[owner].roles", "k3s.registries.mirrors[docker.io].endpoints", "k3s.tlsSans",
        "metadata.allow"}) {
    EXPECT_EQ(hint(good), "") << good;
  }
  EXPECT_EQ(hint("k3s.confg"), "unknown-path did you mean `k3s.config`?");
  EXPECT_EQ(hint("k3s.config.disable"), "unknown-path did you mean `k3s.config[disable]`?");
  EXPECT_EQ(hint("k3s.config[disabel]"), "unknown-path did you mean `k3s.config[disable]`?");
  EXPECT_EQ(hint("k3s.config[token]"), "unknown-path did you mean `k3s.token`?");
  EXPECT_EQ(hint("mirrors"), "unknown-path did you mean `k3s.registries.mirrors`?");
  // Positions shift: a grant for the first element would reach whatever stands first.
  EXPECT_EQ(hint("k3s.tlsSans[0]"), "unknown-path grant `k3s.tlsSans` as a whole");
  for (const char* bad :
       {"", ".", "k3s.", ".k3s", "k3s..config", "[k3s]", "k3s.config[", "k3s]",
        "k3s.config[disable]x", "k3s.version.major", "k3s[role]", "k3s.config[]"}) {
    EXPECT_NE(hint(bad), "") << bad;
  }
}

TEST(ValidateTrust, AGrantsVerbsAreThoseOfActions) {
  v1::TrustPolicy policy = Policy();
  policy.mutable_grants(0)->set_for_("action");
  policy.mutable_grants(0)->add_verbs("rest");
  EXPECT_THAT(Errors(policy), ElementsAre("not-allowed grants[0].verbs[0]"));
  EXPECT_EQ(Validate(policy).errors[0].hint, "did you mean `reset`?");
}

TEST(ValidateTrust, AGrantsLabelIsOneThatANodeCanHave) {
  v1::TrustPolicy policy = Policy();
  (*policy.mutable_grants(0)->mutable_labels())["tier"] = "production, site=lab";
  EXPECT_THAT(Errors(policy), ElementsAre("bad-format grants[0].labels[tier]"));
  policy.mutable_grants(0)->clear_labels();
  (*policy.mutable_grants(0)->mutable_labels())["ti er"] = "production";
  EXPECT_THAT(Errors(policy), ElementsAre("bad-format grants[0].labels[ti er]"));
}

TEST(ValidateTrust, LabelsScopeGrantsForMachineConfigsAlone) {
  v1::TrustPolicy policy = Policy();
  policy.mutable_grants(0)->set_for_("action");
  (*policy.mutable_grants(0)->mutable_labels())["site"] = "lab";
  EXPECT_THAT(Errors(policy), ElementsAre("conflict grants[0].labels"));
}

}  // namespace
}  // namespace basalt::validate
