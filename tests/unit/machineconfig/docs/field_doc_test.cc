#include "machineconfig/docs/field_doc.h"

#include <gmock/gmock.h>

#include <functional>
#include <set>

#include "api/coded_status.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"
#include "machineconfig/docs/comments.h"

namespace basalt::docs {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

FieldDoc At(absl::string_view path) {
  absl::StatusOr<FieldDoc> doc = Explain(path);
  EXPECT_TRUE(doc.ok()) << path << ": " << doc.status();
  return doc.ok() ? *doc : FieldDoc{};
}

std::string HintOf(absl::string_view path) {
  absl::StatusOr<FieldDoc> doc = Explain(path);
  if (doc.ok()) return "(found)";
  EXPECT_EQ(api::Reason(doc.status()), "unknown-path");
  return api::Hint(doc.status());
}

void ForEach(const FieldDoc& doc, const std::function<void(const FieldDoc&)>& visit) {
  for (const FieldDoc& field : doc.fields) {
    visit(field);
    ForEach(field, visit);
  }
}

TEST(Explain, TellsEverythingThatTheAnnotationsSay) {
  const FieldDoc within = At("metadata.apply.confirmWithin");
  EXPECT_EQ(within.kind, "MachineConfig");
  EXPECT_EQ(within.type, "string");
  EXPECT_EQ(within.format, "duration");
  EXPECT_THAT(within.format_words, HasSubstr("1h30m"));
  EXPECT_EQ(within.default_text, "5m");
  EXPECT_EQ(within.example, "10m");
  EXPECT_EQ(within.since, "0.1.0");
  EXPECT_FALSE(within.required);
  EXPECT_THAT(within.description, HasSubstr("nodectl confirm"));

  EXPECT_TRUE(At("metadata.generation").filled_in);
  EXPECT_TRUE(At("k3s.token").secret);
  EXPECT_EQ(At("k3s.token").type, "secret");
  EXPECT_EQ(At("k3s.registries.mirrors").element_key, "name");
  EXPECT_EQ(At("k3s.registries.mirrors").limits, "at most 64 elements");
  EXPECT_EQ(At("metadata.labels").key_format, "label-key");
}

TEST(Explain, WhatCannotStandBesideAFieldIsSaid) {
  EXPECT_EQ(At("network.interfaces.vlan").excludes,
            (std::vector<std::string>{"bond", "bridge", "wireguard", "wifi"}));
  EXPECT_EQ(At("storage.zram.size").excludes, std::vector<std::string>{"percent"});
  EXPECT_TRUE(At("network.interfaces.mtu").excludes.empty());
}

TEST(Explain, EveryExampleCanBeRead) {
  int sections = 0;
  for (const auto* kind : Kinds()) {
    ForEach(DescribeKind(*kind), [&](const FieldDoc& field) {
      if (field.example.empty() || field.fields.empty()) return;
      EXPECT_THAT(field.example_json, Not(HasSubstr("null"))) << field.path;
      ++sections;
    });
  }
  EXPECT_GE(sections, 10);
  EXPECT_EQ(At("network.interfaces.vlan").example_json, R"({"link":"eth0","id":20})");
}

// Whoever writes a config from `explain` alone has something to start from: a default, the allowed
// words, an example. A secret has `nodectl seal`, and no example that somebody would use as it is;
// a certificate or key says by its format what it is.
TEST(Explain, EveryValueHasADefaultItsWordsOrAnExample) {
  for (const auto* kind : Kinds()) {
    ForEach(DescribeKind(*kind), [](const FieldDoc& field) {
      const bool speaks = !field.default_text.empty() || !field.choices.empty() ||
                          !field.example.empty() || field.type == "boolean";
      const bool by_format = field.format == "pem-certs" || field.format == "public-key";
      if (speaks || by_format || !field.fields.empty() || field.secret || field.k3s) return;
      ADD_FAILURE() << field.kind << " " << field.path << " (" << field.type << " " << field.format
                    << ")";
    });
  }
  EXPECT_THAT(At("k3s.datastore.endpoint").example, HasSubstr("postgres://"));
}

TEST(Explain, SectionsOfTheMachineSayWhatAChangeCosts) {
  EXPECT_EQ(At("network.interfaces.addresses").effect, "live");
  EXPECT_EQ(At("system.image.digest").effect, "reboot");
  EXPECT_EQ(At("system.kernel.arguments").effect, "reboot");
  EXPECT_EQ(At("system.kernel.sysctls").effect, "live");
  EXPECT_EQ(At("system.proxy.noProxy").effect, "restart-k3s");
  EXPECT_EQ(At("storage.data.disk.serial").effect, "reinstall");
  EXPECT_EQ(At("storage.volumes.encryption.passphrase").effect, "live");
  EXPECT_TRUE(At("network.interfaces.wireguard.privateKey").secret);
}

TEST(Explain, ChoicesSayWhatTheyMeanWhereTheSourcesDo) {
  const FieldDoc mode = At("metadata.apply.mode");
  ASSERT_EQ(mode.choices.size(), 3u);
  EXPECT_EQ(mode.choices[1].value, "try");
  EXPECT_THAT(mode.choices[1].means, HasSubstr("nodectl confirm"));
  EXPECT_EQ(At("k3s.role").choices.size(), 2u);
}

TEST(Explain, AnEffectIsInheritedFromTheSectionAbove) {
  EXPECT_EQ(At("k3s.cluster.server").effect, "restart-k3s");  // of k3s.cluster
  EXPECT_EQ(At("k3s.datastore.endpoint").effect, "reinstall");
  EXPECT_EQ(At("k3s.node.labels").effect, "live");  // its own, below restart-k3s
  EXPECT_THAT(At("TrustPolicy.grants.keys").effect, IsEmpty());
}

TEST(Explain, TakesThePathsThatErrorsAndPlansWrite) {
  EXPECT_EQ(At("k3s.registries.mirrors[docker.io].endpoints[0]").path,
            "k3s.registries.mirrors.endpoints");
  EXPECT_EQ(At("k3s.config[kubelet-arg]").path, "k3s.config.kubelet-arg");
  EXPECT_EQ(At("k3s.manifests[a\\].b].content").path, "k3s.manifests.content");
  EXPECT_EQ(At("metadata.labels[example.org/site]").path, "metadata.labels");
  EXPECT_EQ(At("metadata.labels.example.org/site").path, "metadata.labels");
}

TEST(Explain, KindsAreNamedFirstAndInAnyCase) {
  EXPECT_EQ(At("").kind, "MachineConfig");
  EXPECT_EQ(At("MachineConfig.k3s.role").path, "k3s.role");
  EXPECT_EQ(At("Action").kind, "Action");
  EXPECT_EQ(At("trustpolicy.grants.for").choices.size(), 5u);
}

TEST(Explain, K3sKeysComeFromTheCatalogue) {
  const FieldDoc arg = At("k3s.config.kubelet-arg");
  ASSERT_TRUE(arg.k3s.has_value());
  EXPECT_EQ(arg.k3s->on, "servers and agents");
  EXPECT_EQ(arg.type, "list of strings");
  EXPECT_EQ(arg.effect, "restart-k3s");

  const FieldDoc old = At("k3s.config.no-deploy");
  EXPECT_EQ(old.k3s->on, "servers");
  EXPECT_EQ(old.k3s->until, "v1.24");
  EXPECT_EQ(old.k3s->instead, "disable");
  EXPECT_EQ(At("k3s.config.token").k3s->use, "k3s.token");
  EXPECT_THAT(At("k3s.config.docker").k3s->refused, HasSubstr("containerd"));
  EXPECT_EQ(At("k3s.config.disable-apiserver-lb").k3s->on, "agents");
  EXPECT_EQ(At("k3s.config.kine-tls").k3s->ports, "v1.27.13, v1.28.9, v1.29.4");
  const FieldDoc backend = At("k3s.config.flannel-backend");
  EXPECT_EQ(backend.default_text, "vxlan");
  EXPECT_EQ(backend.choices.back().value, "ipsec");
  EXPECT_THAT(backend.choices.back().means, HasSubstr("until v1.26; then wireguard-native"));
  EXPECT_TRUE(At("k3s.config.etcd-s3-secret-key").secret);
}

TEST(Explain, WhatBelongsToTheClusterIsSaid) {
  for (const char* path : {"k3s.config.cluster-cidr", "k3s.token", "k3s.datastore.endpoint",
                           "k3s.hardening.profile"}) {
    EXPECT_TRUE(At(path).cluster) << path;
  }
  for (const char* path : {"k3s.config.kubelet-arg", "k3s.node.labels", "k3s.nodePassword"}) {
    EXPECT_FALSE(At(path).cluster) << path;
  }
  // What K3s keeps from its first start.
  EXPECT_EQ(At("k3s.config.cluster-cidr").effect, "reinstall");
  EXPECT_EQ(At("k3s.config.secrets-encryption").effect, "reinstall");
}

TEST(Explain, AnUnknownPathNamesTheNearest) {
  EXPECT_THAT(HintOf("k3s.registries.mirors"), HasSubstr("`k3s.registries.mirrors`"));
  EXPECT_THAT(HintOf("TrustPolicy.grnts"), HasSubstr("`TrustPolicy.grants`"));
  EXPECT_THAT(HintOf("k3s.config.kubelet-args"), HasSubstr("`k3s.config.kubelet-arg`"));
  // Elsewhere in the document, or in K3s's own file.
  EXPECT_THAT(HintOf("mirrors"), HasSubstr("`k3s.registries.mirrors`"));
  EXPECT_THAT(HintOf("kubelet-arg"), HasSubstr("`k3s.config.kubelet-arg`"));
  // Nothing near: what there is.
  EXPECT_THAT(HintOf("k3s.cluster.zzzzzz"), HasSubstr("init, server, caHash"));
  EXPECT_THAT(HintOf("k3s.role.zzzzzz"), HasSubstr("no fields below"));
  EXPECT_THAT(HintOf("k3s..role"), Not(IsEmpty()));
  EXPECT_THAT(HintOf("k3s.role[server"), Not(HasSubstr("(found)")));
}

TEST(Explain, EveryPathThatIsListedIsKnown) {
  const std::vector<std::string> paths = AllPaths();
  EXPECT_GT(paths.size(), 250u);
  EXPECT_EQ(std::set<std::string>(paths.begin(), paths.end()).size(), paths.size());
  for (const std::string& path : paths) EXPECT_TRUE(Explain(path).ok()) << path;
}

TEST(Explain, NothingIsLeftUndescribed) {
  for (const auto* kind : Kinds()) {
    ForEach(DescribeKind(*kind), [](const FieldDoc& field) {
      EXPECT_THAT(field.description, Not(IsEmpty())) << field.kind << " " << field.path;
      EXPECT_THAT(field.type, Not(HasSubstr("value"))) << field.path;
      if (!field.format.empty() || !field.pattern.empty()) {
        EXPECT_THAT(field.format_words, Not(IsEmpty())) << field.path;
      }
      EXPECT_EQ(field.effect.empty(), field.effect_words.empty()) << field.effect;
    });
  }
  for (int i = 1; i < v1::Format_descriptor()->value_count(); ++i) {
    const auto format = static_cast<v1::Format>(v1::Format_descriptor()->value(i)->number());
    EXPECT_THAT(std::string(FormatWords(format)), Not(IsEmpty())) << FormatName(format);
  }
}

TEST(Comments, AreFoundByFullNameAndAreOneLine) {
  EXPECT_EQ(CommentOf("basalt.v1.Metadata.name"), "Host name and K3s node name.");
  EXPECT_EQ(CommentOf("basalt.v1.Metadata.nam"), "");
  for (const CommentEntry& entry : CommentTable()) {
    EXPECT_EQ(entry.text.find('\n'), absl::string_view::npos) << entry.name;
  }
}

}  // namespace
}  // namespace basalt::docs
