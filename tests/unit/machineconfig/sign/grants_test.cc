#include <string>
#include <vector>

#include "machineconfig/sign/policy.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

std::vector<diff::Change> Changes(const std::vector<std::string>& paths) {
  std::vector<diff::Change> out;
  for (const std::string& path : paths) out.push_back({.path = path, .effect = v1::EFFECT_LIVE});
  return out;
}

v1::MachineConfig Labelled(const std::map<std::string, std::string>& labels) {
  v1::MachineConfig config;
  for (const auto& [key, value] : labels)
    (*config.mutable_metadata()->mutable_labels())[key] = value;
  return config;
}

absl::Status Try(const v1::TrustPolicy& policy, const std::vector<std::string>& signers,
                 const std::vector<std::string>& paths) {
  v1::MachineConfig config;
  return AuthorizeConfig(policy, Signers(signers), Changes(paths), &config, config);
}

TEST(Grants, AGrantWithoutPathsCoversEverything) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"alice"});
  EXPECT_TRUE(Try(policy, {"alice"}, {"k3s.version", "api.listen[0]", "metadata.allow"}).ok());
}

TEST(Grants, WithoutAnyGrantMetNothingPassesEvenWithoutChanges) {
  v1::TrustPolicy policy = Policy();
  EXPECT_THAT(Try(policy, {"alice"}, {}), HasReason("too-few-signers"));
  AddGrant(policy, "machineconfig", {"alice"});
  EXPECT_TRUE(Try(policy, {"alice"}, {}).ok());
  EXPECT_THAT(Try(policy, {"bob"}, {}), HasReason("too-few-signers"));
  EXPECT_THAT(Try(policy, {"bob"}, {"metadata.reason"}), HasReason("too-few-signers"));
  EXPECT_THAT(Try(policy, {}, {}), HasReason("too-few-signers"));
}

TEST(Grants, ARefusalSaysToProgramsWhichPathAndWhoIsMissing) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"alice", "bob"}, 2);
  AddGrant(policy, "machineconfig", {"carol"}).add_paths("metadata.labels");
  const absl::Status none = Try(policy, {"alice"}, {"k3s.version"});
  EXPECT_EQ(api::Detail(none, "signedBy"), "alice");
  EXPECT_EQ(api::Detail(none, "missing"), "1 more of bob\n1 more of carol");
  const absl::Status path = Try(policy, {"carol"}, {"k3s.version"});
  EXPECT_EQ(api::Detail(path, "path"), "k3s.version");
  EXPECT_EQ(api::Detail(path, "signedBy"), "carol");
  EXPECT_EQ(api::Detail(path, "missing"), "2 more of alice, bob");
}

TEST(Grants, EachGrantThatWouldDoIsNamed) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"carol"}).add_paths("metadata.labels");
  AddGrant(policy, "machineconfig", {"alice", "bob"}, 2);
  AddGrant(policy, "machineconfig", {"bob"}).add_paths("k3s");
  const absl::Status status = Try(policy, {"carol"}, {"k3s.version"});
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("needed: 2 of alice, bob; or 1 of bob for k3s."));
  EXPECT_EQ(api::Detail(status, "missing"), "2 more of alice, bob\n1 more of bob");
}

TEST(Grants, RootImpliesNoOtherGrant) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"alice"});
  EXPECT_THAT(Try(policy, {"root"}, {"k3s.version"}), HasReason("too-few-signers"));
  EXPECT_TRUE(Try(policy, {"root", "alice"}, {"k3s.version"}).ok());
  EXPECT_TRUE(SignedByRoot(policy, Signers({"root", "alice"})));
  EXPECT_FALSE(SignedByRoot(policy, Signers({"alice"})));
}

TEST(Grants, AGrantForSomethingElseIsNone) {
  v1::TrustPolicy policy = Policy();
  for (const char* what : {"action", "image", "bundle", "breakglass"}) {
    AddGrant(policy, what, {"alice"});
  }
  EXPECT_THAT(Try(policy, {"alice"}, {"k3s.version"}), HasReason("too-few-signers"));
}

TEST(Grants, S7_TheThresholdCountsKeysNotNames) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"alice", "bob"}, 2);
  EXPECT_THAT(Try(policy, {"alice"}, {"k3s"}), HasReason("too-few-signers"));
  EXPECT_THAT(Try(policy, {"alice", "carol"}, {"k3s"}), HasReason("too-few-signers"));
  EXPECT_TRUE(Try(policy, {"alice", "bob"}, {"k3s"}).ok());
  // One key that claims two names, and a name twice in the grant.
  std::vector<Signer> doubled = Signers({"alice"});
  doubled.push_back({.name = "bob", .id = Key("alice").public_key().id()});
  v1::MachineConfig config;
  EXPECT_THAT(AuthorizeConfig(policy, doubled, {}, &config, config), HasReason("too-few-signers"));
  policy.mutable_grants(0)->add_keys("alice");
  EXPECT_THAT(Try(policy, {"alice"}, {"k3s"}), HasReason("too-few-signers"));
}

TEST(Grants, S7_ThresholdsAreNeverPooled) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"carol"}).add_paths("metadata.labels");
  AddGrant(policy, "machineconfig", {"alice", "bob"}, 2).add_paths("k3s");
  // carol meets hers, alice half of the other: k3s is not covered.
  absl::Status status = Try(policy, {"alice", "carol"}, {"k3s.version"});
  EXPECT_THAT(status, HasReason("too-few-signers"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("not added up"));
  EXPECT_TRUE(Try(policy, {"alice", "bob", "carol"}, {"k3s.version", "metadata.labels[a]"}).ok());
}

TEST(Grants, AThresholdOfZeroOrLessIsOne) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"alice"}, 0);
  AddGrant(policy, "machineconfig", {"alice"}, -5);
  EXPECT_THAT(Try(policy, {}, {}), HasReason("too-few-signers"));
  EXPECT_THAT(Try(policy, {"bob"}, {}), HasReason("too-few-signers"));
}

TEST(Grants, EachPathNeedsAGrantThatCoversIt) {
  v1::TrustPolicy policy = Policy();
  v1::Grant& grant = AddGrant(policy, "machineconfig", {"alice"});
  grant.add_paths("k3s.config");
  grant.add_paths("metadata.labels");
  for (const char* path :
       {"k3s.config", "k3s.config[disable]", "k3s.config.disable", "metadata.labels[site]",
        "metadata.generation", "metadata.signedAt", "metadata.notBefore", "metadata.notAfter",
        "metadata.apply.mode", "metadata.base", "metadata.reason"}) {
    EXPECT_TRUE(Try(policy, {"alice"}, {path}).ok()) << path;
  }
  for (const char* path :
       {"k3s", "k3s.configX", "k3s.version", "metadata", "metadata.name", "metadata.cluster",
        "metadata.allow", "metadata.labelsX", "target.machineId", "api", ""}) {
    absl::Status status = Try(policy, {"alice"}, {"k3s.config", path});
    EXPECT_THAT(status, HasReason("path-not-granted")) << path;
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  }
}

TEST(Grants, AFirstConfigChangesEveryPath) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"alice"}).add_paths("k3s");
  v1::MachineConfig to;
  to.mutable_metadata()->set_name("n1");
  to.mutable_k3s()->set_version("v1.30.4+k3s1");
  std::vector<diff::Change> changes = diff::Diff(nullptr, to);
  ASSERT_GE(changes.size(), 2u);
  EXPECT_THAT(AuthorizeConfig(policy, Signers({"alice"}), changes, nullptr, to),
              HasReason("path-not-granted"));
}

TEST(Grants, ALabelScopeMustHoldBeforeAndAfter) {
  v1::TrustPolicy policy = Policy();
  (*AddGrant(policy, "machineconfig", {"alice"}).mutable_labels())["site"] = "lab";
  const v1::MachineConfig lab = Labelled({{"site", "lab"}, {"x", "y"}});
  const v1::MachineConfig home = Labelled({{"site", "home"}});
  const v1::MachineConfig none = Labelled({});
  auto attempt = [&](const v1::MachineConfig* from, const v1::MachineConfig& to) {
    return AuthorizeConfig(policy, Signers({"alice"}), Changes({"k3s.version"}), from, to);
  };
  EXPECT_TRUE(attempt(&lab, lab).ok());
  EXPECT_TRUE(attempt(nullptr, lab).ok());
  EXPECT_THAT(attempt(&home, lab), HasReason("label-scope"));
  EXPECT_THAT(attempt(&lab, home), HasReason("label-scope"));
  EXPECT_THAT(attempt(&none, none), HasReason("label-scope"));
  // Also when nothing but free metadata changes.
  EXPECT_THAT(AuthorizeConfig(policy, Signers({"alice"}), {}, &home, home),
              HasReason("label-scope"));
}

TEST(Grants, S8_ARevokedKeyCountsForNothing) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"alice", "bob"});
  policy.add_revoked("alice");
  EXPECT_THAT(Try(policy, {"alice"}, {}), HasReason("too-few-signers"));
  EXPECT_TRUE(Try(policy, {"bob"}, {}).ok());
  policy.add_revoked("root");
  EXPECT_FALSE(SignedByRoot(policy, Signers({"root"})));
}

TEST(Grants, S7_ImagesNeedOneGrantForImages) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "image", {"alice", "bob"}).set_threshold(2);
  AddGrant(policy, "machineconfig", {"carol"});
  v1::MachineConfig node;
  EXPECT_TRUE(AuthorizeImage(policy, Signers({"alice", "bob"}), node).ok());
  for (const char* name : {"alice", "carol", "root"}) {
    EXPECT_THAT(AuthorizeImage(policy, Signers({name}), node), HasReason("too-few-signers"));
  }
  // Two grants are not pooled.
  AddGrant(policy, "image", {"bob", "carol"}).set_threshold(2);
  EXPECT_THAT(AuthorizeImage(policy, Signers({"alice", "carol"}), node),
              HasReason("too-few-signers"));
}

TEST(Grants, AnImageGrantWithLabelsReachesNodesThatHaveThem) {
  v1::TrustPolicy policy = Policy();
  (*AddGrant(policy, "image", {"alice"}).mutable_labels())["site"] = "lab";
  v1::MachineConfig node;
  EXPECT_THAT(AuthorizeImage(policy, Signers({"alice"}), node), HasReason("label-scope"));
  (*node.mutable_metadata()->mutable_labels())["site"] = "lab";
  EXPECT_TRUE(AuthorizeImage(policy, Signers({"alice"}), node).ok());
  EXPECT_THAT(AuthorizeImage(policy, Signers({"bob"}), node), HasReason("too-few-signers"));
}

TEST(Grants, ActionsNeedAGrantThatNamesTheirVerb) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "action", {"alice"});
  AddGrant(policy, "action", {"bob"}).add_verbs("debug");
  AddGrant(policy, "breakglass", {"carol"}).add_verbs("clusterReset");
  AddGrant(policy, "machineconfig", {"carol"});
  v1::Action action;
  action.set_verb("reset");
  EXPECT_TRUE(AuthorizeAction(policy, Signers({"alice"}), action).ok());
  EXPECT_THAT(AuthorizeAction(policy, Signers({"bob"}), action), HasReason("too-few-signers"));
  EXPECT_THAT(AuthorizeAction(policy, Signers({"carol"}), action), HasReason("too-few-signers"));
  EXPECT_THAT(AuthorizeAction(policy, Signers({"root"}), action), HasReason("too-few-signers"));
  action.set_verb("clusterReset");
  EXPECT_TRUE(AuthorizeAction(policy, Signers({"carol"}), action).ok());
  action.set_verb("debug");
  EXPECT_TRUE(AuthorizeAction(policy, Signers({"bob"}), action).ok());
  // No action carries labels: a grant for some nodes only must not become one for all of them.
  (*policy.mutable_grants(1)->mutable_labels())["site"] = "lab";
  EXPECT_THAT(AuthorizeAction(policy, Signers({"bob"}), action), HasReason("too-few-signers"));
  // breakglass lists its verbs; an empty list is none.
  policy.mutable_grants(2)->clear_verbs();
  action.set_verb("clusterReset");
  EXPECT_THAT(AuthorizeAction(policy, Signers({"carol"}), action), HasReason("too-few-signers"));
}

// An old consent in metadata.allow is no change of it; it is not theirs to use all the same.
TEST(Grants, S4_ConsentOfAnEarlierGenerationIsNotInherited) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"alice"}).add_paths("k3s");
  AddGrant(policy, "machineconfig", {"bob"});
  v1::MachineConfig server;
  server.mutable_metadata()->add_allow("roleChange");
  server.mutable_k3s()->set_role(v1::K3S_ROLE_SERVER);
  v1::MachineConfig agent = server;
  agent.mutable_k3s()->set_role(v1::K3S_ROLE_AGENT);
  auto attempt = [&](const std::string& who, const v1::MachineConfig& to) {
    return AuthorizeConfig(policy, Signers({who}), diff::Diff(&server, to), &server, to);
  };
  absl::Status status = attempt("alice", agent);
  EXPECT_THAT(status, HasReason("too-few-signers"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("metadata.allow"));
  EXPECT_TRUE(attempt("bob", agent).ok());
  // What destroys nothing does not use it.
  v1::MachineConfig other = server;
  other.mutable_k3s()->add_tls_sans("k8s.example");
  EXPECT_TRUE(attempt("alice", other).ok());
}

TEST(Grants, TheEpochIsRootsChoiceAndNeedsNoGrant) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"alice"}).add_paths("k3s");
  EXPECT_TRUE(Try(policy, {"alice"}, {"metadata.epoch", "k3s.version"}).ok());
  EXPECT_THAT(Try(policy, {"bob"}, {"metadata.epoch"}), HasReason("too-few-signers"));
}

// Keys of a list may be free text: one must not read as another element and what lies below it.
TEST(Grants, AKeyWithABracketReachesNoOtherElement) {
  v1::TrustPolicy policy = Policy();
  AddGrant(policy, "machineconfig", {"alice"})
      .add_paths("k3s.registries.mirrors[docker.io].rewrites[a]");
  v1::MachineConfig from;
  v1::RegistryMirror& mirror = *from.mutable_k3s()->mutable_registries()->add_mirrors();
  mirror.set_name("docker.io");
  auto with = [&](const std::string& match) {
    v1::MachineConfig to = from;
    v1::RegistryRewrite& rewrite =
        *to.mutable_k3s()->mutable_registries()->mutable_mirrors(0)->add_rewrites();
    rewrite.set_match(match);
    rewrite.set_replace("evil/$1");
    return AuthorizeConfig(policy, Signers({"alice"}), diff::Diff(&from, to), &from, to);
  };
  EXPECT_TRUE(with("a").ok()) << with("a");
  for (const char* match : {"a].b", "a][b", "a]", "a].b[c", "ab", "a\\"}) {
    EXPECT_THAT(with(match), HasReason("path-not-granted")) << match;
  }
}

}  // namespace
}  // namespace basalt::sign
