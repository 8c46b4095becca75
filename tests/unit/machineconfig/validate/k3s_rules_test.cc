// What the golden files cannot say well: limits, boundaries between releases, what must never be
// in a finding. tests/golden/configs has an example of each rule.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/validate/validate.h"

namespace basalt::validate {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::MachineConfig Server(const std::string& version = "v1.30.4+k3s1") {
  v1::MachineConfig config;
  config.set_api_version("basalt/v1");
  config.set_kind("MachineConfig");
  config.mutable_metadata()->set_cluster("home");
  config.mutable_metadata()->set_name("pi");
  v1::K3s& k3s = *config.mutable_k3s();
  k3s.set_role(v1::K3S_ROLE_SERVER);
  k3s.set_version(version);
  v1::Artifact& artifact = *k3s.mutable_artifacts()->mutable_amd64();
  artifact.add_urls("https://example.org/k3s");
  artifact.set_sha256(std::string(64, 'a'));
  k3s.mutable_token()->set_plain("jihgfedcba9876543210");
  k3s.mutable_agent_token()->set_plain("0123456789abcdefghij");
  return config;
}

std::vector<std::string> Errors(const v1::MachineConfig& config) {
  std::vector<std::string> out;
  for (const auto& v : Validate(config, Stage::kSource).errors) {
    out.push_back(absl::StrCat(v.reason, " ", v.path));
  }
  return out;
}

v1::ConfigValue& Key(v1::MachineConfig& config, const std::string& name) {
  return (*config.mutable_k3s()->mutable_config())[name];
}

TEST(K3sRules, P1_LongListsCostNoMoreThanTheirLength) {
  v1::MachineConfig config = Server();
  // Pairwise comparison of these would be 4 * 10^8 steps.
  for (const char* key :
       {"cluster-cidr", "service-cidr", "cluster-dns", "kubelet-arg", "disable"}) {
    v1::StringList& list = *Key(config, key).mutable_list();
    for (int i = 0; i < 20000; ++i) {
      list.add_values(absl::StrCat("10.", i / 250 % 250, ".", i % 250, ".0/24"));
    }
  }
  const Findings findings = Validate(config, Stage::kSource);
  EXPECT_EQ(findings.errors.size(), 101u);
  EXPECT_EQ(findings.errors.back().reason, "too-many-errors");
}

TEST(K3sRules, P5_PathsOfK3sAreAbsoluteAndStayWhereTheyPoint) {
  for (const char* key : {"etcd-snapshot-dir", "default-local-storage-path", "flannel-conf",
                          "image-credential-provider-config", "resolv-conf"}) {
    for (const char* bad : {"x", "../x", "/var/../etc", "/var/..", "/a b", "/a\nb", "/a\x1b[31m",
                            "~/x", "file:///x"}) {
      v1::MachineConfig config = Server();
      config.mutable_k3s()->mutable_cluster()->set_init(true);
      Key(config, key).set_text(bad);
      EXPECT_THAT(Errors(config), Contains(absl::StrCat("bad-format k3s.config[", key, "]")))
          << bad;
    }
  }
  v1::MachineConfig config = Server();
  Key(config, "resolv-conf").set_text("/run/systemd/resolve/resolv.conf");
  EXPECT_THAT(Errors(config), IsEmpty());
}

// Every secret of the section wrong in its own way.
TEST(K3sRules, P7_NoFindingShowsASecret) {
  const std::string secret = "canary 7f3a";
  v1::MachineConfig config = Server();
  v1::K3s& k3s = *config.mutable_k3s();
  for (v1::Secret* s :
       {k3s.mutable_token(), k3s.mutable_agent_token(), k3s.mutable_node_password()}) {
    s->set_plain(secret);
  }
  v1::K3sDatastore& store = *k3s.mutable_datastore();
  store.mutable_endpoint()->set_plain(absl::StrCat("mysql://u:", secret, "@db:3306/k3s"));
  store.mutable_ca()->set_plain(secret);
  store.mutable_certificate()->set_plain(secret);
  store.mutable_key()->set_plain(secret);
  k3s.mutable_cluster()->set_init(true);
  v1::K3sManifest& manifest = *k3s.add_manifests();
  manifest.set_name("coredns");
  manifest.mutable_content()->set_plain(secret);
  v1::RegistryConfig& registry = *k3s.mutable_registries()->add_configs();
  registry.set_name("r");
  registry.mutable_password()->set_plain(secret);
  registry.mutable_token()->set_plain(secret);
  registry.mutable_key()->set_plain(secret);
  v1::K3sS3& s3 = *k3s.mutable_snapshots()->mutable_s3();
  s3.mutable_access_key()->set_plain(secret);
  s3.mutable_session_token()->set_plain(secret);
  for (const char* endpoint : {"", "http://x", "https://a,b", "x"}) {
    if (*endpoint != '\0') {
      store.mutable_endpoint()->set_plain(absl::StrCat(endpoint, secret));
      k3s.mutable_cluster()->clear_init();
    }
    const Findings findings = Validate(config, Stage::kSource);
    EXPECT_GE(findings.errors.size(), 5u);
    for (const auto* list : {&findings.errors, &findings.warnings}) {
      for (const api::Violation& v : *list) {
        EXPECT_FALSE(absl::StrContains(v.ToString(), "7f3a")) << v.ToString();
      }
    }
  }
}

// A value of an environment variable is no secret by itself, and still nothing for a log.
TEST(K3sRules, P7_WhatLooksLikeAPasswordIsNotRepeated) {
  v1::MachineConfig config = Server();
  v1::EnvVar& variable = *config.mutable_k3s()->add_env();
  variable.set_name("HTTPS_PROXY");
  variable.set_value("http://u:canary-7f3a@proxy:1");
  bool said = false;
  for (const auto& v : Validate(config, Stage::kSource).warnings) {
    said = said || v.reason == "shown-secret";
    EXPECT_FALSE(absl::StrContains(v.ToString(), "7f3a"));
  }
  EXPECT_TRUE(said);
}

TEST(K3sRules, MirrorsOfAllRegistriesFollowTheReleasesThatBroughtThem) {
  const std::pair<const char*, bool> kCases[] = {{"v1.25.16+k3s4", false}, {"v1.26.14+k3s1", false},
                                                 {"v1.26.15+k3s1", true},  {"v1.29.2+k3s1", false},
                                                 {"v1.29.3+k3s1", true},   {"v1.30.0+k3s1", true}};
  for (const auto& [version, known] : kCases) {
    v1::MachineConfig config = Server(version);
    v1::RegistryMirror& mirror = *config.mutable_k3s()->mutable_registries()->add_mirrors();
    mirror.set_name("*");
    mirror.add_endpoints("https://mirror.lan");
    EXPECT_EQ(Errors(config).empty(), known) << version;
  }
}

TEST(K3sRules, EveryValueThatTheCatalogueNamesIsTakenByItsReleases) {
  for (const schema::K3sKey& key : schema::K3sKeys()) {
    if (key.owner != schema::K3sKeyOwner::kUser || key.until != 0) continue;
    for (const schema::K3sValue& value : key.values) {
      const int minor = value.until == 0 ? schema::kNewestK3sMinor : value.until;
      v1::MachineConfig config = Server(absl::StrCat("v1.", minor, ".50+k3s1"));
      config.mutable_k3s()->mutable_cluster()->set_init(true);
      Key(config, std::string(key.name)).set_text(std::string(value.name));
      EXPECT_THAT(Errors(config), IsEmpty()) << key.name << ": " << value.name;
    }
    // And its own default.
    if (key.default_value.empty() || key.type == schema::K3sKeyType::kBool ||
        key.role == schema::K3sKeyRole::kAgent) {
      continue;
    }
    v1::MachineConfig config = Server(absl::StrCat("v1.", schema::kNewestK3sMinor, ".50+k3s1"));
    config.mutable_k3s()->mutable_cluster()->set_init(true);
    v1::ConfigValue& written = Key(config, std::string(key.name));
    if (key.type == schema::K3sKeyType::kInt) {
      written.set_integer(std::stoi(std::string(key.default_value)));
    } else {
      written.set_text(std::string(key.default_value));
    }
    EXPECT_THAT(Errors(config), IsEmpty()) << key.name << ": " << key.default_value;
  }
}

TEST(K3sRules, AFieldThatTheReleaseHasNotIsNotLeftOutInSilence) {
  v1::MachineConfig config = Server("v1.31.11+k3s1");
  config.mutable_k3s()->mutable_cluster()->set_init(true);
  v1::K3sS3& s3 = *config.mutable_k3s()->mutable_snapshots()->mutable_s3();
  s3.set_bucket("b-1");
  s3.set_folder("home");
  s3.set_retention(10);
  EXPECT_THAT(Errors(config), ElementsAre("wrong-k3s-version k3s.snapshots.s3.retention"));
  config.mutable_k3s()->set_version("v1.31.12+k3s1");
  EXPECT_THAT(Errors(config), IsEmpty());
}

}  // namespace
}  // namespace basalt::validate
