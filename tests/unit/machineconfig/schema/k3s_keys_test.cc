#include "machineconfig/schema/k3s_keys.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/schema/fields.h"

namespace basalt::schema {
namespace {

TEST(K3sKeys, AreSortedAndEachIsThereOnce) {
  absl::string_view last = "";
  for (const K3sKey& key : K3sKeys()) {
    EXPECT_LT(last, key.name);
    last = key.name;
    EXPECT_EQ(FindK3sKey(key.name), &key);
  }
  EXPECT_GE(K3sKeys().size(), 120u);
  EXPECT_EQ(FindK3sKey("no-such-key"), nullptr);
}

TEST(K3sKeys, ReleasesAreWithinTheCatalogue) {
  for (const K3sKey& key : K3sKeys()) {
    SCOPED_TRACE(key.name);
    EXPECT_GE(key.since, kOldestK3sMinor);
    EXPECT_LE(key.since, kNewestK3sMinor);
    if (key.agent_since != 0) {
      EXPECT_GT(key.agent_since, key.since);
    }
    if (key.until != 0) {
      EXPECT_GE(key.until, key.since);
      EXPECT_LT(key.until, kNewestK3sMinor);
    }
    int last = 0;
    for (absl::string_view port : absl::StrSplit(key.ports, ' ', absl::SkipEmpty())) {
      const std::vector<std::string> parts = absl::StrSplit(port, '.');
      ASSERT_EQ(parts.size(), 2u) << port;
      EXPECT_GT(std::stoi(parts[0]), last) << port;
      last = std::stoi(parts[0]);
      EXPECT_GE(last, key.since) << port;
      EXPECT_LE(last, kNewestK3sMinor) << port;
      EXPECT_GT(std::stoi(parts[1]), 0) << port;
    }
    for (const K3sValue& value : key.values) {
      EXPECT_EQ(value.until == 0, value.instead.empty()) << value.name;
      EXPECT_FALSE(value.means.empty()) << value.name;
    }
  }
}

TEST(K3sKeys, WhatAUserMaySetIsExplained) {
  for (const K3sKey& key : K3sKeys()) {
    SCOPED_TRACE(key.name);
    const bool user = key.owner == K3sKeyOwner::kUser;
    EXPECT_EQ(key.note.empty(), user);
    if (!user) continue;
    EXPECT_TRUE(absl::EndsWith(key.says, ".")) << key.says;
    EXPECT_EQ(key.until == 0, key.instead.empty());
    // k3s.config is plain text in signed documents: secrets have typed fields.
    EXPECT_FALSE(key.secret);
  }
}

TEST(K3sKeys, TypedKeysNameFieldsThatExistAndSecretsAreOfTheTypeSecret) {
  const MessageInfo& root = Describe(v1::MachineConfig::descriptor());
  for (const K3sKey& key : K3sKeys()) {
    if (key.owner != K3sKeyOwner::kTyped) continue;
    const MessageInfo* info = &root;
    const FieldInfo* field = nullptr;
    for (absl::string_view word : absl::StrSplit(key.note, '.')) {
      ASSERT_NE(info, nullptr) << key.name;
      field = info->Find(word);
      ASSERT_NE(field, nullptr) << key.name << " names " << key.note;
      info = field->message;
    }
    if (key.secret) {
      EXPECT_EQ(field->kind, FieldKind::kSecret) << key.name;
    }
  }
}

TEST(K3sKeys, WhatKeepsTheNodeInOneHandIsRefused) {
  for (const char* name :
       {"log", "docker", "rootless", "cluster-reset", "cluster-reset-restore-path", "config",
        "data-dir", "write-kubeconfig", "write-kubeconfig-mode", "write-kubeconfig-group",
        "with-node-id", "disable-agent", "container-runtime-endpoint"}) {
    ASSERT_NE(FindK3sKey(name), nullptr) << name;
    EXPECT_EQ(FindK3sKey(name)->owner, K3sKeyOwner::kRefused) << name;
  }
  EXPECT_EQ(FindK3sKey("token")->owner, K3sKeyOwner::kTyped);
  EXPECT_TRUE(FindK3sKey("etcd-s3-secret-key")->secret);
  EXPECT_EQ(NearestK3sKey("disabel"), "disable");
}

// docs.k3s.io/cli/server, "critical configuration values".
TEST(K3sKeys, CriticalValuesAreClusterScoped) {
  for (const char* name :
       {"agent-token", "cluster-cidr", "cluster-dns", "cluster-domain", "disable-cloud-controller",
        "disable-helm-controller", "disable-network-policy", "egress-selector-mode",
        "embedded-registry", "flannel-backend", "flannel-external-ip", "flannel-ipv6-masq",
        "secrets-encryption", "secrets-encryption-provider", "service-cidr"}) {
    ASSERT_NE(FindK3sKey(name), nullptr) << name;
    EXPECT_TRUE(FindK3sKey(name)->cluster_scoped) << name;
  }
  EXPECT_FALSE(FindK3sKey("kubelet-arg")->cluster_scoped);
}

TEST(K3sKeys, KeysThatWerePortedBackAreKnownFromThatReleaseOfEachLine) {
  const K3sKey& key = *FindK3sKey("embedded-registry");  // 26.13 27.10 28.6 29.1
  EXPECT_EQ(SupportOf(key, 25, 16), K3sSupport::kTooOld);
  EXPECT_EQ(SupportOf(key, 26, 12), K3sSupport::kTooOld);
  EXPECT_EQ(SupportOf(key, 26, 13), K3sSupport::kKnown);
  EXPECT_EQ(SupportOf(key, 29, 0), K3sSupport::kTooOld);
  EXPECT_EQ(SupportOf(key, 30, 0), K3sSupport::kKnown);
  EXPECT_EQ(FirstRelease(key), "v1.26.13");
  EXPECT_EQ(FirstRelease(key, 28), "v1.28.6");
  EXPECT_EQ(FirstRelease(key, 30), "v1.26.13");
  const K3sKey& bind = *FindK3sKey("bind-address");
  EXPECT_EQ(SupportOf(bind, 22, 3), K3sSupport::kKnown);
  EXPECT_EQ(SupportOf(bind, 22, 3, /*agent=*/true), K3sSupport::kTooOld);
  EXPECT_EQ(SupportOf(*FindK3sKey("no-deploy"), 25, 0), K3sSupport::kGone);
}

}  // namespace
}  // namespace basalt::schema
