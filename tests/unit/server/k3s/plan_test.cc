#include "server/k3s/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/coded_status.h"
#include "tests/unit/server/k3s/configs.h"

namespace basalt::k3s {
namespace {

using testing::AgentConfig;
using ::testing::ElementsAre;
using testing::Facts;
using ::testing::HasSubstr;
using testing::ServerConfig;

constexpr int64_t kMi = 1 << 20;
const MachineSize kBig{.memory = 8192 * kMi, .cpus = 4};

std::vector<std::string> Steps(const v1::MachineConfig* from, const v1::MachineConfig& to) {
  absl::StatusOr<engine::ControllerPlan> plan = PlanK3s(from, to, Facts(), kBig);
  EXPECT_TRUE(plan.ok()) << plan.status();
  std::vector<std::string> out;
  for (const engine::PlanStep& step : plan->steps) out.push_back(step.description);
  return out;
}

TEST(K3sPlan, FirstStartFetchesAndStarts) {
  EXPECT_THAT(Steps(nullptr, ServerConfig()),
              ElementsAre(HasSubstr("fetch and verify K3s v1.30.4+k3s1"),
                          "start K3s v1.30.4+k3s1 as server"));
}

TEST(K3sPlan, NothingChangedNothingPlanned) {
  v1::MachineConfig config = ServerConfig();
  EXPECT_THAT(Steps(&config, config), ElementsAre());
}

TEST(K3sPlan, ARestartForTheSystemSectionNamesIt) {
  v1::MachineConfig from = ServerConfig();
  v1::MachineConfig to = from;
  to.mutable_system()->mutable_proxy()->set_https("http://proxy.example.org:3128");
  EXPECT_THAT(Steps(&from, to),
              ElementsAre("restart K3s; pods keep running (changed: system.proxy)"));
  from = to;
  to.mutable_system()->add_ca_certificates()->set_certificate("PEM");
  EXPECT_THAT(Steps(&from, to),
              ElementsAre("restart K3s; pods keep running (changed: system.caCertificates)"));
}

TEST(K3sPlan, WhereTheImageHardensTheKernelNobodyHasToSaySo) {
  v1::MachineConfig to = ServerConfig();
  to.mutable_k3s()->mutable_hardening()->set_profile("cis");
  NodeFacts facts = Facts();
  EXPECT_EQ(PlanK3s(nullptr, to, facts, kBig)->warnings.size(), 2u);
  facts.hardened_kernel = true;
  EXPECT_EQ(PlanK3s(nullptr, to, facts, kBig)->warnings.size(), 1u);  // of resolv.conf
}

TEST(K3sPlan, K6_LiveChangesAreLive) {
  v1::MachineConfig from = ServerConfig(), to = ServerConfig();
  (*from.mutable_k3s()->mutable_node()->mutable_labels())["old"] = "1";
  (*to.mutable_k3s()->mutable_node()->mutable_labels())["site"] = "lab";
  to.mutable_k3s()->add_manifests()->set_name("m");
  absl::StatusOr<engine::ControllerPlan> plan = PlanK3s(&from, to, Facts(), kBig);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->steps.size(), 3u);
  for (const engine::PlanStep& step : plan->steps)
    EXPECT_EQ(step.effect, v1::EFFECT_LIVE) << step.description;
}

TEST(K3sPlan, RestartNamesWhatChangedAndShowsNoSecret) {
  v1::MachineConfig from = ServerConfig(), to = ServerConfig();
  to.mutable_k3s()->mutable_token()->set_plain("another-token-0123456789");
  EXPECT_THAT(Steps(&from, to), ElementsAre("restart K3s; pods keep running (changed: token)"));
}

TEST(K3sPlan, RoleChangeAndRemovalAreSpelledOut) {
  v1::MachineConfig from = ServerConfig();
  EXPECT_THAT(Steps(&from, AgentConfig()),
              ElementsAre("stop the K3s server and start K3s as agent"));
  v1::MachineConfig none = ServerConfig();
  none.clear_k3s();
  EXPECT_THAT(Steps(&from, none), ElementsAre(HasSubstr("its data is kept")));
}

TEST(K3sPlan, TaintChangesSayWhatTheyNeed) {
  v1::MachineConfig from = ServerConfig(), to = ServerConfig();
  to.mutable_k3s()->mutable_node()->add_taints("a=b:NoSchedule");
  absl::StatusOr<engine::ControllerPlan> plan = PlanK3s(&from, to, Facts(), kBig);
  ASSERT_EQ(plan->warnings.size(), 1u);
  EXPECT_THAT(plan->warnings[0], HasSubstr("kubectl taint"));
}

TEST(Guards, BelowTheRecommendationWarnsBelowHalfRefuses) {
  v1::K3s k3s = ServerConfig().k3s();
  EXPECT_TRUE(CheckGuards(k3s, {.memory = 2048 * kMi, .cpus = 2}, 0).warnings.empty());
  GuardResult low = CheckGuards(k3s, {.memory = 1024 * kMi, .cpus = 1}, 0);
  EXPECT_TRUE(low.error.ok());
  EXPECT_EQ(low.warnings.size(), 2u);
  EXPECT_EQ(api::Reason(CheckGuards(k3s, {.memory = 512 * kMi, .cpus = 4}, 0).error),
            "guard-memory");
  v1::K3s agent = AgentConfig().k3s();
  EXPECT_TRUE(CheckGuards(agent, {.memory = 512 * kMi, .cpus = 1}, 0).warnings.empty());
}

TEST(Guards, AnOverrideTurnsTheRefusalIntoAWarningWithItsReason) {
  v1::K3s k3s = ServerConfig().k3s();
  k3s.mutable_cluster()->set_init(true);
  MachineSize card = kBig;
  card.data_on_flash = true;
  EXPECT_EQ(api::Reason(CheckGuards(k3s, card, 0).error), "guard-etcd-on-flash");
  v1::GuardOverride* override = k3s.add_overrides();
  override->set_guard("etcdOnFlash");
  override->set_reason("lab only");
  GuardResult result = CheckGuards(k3s, card, 0);
  EXPECT_TRUE(result.error.ok());
  EXPECT_THAT(result.warnings, ElementsAre(HasSubstr("lab only")));
}

TEST(Guards, AFullDiskIsRefused) {
  MachineSize full = kBig;
  full.free_bytes = 20 * kMi;
  EXPECT_EQ(api::Reason(CheckGuards(ServerConfig().k3s(), full, 60 * kMi).error),
            "guard-disk-space");
}

}  // namespace
}  // namespace basalt::k3s
