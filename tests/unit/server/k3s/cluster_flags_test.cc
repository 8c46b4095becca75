#include "server/k3s/cluster_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/server/k3s/configs.h"

namespace basalt::k3s {
namespace {

using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST(ClusterFlags, AreThoseThatEveryServerMustShare) {
  v1::K3s k3s = testing::ServerConfig().k3s();
  k3s.mutable_cluster()->set_init(true);
  EXPECT_THAT(ClusterFlags(k3s), UnorderedElementsAre(Pair("servicelb", "enabled")));
  auto& config = *k3s.mutable_config();
  config["cluster-cidr"].set_text("10.52.0.0/16");
  config["cluster-dns"].mutable_list()->add_values("10.53.0.10");
  config["secrets-encryption"].set_boolean(true);
  config["kubelet-arg"].mutable_list()->add_values("max-pods=50");  // the node's own affair
  config["supervisor-metrics"].set_boolean(true);
  config["disable"].mutable_list()->add_values("traefik");
  config["disable"].mutable_list()->add_values("servicelb");
  EXPECT_THAT(
      ClusterFlags(k3s),
      UnorderedElementsAre(Pair("cluster-cidr", "10.52.0.0/16"), Pair("cluster-dns", "10.53.0.10"),
                           Pair("secrets-encryption", "true"), Pair("supervisor-metrics", "true"),
                           Pair("servicelb", "disabled")));
  k3s.mutable_hardening()->set_profile("cis");
  EXPECT_THAT(ClusterFlags(k3s), ::testing::Contains(Pair("hardening", "cis")));
}

TEST(ClusterFlags, OfAnAgentAndOfAServerAloneAreNone) {
  v1::K3s alone = testing::ServerConfig().k3s();
  (*alone.mutable_config())["cluster-cidr"].set_text("10.52.0.0/16");
  EXPECT_THAT(ClusterFlags(alone), IsEmpty());
  EXPECT_THAT(ClusterFlags(testing::AgentConfig().k3s()), IsEmpty());
  alone.mutable_datastore()->mutable_endpoint()->set_plain("postgres://u:p@h/db");
  EXPECT_FALSE(ClusterFlags(alone).empty());
}

}  // namespace
}  // namespace basalt::k3s
