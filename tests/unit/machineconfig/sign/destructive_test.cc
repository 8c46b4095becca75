#include <string>

#include "machineconfig/sign/policy.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

v1::MachineConfig Server() {
  v1::MachineConfig config;
  config.mutable_metadata()->set_cluster("home");
  config.mutable_metadata()->set_name("n1");
  config.mutable_k3s()->set_role(v1::K3S_ROLE_SERVER);
  config.mutable_k3s()->set_version("v1.30.4+k3s1");
  return config;
}

template <typename Change>
v1::MachineConfig With(v1::MachineConfig config, Change change) {
  change(config);
  return config;
}

absl::Status Try(const v1::MachineConfig& from, const v1::MachineConfig& to) {
  return CheckDestructive(diff::Diff(&from, to), &from, to);
}

// Refused with `word` in the hint, and accepted once it is allowed; nothing else helps.
void ExpectNeeds(const std::string& word, const v1::MachineConfig& from, v1::MachineConfig to) {
  absl::Status status = Try(from, to);
  EXPECT_THAT(status, HasReason("needs-allow")) << word;
  EXPECT_THAT(api::Hint(status), HasSubstr("[" + word + "]"));
  for (const char* other :
       {"roleChange", "datastoreChange", "removeK3s", "downgrade", "wipeVolume"}) {
    if (other != word) to.mutable_metadata()->add_allow(other);
  }
  EXPECT_THAT(Try(from, to), HasReason("needs-allow")) << word;
  to.mutable_metadata()->add_allow(word);
  EXPECT_TRUE(Try(from, to).ok()) << Try(from, to);
}

TEST(Destructive, AFirstConfigDestroysNothing) {
  v1::MachineConfig to = Server();
  EXPECT_TRUE(CheckDestructive(diff::Diff(nullptr, to), nullptr, to).ok());
}

TEST(Destructive, OrdinaryChangesNeedNoWord) {
  v1::MachineConfig from = Server();
  for (const v1::MachineConfig& to : {
           Server(),
           With(Server(), [](auto& c) { c.mutable_k3s()->set_version("v1.31.0+k3s1"); }),
           With(Server(), [](auto& c) { c.mutable_k3s()->set_version("v1.30.10+k3s1"); }),
           With(Server(), [](auto& c) { (*c.mutable_metadata()->mutable_labels())["a"] = "b"; }),
           With(Server(), [](auto& c) { c.mutable_k3s()->add_tls_sans("k8s.example"); }),
       }) {
    EXPECT_TRUE(Try(from, to).ok()) << Try(from, to);
  }
  v1::MachineConfig bare = Server();
  bare.clear_k3s();
  EXPECT_TRUE(Try(bare, Server()).ok());
}

TEST(Destructive, S4_ARoleFlipNeedsRoleChange) {
  v1::MachineConfig agent =
      With(Server(), [](auto& c) { c.mutable_k3s()->set_role(v1::K3S_ROLE_AGENT); });
  ExpectNeeds("roleChange", Server(), agent);
  ExpectNeeds("roleChange", agent, Server());
}

TEST(Destructive, AnotherKindOfDatastoreNeedsDatastoreChange) {
  v1::MachineConfig sqlite = Server();
  v1::MachineConfig etcd =
      With(Server(), [](auto& c) { c.mutable_k3s()->mutable_cluster()->set_init(true); });
  v1::MachineConfig joined = With(
      Server(), [](auto& c) { c.mutable_k3s()->mutable_cluster()->set_server("https://n0:6443"); });
  auto external = [](const std::string& url) {
    return With(Server(), [&](auto& c) {
      c.mutable_k3s()->mutable_datastore()->mutable_endpoint()->set_plain(url);
    });
  };
  v1::MachineConfig postgres = external("postgres://k3s:one@db.example:5432/k3s");
  ExpectNeeds("datastoreChange", sqlite, etcd);
  ExpectNeeds("datastoreChange", etcd, sqlite);
  ExpectNeeds("datastoreChange", sqlite, postgres);
  ExpectNeeds("datastoreChange", postgres, etcd);
  ExpectNeeds("datastoreChange", postgres, external("mysql://k3s:one@db.example:5432/k3s"));
  ExpectNeeds("datastoreChange", postgres, external("postgres://k3s:one@db2.example:5432/k3s"));
  // The first server of a cluster that later joins by URL keeps its etcd.
  EXPECT_TRUE(Try(etcd, joined).ok());
  // A new password is no new datastore, also one with an @ in it.
  EXPECT_TRUE(Try(postgres, external("postgres://k3s:t@wo@db.example:5432/k3s")).ok());
}

TEST(Destructive, RemovingK3sNeedsRemoveK3s) {
  ExpectNeeds("removeK3s", Server(), With(Server(), [](auto& c) { c.clear_k3s(); }));
}

TEST(Destructive, AnOlderVersionNeedsDowngrade) {
  for (const char* older : {"v1.30.3+k3s1", "v1.29.9+k3s1", "v0.31.9+k3s1", "v1.9.99+k3s2"}) {
    ExpectNeeds("downgrade", Server(),
                With(Server(), [&](auto& c) { c.mutable_k3s()->set_version(older); }));
  }
  // A rebuild of the same Kubernetes is none.
  v1::MachineConfig from =
      With(Server(), [](auto& c) { c.mutable_k3s()->set_version("v1.30.4+k3s2"); });
  EXPECT_TRUE(Try(from, Server()).ok());
}

TEST(Destructive, AllMissingWordsAreNamedAtOnce) {
  v1::MachineConfig to = With(Server(), [](auto& c) {
    c.mutable_k3s()->set_role(v1::K3S_ROLE_AGENT);
    c.mutable_k3s()->set_version("v1.29.0+k3s1");
  });
  EXPECT_THAT(api::Hint(Try(Server(), to)), HasSubstr("[roleChange, downgrade]"));
}

TEST(Destructive, WhatIsFixedAtInstallationNeedsReinstallWhateverIsAllowed) {
  auto key = [](const std::string& name, const std::string& value) {
    return With(Server(),
                [&](auto& c) { (*c.mutable_k3s()->mutable_config())[name].set_text(value); });
  };
  for (v1::MachineConfig to : {
           With(Server(), [](auto& c) { c.mutable_metadata()->set_name("n2"); }),
           With(Server(), [](auto& c) { c.mutable_metadata()->set_cluster("office"); }),
           key("cluster-cidr", "10.52.0.0/16"),
           key("service-cidr", "10.53.0.0/16"),
           key("cluster-domain", "home.arpa"),
       }) {
    EXPECT_THAT(Try(Server(), to), HasReason("needs-reinstall"));
    for (const char* word :
         {"roleChange", "datastoreChange", "removeK3s", "downgrade", "wipeVolume"}) {
      to.mutable_metadata()->add_allow(word);
    }
    EXPECT_THAT(Try(Server(), to), HasReason("needs-reinstall"));
  }
  // Writing the default down changes nothing.
  EXPECT_TRUE(Try(Server(), key("cluster-cidr", "10.42.0.0/16")).ok());
  EXPECT_THAT(Try(key("cluster-cidr", "10.52.0.0/16"), Server()), HasReason("needs-reinstall"));
  // The name server's address is the tenth of the services, unless it is written.
  EXPECT_TRUE(Try(Server(), key("cluster-dns", "10.43.0.10")).ok());
  EXPECT_THAT(Try(Server(), key("cluster-dns", "10.43.0.53")), HasReason("needs-reinstall"));
  // Encryption is decided at the first start.
  auto encrypted = [](bool on) {
    return With(Server(), [&](auto& c) {
      (*c.mutable_k3s()->mutable_config())["secrets-encryption"].set_boolean(on);
    });
  };
  EXPECT_TRUE(Try(Server(), encrypted(false)).ok());
  EXPECT_THAT(Try(Server(), encrypted(true)), HasReason("needs-reinstall"));
  EXPECT_THAT(Try(encrypted(true), Server()), HasReason("needs-reinstall"));
  v1::MachineConfig dual = With(Server(), [](auto& c) {
    auto* list = (*c.mutable_k3s()->mutable_config())["cluster-cidr"].mutable_list();
    list->add_values("10.42.0.0/16");
    list->add_values("fd00::/56");
  });
  EXPECT_THAT(Try(Server(), dual), HasReason("needs-reinstall"));
}

v1::Volume& AddVolume(v1::MachineConfig& config, const std::string& name) {
  v1::Volume& volume = *config.mutable_storage()->add_volumes();
  volume.set_name(name);
  volume.mutable_disk()->set_serial("S1");
  volume.set_filesystem(v1::FILESYSTEM_EXT4);
  return volume;
}

TEST(Destructive, WhatEmptiesAVolumeNeedsTheWord) {
  v1::MachineConfig from = Server();
  AddVolume(from, "a");
  ExpectNeeds("wipeVolume", from, Server());
  ExpectNeeds("wipeVolume", from, With(from, [](auto& c) {
                c.mutable_storage()->mutable_volumes(0)->set_filesystem(v1::FILESYSTEM_XFS);
              }));
  ExpectNeeds("wipeVolume", from, With(from, [](auto& c) {
                c.mutable_storage()->mutable_volumes(0)->mutable_disk()->set_serial("S2");
              }));
  ExpectNeeds(
      "wipeVolume", from, With(from, [](auto& c) {
        c.mutable_storage()->mutable_volumes(0)->mutable_encryption()->set_key(v1::KEY_SOURCE_TPM2);
      }));
  // Also on a node without K3s.
  v1::MachineConfig bare = from;
  bare.clear_k3s();
  ExpectNeeds("wipeVolume", bare, With(bare, [](auto& c) { c.clear_storage(); }));
}

TEST(Destructive, AVolumeMayComeMoveGrowAndGetAnotherPassphrase) {
  v1::MachineConfig from = Server();
  AddVolume(from, "a").mutable_encryption()->set_key(v1::KEY_SOURCE_PASSPHRASE);
  for (const v1::MachineConfig& to : {
           With(from, [](auto& c) { AddVolume(c, "b"); }),
           With(from, [](auto& c) { c.mutable_storage()->mutable_volumes(0)->set_max_size("2T"); }),
           With(from,
                [](auto& c) { c.mutable_storage()->mutable_volumes(0)->set_path("/var/mnt/b"); }),
           With(from,
                [](auto& c) {
                  auto& encryption = *c.mutable_storage()->mutable_volumes(0)->mutable_encryption();
                  encryption.mutable_passphrase()->set_plain("another horse battery");
                }),
       }) {
    EXPECT_TRUE(Try(from, to).ok()) << Try(from, to);
  }
}

TEST(Destructive, TwoVolumesNeedTheWordOnce) {
  v1::MachineConfig from = Server();
  AddVolume(from, "a");
  AddVolume(from, "b");
  const absl::Status status = Try(from, Server());
  EXPECT_THAT(api::Hint(status), HasSubstr("[wipeVolume]"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("storage.volumes[a]"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("storage.volumes[b]"));
}

TEST(Destructive, TheDisksOfAnInstalledNodeStay) {
  v1::MachineConfig from = Server();
  from.mutable_storage()->mutable_data()->mutable_disk()->set_serial("S1");
  from.mutable_system()->mutable_install()->mutable_disk()->set_serial("S0");
  for (const v1::MachineConfig& to : {
           With(from,
                [](auto& c) {
                  c.mutable_storage()->mutable_data()->mutable_disk()->set_serial("S2");
                }),
           With(from,
                [](auto& c) {
                  c.mutable_system()->mutable_install()->mutable_disk()->set_serial("S2");
                }),
           With(from,
                [](auto& c) {
                  c.mutable_storage()->mutable_encryption()->set_key(v1::KEY_SOURCE_NODE);
                }),
       }) {
    EXPECT_THAT(Try(from, to), HasReason("needs-reinstall"));
  }
}

}  // namespace
}  // namespace basalt::sign
