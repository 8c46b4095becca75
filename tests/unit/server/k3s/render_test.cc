#include "server/k3s/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "api/coded_status.h"
#include "tests/unit/server/k3s/configs.h"

namespace basalt::k3s {
namespace {

using testing::AgentConfig;
using testing::Facts;
using testing::ServerConfig;

const RenderedFile* Find(const Rendered& rendered, const std::string& path) {
  for (const RenderedFile& file : rendered.files) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

TEST(Render, ServerConfigurationIsSortedAndQuoted) {
  v1::MachineConfig config = ServerConfig();
  (*config.mutable_k3s()->mutable_node()->mutable_labels())["site"] = "lab";
  config.mutable_k3s()->add_tls_sans("api.home");
  (*config.mutable_k3s()->mutable_config())["disable"].mutable_list()->add_values("traefik");
  (*config.mutable_k3s()->mutable_config())["secrets-encryption"].set_boolean(true);
  absl::StatusOr<Rendered> rendered = Render(config, Facts());
  ASSERT_TRUE(rendered.ok()) << rendered.status();
  EXPECT_EQ(rendered->config_yaml,
            "\"agent-token-file\": \"/n/run/k3s-agent-token\"\n"
            "\"bind-address\": \"127.0.0.5\"\n"
            "\"data-dir\": \"/n/data/k3s\"\n"
            "\"disable\":\n  - \"traefik\"\n"
            "\"kubelet-arg\":\n  - \"volume-plugin-dir=/var/lib/kubelet/volumeplugins\"\n"
            "\"node-ip\": \"127.0.0.5\"\n"
            "\"node-label\":\n  - \"site=lab\"\n"
            "\"node-name\": \"n1\"\n"
            "\"secrets-encryption\": true\n"
            "\"tls-san\":\n  - \"127.0.0.5\"\n  - \"api.home\"\n"
            "\"token-file\": \"/n/run/k3s-token\"\n"
            "\"write-kubeconfig\": \"/n/run/k3s.yaml\"\n"
            "\"write-kubeconfig-mode\": \"0600\"\n");
  EXPECT_EQ(rendered->argv, (std::vector<std::string>{"k3s", "server"}));
}

TEST(Render, PodsGetNameServersThatTheyCanReach) {
  EXPECT_TRUE(IsForPods("search lab\nnameserver 10.0.0.1\nnameserver\t2001:db8::53\n"));
  for (const char* text : {"", "search lab\n", "nameserver 127.0.0.53\n", "nameserver ::1\n",
                           "nameserver 10.0.0.1\nnameserver 169.254.1.1\n",
                           "nameserver fe80::1%eth0\n", "#nameserver 10.0.0.1\n"}) {
    EXPECT_FALSE(IsForPods(text)) << text;
  }
  NodeFacts facts = Facts();
  absl::StatusOr<Rendered> without = Render(ServerConfig(), facts);
  facts.resolv_conf = "/run/systemd/resolve/resolv.conf";
  absl::StatusOr<Rendered> with = Render(ServerConfig(), facts);
  EXPECT_TRUE(absl::StrContains(with->config_yaml,
                                "\"resolv-conf\": \"/run/systemd/resolve/resolv.conf\"\n"));
  EXPECT_EQ(with->tag, without->tag) << "K3s is not restarted because the machine's file moved";
  v1::MachineConfig own = ServerConfig();
  (*own.mutable_k3s()->mutable_config())["resolv-conf"].set_text("/etc/pods.conf");
  EXPECT_TRUE(absl::StrContains(Render(own, facts)->config_yaml, "/etc/pods.conf"));
  EXPECT_NE(Render(own, facts)->tag, with->tag);
}

TEST(Render, SecretsAreInFilesAndNeverInTheConfigurationOrArguments) {
  absl::StatusOr<Rendered> rendered = Render(ServerConfig(), Facts());
  ASSERT_TRUE(rendered.ok());
  ASSERT_NE(Find(*rendered, kTokenPath), nullptr);
  EXPECT_EQ(Find(*rendered, kTokenPath)->content, "server-token-0123456789");
  EXPECT_EQ(Find(*rendered, kAgentTokenPath)->content, "agent-token-0123456789");
  EXPECT_FALSE(absl::StrContains(rendered->config_yaml, "0123456789"));
  for (const std::string& variable : rendered->env)
    EXPECT_FALSE(absl::StrContains(variable, "0123456789"));
}

TEST(Render, AgentPinsTheCaOnceItsHashIsKnown) {
  v1::MachineConfig config = AgentConfig();
  absl::StatusOr<Rendered> plain = Render(config, Facts());
  EXPECT_EQ(Find(*plain, kTokenPath)->content, "agent-token-0123456789");
  EXPECT_FALSE(absl::StrContains(plain->config_yaml, "bind-address"))
      << "v1.21 agents know no such key";
  config.mutable_k3s()->mutable_cluster()->set_ca_hash("cafe");
  absl::StatusOr<Rendered> pinned = Render(config, Facts());
  EXPECT_EQ(Find(*pinned, kTokenPath)->content, "K10cafe::node:agent-token-0123456789");
  EXPECT_NE(plain->tag, pinned->tag);
}

TEST(Render, K6_TagIgnoresWhatIsLiveAndSeesWhatNeedsARestart) {
  const std::string tag = Render(ServerConfig(), Facts())->tag;
  v1::MachineConfig live = ServerConfig();
  (*live.mutable_k3s()->mutable_node()->mutable_labels())["a"] = "b";
  live.mutable_k3s()->mutable_health()->set_readyz("7s");
  live.mutable_k3s()->add_manifests()->set_name("m");
  EXPECT_EQ(Render(live, Facts())->tag, tag);

  v1::MachineConfig token = ServerConfig();
  token.mutable_k3s()->mutable_token()->set_plain("another-token-0123456789");
  EXPECT_NE(Render(token, Facts())->tag, tag);
  v1::MachineConfig binary = ServerConfig();
  binary.mutable_k3s()->mutable_artifacts()->mutable_amd64()->set_sha256(std::string(64, 'b'));
  EXPECT_NE(Render(binary, Facts())->tag, tag);
  v1::MachineConfig env = ServerConfig();
  env.mutable_k3s()->add_env()->set_name("GOMEMLIMIT");
  EXPECT_NE(Render(env, Facts())->tag, tag);
}

TEST(Render, HostileStringsStayOneScalar) {
  v1::MachineConfig config = ServerConfig();
  (*config.mutable_k3s()->mutable_config())["cluster-domain"].set_text(
      "a\"\n\"disable\": [\"x\"]\\");
  absl::StatusOr<Rendered> rendered = Render(config, Facts());
  EXPECT_TRUE(absl::StrContains(
      rendered->config_yaml, "\"cluster-domain\": \"a\\\"\\n\\\"disable\\\": [\\\"x\\\"]\\\\\"\n"));
}

TEST(Render, DatastoreEndpointGoesByEnvironmentAndItsKeysByFile) {
  v1::MachineConfig config = ServerConfig();
  config.mutable_k3s()->mutable_datastore()->mutable_endpoint()->set_plain("postgres://u:p@h/db");
  config.mutable_k3s()->mutable_datastore()->mutable_ca()->set_plain("CA");
  absl::StatusOr<Rendered> rendered = Render(config, Facts());
  EXPECT_FALSE(absl::StrContains(rendered->config_yaml, "postgres"));
  EXPECT_EQ(std::count(rendered->env.begin(), rendered->env.end(),
                       "K3S_DATASTORE_ENDPOINT=postgres://u:p@h/db"),
            1);
  EXPECT_NE(Find(*rendered, "run/k3s-datastore-ca.crt"), nullptr);
}

TEST(Render, RegistriesHaveTheirOwnFile) {
  v1::MachineConfig config = ServerConfig();
  v1::RegistryMirror* mirror = config.mutable_k3s()->mutable_registries()->add_mirrors();
  mirror->set_name("docker.io");
  mirror->add_endpoints("https://mirror.home");
  v1::RegistryConfig* reg = config.mutable_k3s()->mutable_registries()->add_configs();
  reg->set_name("reg:5000");
  reg->set_username("u");
  reg->mutable_password()->set_plain("p");
  reg->set_ca("PEM");
  absl::StatusOr<Rendered> rendered = Render(config, Facts());
  ASSERT_NE(Find(*rendered, kRegistriesPath), nullptr);
  EXPECT_EQ(Find(*rendered, kRegistriesPath)->content,
            "\"mirrors\":\n  \"docker.io\":\n    \"endpoint\":\n      - \"https://mirror.home\"\n"
            "\"configs\":\n  \"reg:5000\":\n    \"auth\":\n      \"username\": \"u\"\n      "
            "\"password\": \"p\"\n"
            "    \"tls\":\n      \"ca_file\": \"/n/etc/rancher/k3s/certs/reg_5000-ca.crt\"\n");
  EXPECT_EQ(Find(*rendered, "etc/rancher/k3s/certs/reg_5000-ca.crt")->content, "PEM");
}

TEST(Render, AddressIsTakenFromTheSubnetOrRefused) {
  NodeFacts facts = Facts();
  facts.confined = false;
  facts.addresses = {"10.1.0.9", "192.168.1.20"};
  v1::MachineConfig config = ServerConfig();
  config.mutable_k3s()->mutable_node()->set_ip_subnet("192.168.1.0/24");
  EXPECT_TRUE(
      absl::StrContains(Render(config, facts)->config_yaml, "\"node-ip\": \"192.168.1.20\""));
  config.mutable_k3s()->mutable_node()->set_ip_subnet("172.16.0.0/12");
  EXPECT_EQ(api::Reason(Render(config, facts).status()), "no-node-ip");
  // A first config gives the machine the address that it names the subnet of.
  config.mutable_network()->add_interfaces()->add_addresses("172.16.3.4/24");
  EXPECT_TRUE(absl::StrContains(Render(config, facts)->config_yaml, "\"node-ip\": \"172.16.3.4\""));
}

TEST(Render, K3sReachesTheOutsideAsTheSystemSectionSaysAndStartsAnewWhenThatChanges) {
  v1::MachineConfig config = ServerConfig();
  const std::string before = Render(config, Facts())->tag;
  config.mutable_system()->mutable_proxy()->set_https("http://proxy.example.org:3128");
  config.mutable_system()->mutable_proxy()->add_no_proxy("192.168.1.0/24");
  const Rendered proxied = *Render(config, Facts());
  EXPECT_THAT(proxied.env,
              ::testing::IsSupersetOf({"HTTPS_PROXY=http://proxy.example.org:3128",
                                       "NO_PROXY=localhost,127.0.0.0/8,::1,192.168.1.0/24"}));
  EXPECT_NE(proxied.tag, before);
  v1::CaCertificate& authority = *config.mutable_system()->add_ca_certificates();
  authority.set_certificate("ONE");
  const Rendered trusting = *Render(config, Facts());
  EXPECT_THAT(trusting.env,
              ::testing::Contains("SSL_CERT_FILE=/n/run/etc/ssl/certs/ca-certificates.crt"));
  authority.set_certificate("TWO");
  EXPECT_NE(Render(config, Facts())->tag, trusting.tag);
}

TEST(Render, MissingArchitectureIsNamed) {
  NodeFacts facts = Facts();
  facts.architecture = "arm";
  EXPECT_EQ(api::Reason(Render(ServerConfig(), facts).status()), "artifact-missing");
}

}  // namespace
}  // namespace basalt::k3s
