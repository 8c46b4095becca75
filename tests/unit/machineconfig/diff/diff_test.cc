#include "machineconfig/diff/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::diff {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::MachineConfig Config(absl::string_view text) {
  v1::MachineConfig config;
  const auto result = yaml::Decode(text, "", config);
  EXPECT_TRUE(result.ok()) << result.errors[0].ToString();
  return config;
}

std::vector<std::string> Lines(const std::vector<Change>& changes) {
  std::vector<std::string> out;
  for (const Change& c : changes) {
    const char* const kSigns[] = {"+", "-", "~", "?"};
    out.push_back(absl::StrCat(kSigns[static_cast<int>(c.kind)], c.path, " ", c.old_value, ">",
                               c.new_value, " ", v1::Effect_Name(c.effect).substr(7)));
  }
  return out;
}

std::vector<std::string> Between(absl::string_view a, absl::string_view b,
                                 const Options& options = {}) {
  const v1::MachineConfig from = Config(a);
  return Lines(Diff(&from, Config(b), options));
}

TEST(Diff, IsEmptyForEqualMeanings) {
  EXPECT_THAT(
      Between("k3s: {role: server, tlsSans: [a, b]}", "k3s: {tlsSans: [b, a], role: server}"),
      IsEmpty());
  EXPECT_THAT(Between("api: {}", "metadata: {labels: {}}"), IsEmpty());
  EXPECT_THAT(Between("k3s: {env: [{name: A, value: x}, {name: B, value: y}]}",
                      "k3s: {env: [{name: B, value: y}, {name: A, value: x}]}"),
              IsEmpty());
}

TEST(Diff, SectionsOfTheMachineHaveTheirOwnEffects) {
  EXPECT_THAT(Between("system: {kernel: {arguments: [quiet], modules: [{name: loop}]}}\n"
                      "storage: {data: {disk: {type: sd}}}\n"
                      "network: {interfaces: [{name: eth0, dhcp4: true}]}",
                      "system: {kernel: {arguments: [debug], sysctls: {vm.swappiness: 10}}}\n"
                      "storage: {data: {disk: {type: nvme}}}\n"
                      "network: {interfaces: [{name: eth0, addresses: [10.0.0.2/24]}]}"),
              ElementsAre("+network.interfaces[eth0].addresses[0] >10.0.0.2/24 LIVE",
                          "-network.interfaces[eth0].dhcp4 true> LIVE",
                          "~storage.data.disk.type sd>nvme REINSTALL",
                          "~system.kernel.arguments [quiet]>[debug] REBOOT",
                          "-system.kernel.modules[loop].name loop> LIVE",
                          "+system.kernel.sysctls[vm.swappiness] >\"10\" LIVE"));
}

TEST(Diff, KeysOfTunnelsDisksAndSinksAreNeverShown) {
  const char* const kOld =
      "network: {interfaces: [{name: wg0, wireguard: {privateKey: old-key, peers: [{name: a, "
      "presharedKey: old-psk}]}}, {name: w, wifi: {psk: old-wifi}}]}\n"
      "storage: {encryption: {passphrase: old-disk}}\n"
      "system: {proxy: {password: old-proxy}, logs: {sinks: [{name: a, key: old-log}]}}\n"
      "audit: {sinks: [{name: a, token: old-audit}]}";
  std::string changed(kOld);
  for (size_t at = changed.find("old-"); at != std::string::npos; at = changed.find("old-", at)) {
    changed.replace(at, 4, "new-");
  }
  const std::vector<std::string> lines = Between(kOld, changed);
  EXPECT_EQ(lines.size(), 7u);
  for (const std::string& line : lines) {
    EXPECT_THAT(line, ::testing::HasSubstr("(redacted)>(redacted)"));
    EXPECT_THAT(line, ::testing::Not(::testing::HasSubstr("old-")));
    EXPECT_THAT(line, ::testing::Not(::testing::HasSubstr("new-")));
  }
}

TEST(Diff, ComparesByElementAndInheritsEffects) {
  EXPECT_THAT(Between("metadata: {name: a, labels: {x: y, s: old}}\n"
                      "k3s: {tlsSans: [a, b], cluster: {init: true}, env: [{name: A, value: x}]}",
                      "metadata: {name: b, labels: {s: new}}\n"
                      "k3s: {tlsSans: [b, c], cluster: {init: false}, env: [{name: A, value: z}]}"),
              ElementsAre("~k3s.cluster.init true>false RESTART_K3S",
                          "~k3s.env[A].value x>z RESTART_K3S", "-k3s.tlsSans[0] a> RESTART_K3S",
                          "+k3s.tlsSans[1] >c RESTART_K3S", "~metadata.labels[s] old>new LIVE",
                          "-metadata.labels[x] \"y\"> LIVE", "~metadata.name a>b REINSTALL"));
}

TEST(Diff, AgainstNothingEverythingIsAddedAndNothingIsInstalledAnew) {
  EXPECT_THAT(Lines(Diff(nullptr, Config("metadata: {name: a}\nk3s: {role: agent}"))),
              ElementsAre("+k3s.role >agent RESTART_K3S", "+metadata.name >a LIVE"));
}

TEST(Diff, AtomicListsChangeAsAWhole) {
  EXPECT_THAT(Between("k3s: {node: {ip: [10.0.0.1]}}", "k3s: {node: {ip: [10.0.0.2]}}"),
              ElementsAre("~k3s.node.ip [10.0.0.1]>[10.0.0.2] RESTART_K3S"));
}

TEST(Diff, SecretsAreComparedAndNeverShown) {
  const char* const kA =
      "k3s: {token: aaa, agentToken: same, config: {etcd-s3-secret-key: p}, "
      "manifests: [{name: m, content: x}]}";
  const char* const kB =
      "k3s: {token: bbb, agentToken: same, config: {etcd-s3-secret-key: q}, "
      "manifests: [{name: m, content: z}]}";
  EXPECT_THAT(Between(kA, kB),
              ElementsAre("~k3s.config[etcd-s3-secret-key] (redacted)>(redacted) RESTART_K3S",
                          "~k3s.manifests[m].content (redacted)>(redacted) LIVE",
                          "~k3s.token (redacted)>(redacted) RESTART_K3S"));
  EXPECT_THAT(
      Between("k3s: {token: a}", "k3s: {agentToken: b}"),
      ElementsAre("+k3s.agentToken >(redacted) RESTART_K3S", "-k3s.token (redacted)> RESTART_K3S"));
}

TEST(Diff, SecretsThatMayNotBeComparedTellNothing) {
  // Equal or not: the same answer, so a caller cannot guess values.
  for (const char* other : {"k3s: {token: aaa}", "k3s: {token: bbb}"}) {
    const v1::MachineConfig from = Config("k3s: {token: aaa}");
    const auto changes = Diff(&from, Config(other), {.compare_secrets = false});
    EXPECT_THAT(Lines(changes), ElementsAre("?k3s.token (redacted)>(redacted) RESTART_K3S"));
    EXPECT_EQ(TotalEffect(changes), v1::EFFECT_NONE);
    EXPECT_FALSE(SameMeaning(changes));
  }
}

TEST(Diff, EveryKindOfFieldIsCompared) {
  // Entries of K3s's own keys: a text is not the value that is spelt like it.
  EXPECT_THAT(Between("k3s: {config: {v: 2, debug: true, disable: [a, b], flannel-backend: none}}",
                      "k3s: {config: {v: \"2\", debug: true, disable: [b, a]}}"),
              ElementsAre("~k3s.config[disable] [a, b]>[b, a] RESTART_K3S",
                          "-k3s.config[flannel-backend] none> RESTART_K3S",
                          "~k3s.config[v] 2>\"2\" RESTART_K3S"));
  // An element of a list by name: each of its fields, with the effect of that field.
  EXPECT_THAT(
      Between("k3s: {images: [{name: a, artifacts: {arm: {urls: [x], sha256: s, size: 1}}}]}",
              "k3s: {images: [{name: a, artifacts: {arm: {urls: [w], sha256: t}}}]}"),
      ElementsAre("~k3s.images[a].artifacts.arm.sha256 s>t RESTART_K3S",
                  "-k3s.images[a].artifacts.arm.size 1> LIVE",
                  "~k3s.images[a].artifacts.arm.urls [x]>[w] LIVE"));
  EXPECT_THAT(Between("metadata: {labels: {a: \"\"}, allow: [downgrade]}",
                      "metadata: {labels: {a: b}, apply: {mode: try}}"),
              ElementsAre("-metadata.allow[0] downgrade> NONE", "+metadata.apply.mode >try NONE",
                          "~metadata.labels[a] \"\">b LIVE"));
}

// age gives the same value another text each time.
TEST(Diff, SealedTextsAreNotComparedUnlessTheyAreTheSame) {
  auto token = [](bool sealed, const char* text) {
    v1::MachineConfig config;
    v1::Secret& secret = *config.mutable_k3s()->mutable_token();
    sealed ? secret.set_sealed(text) : secret.set_plain(text);
    return config;
  };
  const v1::MachineConfig from = token(true, "one");
  EXPECT_THAT(Diff(&from, token(true, "one")), IsEmpty());
  for (const v1::MachineConfig& to : {token(true, "two"), token(false, "one")}) {
    const std::vector<Change> changes = Diff(&from, to);
    ASSERT_EQ(changes.size(), 1u);
    EXPECT_EQ(changes[0].kind, ChangeKind::kNotCompared);
    EXPECT_FALSE(SameMeaning(changes));
  }
}

TEST(Diff, WritingADefaultOutChangesNothing) {
  const v1::MachineConfig from = schema::Resolve(
      Config("metadata: {name: a}\nk3s: {cluster: {init: true}, snapshots: {}}\napi: {}"));
  const v1::MachineConfig to = schema::Resolve(
      Config("metadata: {name: a, apply: {mode: commit}}\n"
             "k3s: {cluster: {init: true}, snapshots: {enabled: true, retention: 5}, "
             "health: {readyz: 120s}}\napi: {anonymousDelivery: false}"));
  EXPECT_THAT(Lines(Diff(&from, to)), IsEmpty());
}

TEST(Diff, TotalEffectIsTheLargest) {
  EXPECT_EQ(TotalEffect({}), v1::EFFECT_NONE);
  const v1::MachineConfig from = Config("metadata: {labels: {a: b}}");
  EXPECT_EQ(TotalEffect(Diff(&from, Config("k3s: {version: x}"))), v1::EFFECT_RESTART_K3S);
}

TEST(Diff, WhatK3sKeepsFromItsFirstStartIsAReinstall) {
  EXPECT_THAT(Between("k3s: {config: {cluster-cidr: 10.42.0.0/16, disable: [a]}}",
                      "k3s: {config: {cluster-cidr: 10.52.0.0/16, disable: [b]}}"),
              ElementsAre("~k3s.config[cluster-cidr] 10.42.0.0/16>10.52.0.0/16 REINSTALL",
                          "~k3s.config[disable] [a]>[b] RESTART_K3S"));
  // The same value in other words, and a default that is written down.
  EXPECT_THAT(Between("k3s: {config: {cluster-cidr: 10.42.0.0/16}}",
                      "k3s: {config: {cluster-cidr: [10.42.0.0/16], cluster-domain: cluster.local, "
                      "cluster-dns: 10.43.0.10, secrets-encryption: false}}"),
              ElementsAre("~k3s.config[cluster-cidr] 10.42.0.0/16>[10.42.0.0/16] RESTART_K3S",
                          "+k3s.config[cluster-dns] >10.43.0.10 RESTART_K3S",
                          "+k3s.config[cluster-domain] >cluster.local RESTART_K3S",
                          "+k3s.config[secrets-encryption] >false RESTART_K3S"));
}

TEST(Diff, OnlyFreeMetadataKeepsTheMeaning) {
  const v1::MachineConfig from = schema::Resolve(Config("metadata: {name: a, generation: 1}"));
  auto changed = [&](absl::string_view text) { return Diff(&from, schema::Resolve(Config(text))); };
  EXPECT_TRUE(
      SameMeaning(changed("metadata: {name: a, generation: 2, reason: why, "
                          "apply: {mode: try}}")));
  EXPECT_FALSE(SameMeaning(changed("metadata: {name: a, generation: 2, labels: {x: y}}")));
  EXPECT_FALSE(SameMeaning(changed("metadata: {name: a, generation: 1, epoch: 2}")));
  EXPECT_FALSE(SameMeaning(changed("metadata: {name: a, generation: 1, allow: [roleChange]}")));
  EXPECT_TRUE(IsFreePath("metadata.apply.mode"));
  EXPECT_FALSE(IsFreePath("metadata.reasons"));
  EXPECT_FALSE(IsFreePath("metadata.allow[0]"));
}

}  // namespace
}  // namespace basalt::diff
