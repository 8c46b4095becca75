#include "client/commands/signing.h"

#include <gmock/gmock.h>

#include "machineconfig/schema/secrets.h"

namespace basalt::client {
namespace {

using ::testing::ElementsAre;

const absl::Time kNow = absl::FromUnixSeconds(1795478400);  // 2026-11-24T00:00:00Z

TEST(FillIn, FillsWhatIsAbsentAndSaysSo) {
  v1::MachineConfig config;
  auto lines = FillIn(config, {.now = kNow, .epoch = 2, .floor_generation = 5, .machine_id = "ab"});
  EXPECT_THAT(lines,
              ElementsAre("metadata.epoch: 2", "metadata.generation: 20261124000000",
                          "metadata.signedAt: 2026-11-24T00:00:00Z", "target.machineId: ab"));
}

TEST(FillIn, KeepsWhatAPersonWrote) {
  v1::MachineConfig config;
  config.mutable_metadata()->set_epoch(1);
  config.mutable_metadata()->set_generation(3);
  config.mutable_metadata()->set_signed_at("2026-01-01T00:00:00Z");
  config.mutable_target()->set_serial("s");
  EXPECT_TRUE(FillIn(config, {.now = kNow, .epoch = 2, .machine_id = "ab"}).empty());
  EXPECT_EQ(config.metadata().generation(), 3);
  EXPECT_FALSE(config.target().has_machine_id());
}

TEST(FillIn, S2_GenerationIsAboveTheFloorAlsoWhenOurClockIsBehind) {
  v1::MachineConfig config;
  FillIn(config, {.now = kNow, .epoch = 1, .floor_generation = 20270101000000});
  EXPECT_EQ(config.metadata().generation(), 20270101000001);
}

TEST(Secrets, PlaintextIsFoundWhereverItStands) {
  v1::MachineConfig config;
  config.mutable_k3s()->mutable_token()->set_plain("x");
  config.mutable_k3s()->mutable_agent_token()->set_sealed("age");
  v1::RegistryConfig* registry = config.mutable_k3s()->mutable_registries()->add_configs();
  registry->set_name("docker.io");
  registry->mutable_password()->set_plain("y");
  EXPECT_THAT(schema::PlaintextSecrets(config),
              ElementsAre("k3s.token", "k3s.registries.configs[docker.io].password"));
}

TEST(ApplyOptions, ModeIsSetAndAnUnknownOneRefused) {
  v1::MachineConfig config;
  ASSERT_TRUE(
      SetApplyOptions(config, {.mode = "try", .confirm_within = "10m", .reason = "r"}).ok());
  EXPECT_EQ(config.metadata().apply().mode(), v1::APPLY_MODE_TRY);
  EXPECT_EQ(config.metadata().apply().confirm_within(), "10m");
  EXPECT_FALSE(SetApplyOptions(config, {.mode = "sometimes"}).ok());
}

}  // namespace
}  // namespace basalt::client
