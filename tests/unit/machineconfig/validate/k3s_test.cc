#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "machineconfig/validate/validate.h"

namespace basalt::validate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

v1::MachineConfig Node(v1::K3sRole role) {
  v1::MachineConfig config;
  config.set_api_version("basalt/v1");
  config.set_kind("MachineConfig");
  config.mutable_metadata()->set_cluster("home");
  config.mutable_metadata()->set_name("pi");
  v1::K3s& k3s = *config.mutable_k3s();
  k3s.set_role(role);
  k3s.set_version("v1.30.4+k3s1");
  v1::Artifact& artifact = *k3s.mutable_artifacts()->mutable_amd64();
  artifact.add_urls("https://example.org/k3s");
  artifact.set_sha256(std::string(64, 'a'));
  k3s.mutable_agent_token()->set_plain("0123456789abcdefghij");
  if (role == v1::K3S_ROLE_SERVER) k3s.mutable_token()->set_plain("jihgfedcba9876543210");
  if (role == v1::K3S_ROLE_AGENT) k3s.mutable_cluster()->set_server("https://pi-0:6443");
  return config;
}

std::vector<std::string> Errors(const v1::MachineConfig& config) {
  std::vector<std::string> out;
  for (const auto& v : Validate(config, Stage::kSource).errors) {
    out.push_back(absl::StrCat(v.reason, " ", v.path));
  }
  return out;
}

std::vector<std::string> Warnings(const v1::MachineConfig& config) {
  std::vector<std::string> out;
  for (const auto& v : Validate(config, Stage::kSource).warnings) out.push_back(v.reason);
  return out;
}

TEST(ValidateK3s, PlainServersAndAgentsAreFine) {
  EXPECT_THAT(Errors(Node(v1::K3S_ROLE_SERVER)), IsEmpty());
  EXPECT_THAT(Errors(Node(v1::K3S_ROLE_AGENT)), IsEmpty());
}

TEST(ValidateK3s, AnAgentNeedsServerAndToken) {
  v1::MachineConfig config = Node(v1::K3S_ROLE_AGENT);
  config.mutable_k3s()->clear_cluster();
  config.mutable_k3s()->clear_agent_token();
  EXPECT_THAT(Errors(config),
              UnorderedElementsAre("required k3s.cluster.server", "required k3s.agentToken"));
  config = Node(v1::K3S_ROLE_AGENT);
  config.mutable_k3s()->mutable_token()->set_plain("jihgfedcba9876543210");
  EXPECT_THAT(Errors(config), IsEmpty());
  EXPECT_THAT(Warnings(config), ::testing::Contains("server-token-on-agent"));
}

TEST(ValidateK3s, WhatIsForServersIsRefusedOnAgents) {
  v1::MachineConfig config = Node(v1::K3S_ROLE_AGENT);
  v1::K3s& k3s = *config.mutable_k3s();
  k3s.mutable_cluster()->set_init(true);
  k3s.add_tls_sans("a.lan");
  k3s.mutable_snapshots();
  k3s.mutable_datastore()->mutable_endpoint()->set_plain("mysql://x");
  v1::K3sManifest& manifest = *k3s.add_manifests();
  manifest.set_name("m");
  manifest.mutable_content()->set_plain("x");
  (*k3s.mutable_config())["disable"].set_text("traefik");
  EXPECT_THAT(Errors(config),
              UnorderedElementsAre("wrong-role k3s.cluster.init", "wrong-role k3s.tlsSans",
                                   "wrong-role k3s.snapshots", "wrong-role k3s.datastore",
                                   "wrong-role k3s.manifests", "wrong-role k3s.config[disable]"));
}

TEST(ValidateK3s, DatastoresExcludeEachOther) {
  v1::MachineConfig config = Node(v1::K3S_ROLE_SERVER);
  v1::K3s& k3s = *config.mutable_k3s();
  k3s.mutable_snapshots();
  EXPECT_THAT(Errors(config), ElementsAre("conflict k3s.snapshots"));
  k3s.mutable_cluster()->set_init(true);
  EXPECT_THAT(Errors(config), IsEmpty());
  k3s.mutable_cluster()->set_server("https://pi-1:6443");
  k3s.mutable_datastore()->mutable_endpoint()->set_plain("mysql://x");
  EXPECT_THAT(Errors(config),
              UnorderedElementsAre("conflict k3s.cluster.init", "conflict k3s.datastore"));
}

TEST(ValidateK3s, S14_TokensThatAnybodyCouldGuessAreRefused) {
  for (const char* token :
       {"", " ", "short", "changeme", "ChangeMeChangeMe", "secretsecretsecret", "password12345678",
        "aaaaaaaaaaaaaaaaaaaaaaaa", "abababababababababab", "has a space in the middle",
        "tab\tin the middle of it", "new\nline and more text", "1234567890123456",
        "caf\xC3\xA9"
        "0123456789abcdef",
        "0123456789abcde", "K10abc::server:0123456789abcdef"}) {
    for (bool server : {true, false}) {
      v1::MachineConfig config = Node(v1::K3S_ROLE_SERVER);
      v1::K3s& k3s = *config.mutable_k3s();
      (server ? k3s.mutable_token() : k3s.mutable_agent_token())->set_plain(token);
      EXPECT_EQ(Errors(config).size(), 1u) << token;
    }
  }
}

TEST(ValidateK3s, S14_AServerNeedsATokenOfItsOwn) {
  v1::MachineConfig config = Node(v1::K3S_ROLE_SERVER);
  config.mutable_k3s()->clear_token();
  EXPECT_THAT(Errors(config), ElementsAre("required k3s.token"));
  config = Node(v1::K3S_ROLE_SERVER);
  config.mutable_k3s()->mutable_agent_token()->set_plain(config.k3s().token().plain());
  EXPECT_THAT(Errors(config), ElementsAre("conflict k3s.agentToken"));
  config.mutable_k3s()->clear_agent_token();
  EXPECT_THAT(Errors(config), IsEmpty());
  EXPECT_THAT(Warnings(config), ::testing::Contains("shared-token"));
  // A sealed one cannot be looked at.
  config.mutable_k3s()->mutable_token()->set_sealed("x");
  EXPECT_THAT(Errors(config), IsEmpty());
}

struct KeyCase {
  const char* name;
  v1::ConfigValue value;
  const char* reason;  // "" is fine
};

v1::ConfigValue Bool(bool b) {
  v1::ConfigValue v;
  v.set_boolean(b);
  return v;
}
v1::ConfigValue Text(const char* t) {
  v1::ConfigValue v;
  v.set_text(t);
  return v;
}
v1::ConfigValue List(const char* t) {
  v1::ConfigValue v;
  v.mutable_list()->add_values(t);
  return v;
}
v1::ConfigValue Int(int i) {
  v1::ConfigValue v;
  v.set_integer(i);
  return v;
}

TEST(ValidateK3s, K3sKeysAreCheckedAgainstTheCatalogue) {
  const KeyCase kCases[] = {
      {"secrets-encryption", Bool(true), ""},
      {"secrets-encryption", Text("yes"), "wrong-type"},
      {"disable", List("traefik"), ""},
      {"disable", Text("traefik"), ""},
      {"disable", Bool(true), "wrong-type"},
      {"https-listen-port", Int(6443), ""},
      {"https-listen-port", Text("6443"), "wrong-type"},
      {"flannel-backend", Text("host-gw"), ""},
      {"flannel-backend", List("host-gw"), "wrong-type"},
      {"flanel-backend", Text("none"), "unknown-k3s-key"},
      {"kubelet-arg+", List("a=b"), "unknown-k3s-key"},
      {"token", Text("x"), "owned-k3s-key"},
      {"node-label", List("a=b"), "owned-k3s-key"},
      {"log", Text("/x"), "refused-k3s-key"},
      {"docker", Bool(true), "refused-k3s-key"},
      {"cluster-reset", Bool(true), "refused-k3s-key"},
      {"write-kubeconfig", Text("/tmp/x"), "refused-k3s-key"},
      {"no-deploy", List("traefik"), "wrong-k3s-version"},
      {"secrets-encryption-provider", Text("secretbox"), "wrong-k3s-version"}};
  for (const KeyCase& c : kCases) {
    v1::MachineConfig config = Node(v1::K3S_ROLE_SERVER);
    (*config.mutable_k3s()->mutable_config())[c.name] = c.value;
    const auto errors = Validate(config, Stage::kSource).errors;
    ASSERT_EQ(errors.size(), *c.reason == '\0' ? 0u : 1u) << c.name;
    if (!errors.empty()) {
      EXPECT_EQ(errors[0].reason, c.reason) << c.name;
    }
  }
}

TEST(ValidateK3s, NodesHaveOneWayToTheirAddress) {
  v1::MachineConfig config = Node(v1::K3S_ROLE_SERVER);
  v1::K3sNode& node = *config.mutable_k3s()->mutable_node();
  node.add_ip("10.0.0.1");
  node.add_ip("fd00::1");
  EXPECT_THAT(Errors(config), IsEmpty());
  node.set_ip_subnet("10.0.0.0/24");
  node.set_ip(1, "10.0.0.2");
  EXPECT_THAT(Errors(config),
              UnorderedElementsAre("conflict k3s.node.ip", "conflict k3s.node.ipSubnet"));
}

TEST(ValidateK3s, VariablesOfNodedAreReserved) {
  for (const char* name : {"NOTIFY_SOCKET", "K3S_TOKEN", "K3S_TOKEN_FILE", "INVOCATION_ID",
                           "K3S_CONFIG_FILE", "K3S_DATA_DIR", "LD_PRELOAD", "PATH"}) {
    v1::MachineConfig config = Node(v1::K3S_ROLE_SERVER);
    v1::EnvVar& variable = *config.mutable_k3s()->add_env();
    variable.set_name(name);
    variable.set_value("x");
    EXPECT_THAT(Errors(config),
                ElementsAre(absl::StrCat("reserved-name k3s.env[", name, "].name")));
    variable.set_name("HTTPS_PROXY");
    EXPECT_THAT(Errors(config), IsEmpty());
  }
}

TEST(ValidateK3s, RewritesAreRegularExpressions) {
  v1::MachineConfig config = Node(v1::K3S_ROLE_SERVER);
  v1::RegistryMirror& mirror = *config.mutable_k3s()->mutable_registries()->add_mirrors();
  mirror.set_name("docker.io");
  v1::RegistryRewrite& rewrite = *mirror.add_rewrites();
  rewrite.set_match("^library/(.*)$");
  rewrite.set_replace("hub/$1");
  EXPECT_THAT(Errors(config), IsEmpty());
  rewrite.set_match("(");
  EXPECT_THAT(Errors(config),
              ElementsAre("bad-format k3s.registries.mirrors[docker.io].rewrites[(].match"));
}

TEST(ValidateK3s, ArtifactsNeedAnArchitecture) {
  v1::MachineConfig config = Node(v1::K3S_ROLE_SERVER);
  config.mutable_k3s()->mutable_artifacts()->clear_amd64();
  EXPECT_THAT(Errors(config), ElementsAre("required k3s.artifacts"));
}

}  // namespace
}  // namespace basalt::validate
