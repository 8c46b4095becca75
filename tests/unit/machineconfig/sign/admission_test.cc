#include <limits>
#include <string>

#include "machineconfig/sign/policy.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

const std::string kThis(64, 'a');
const std::string kOther(64, 'b');

absl::Time At(absl::string_view text) {
  absl::Time out;
  std::string error;
  EXPECT_TRUE(absl::ParseTime(absl::RFC3339_full, text, &out, &error)) << error;
  return out;
}

NodeFacts Facts() {
  return {.machine_id = kThis,
          .serial = "10000000abcdef01",
          .macs = {"dc:a6:32:01:02:03", "dc:a6:32:01:02:04"},
          .medium_id = "stick-7",
          .cluster = "home",
          .epoch = 1,
          .has_config = true,
          .floor_epoch = 1,
          .floor_generation = 20261120000000,
          .floor_digest = Sha256("floor"),
          .active_digest = Sha256("floor"),
          .now = At("2026-11-24T06:00:00Z"),
          .time_synced = true,
          .time_floor = At("2026-11-20T00:00:00Z")};
}

v1::MachineConfig Config() {
  v1::MachineConfig config;
  config.mutable_metadata()->set_cluster("home");
  config.mutable_metadata()->set_name("n1");
  config.mutable_metadata()->set_epoch(1);
  config.mutable_metadata()->set_generation(20261124055900);
  config.mutable_metadata()->set_signed_at("2026-11-24T05:59:00Z");
  config.mutable_target()->set_machine_id(kThis);
  return config;
}

absl::Status Try(const v1::MachineConfig& config, const NodeFacts& facts = Facts(),
                 bool root = false) {
  return Admit(config, Sha256("document"), facts, root);
}

TEST(Admit, AFreshDocumentForThisNodePasses) { EXPECT_TRUE(Try(Config()).ok()); }

TEST(Admit, S4_AnotherMachineIsNamedWithBothIds) {
  v1::MachineConfig config = Config();
  config.mutable_target()->set_machine_id(kOther);
  absl::Status status = Try(config);
  EXPECT_THAT(status, HasReason("wrong-target"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(kThis));
  EXPECT_THAT(std::string(status.message()), HasSubstr(kOther));
  EXPECT_THAT(api::Hint(status), HasSubstr("nodectl pin"));
}

TEST(Admit, S4_AnotherClusterIsNamedWithBothNames) {
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_cluster("office");
  absl::Status status = Try(config);
  EXPECT_THAT(status, HasReason("wrong-cluster"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("office"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("home"));
}

TEST(Admit, S4_HardwareNamesTheTargetOfAFirstConfigOnly) {
  using Set = void (*)(v1::Target&);
  for (auto [right, wrong] : {
           std::pair<Set, Set>{[](v1::Target& t) { t.set_serial("10000000abcdef01"); },
                               [](v1::Target& t) { t.set_serial("10000000abcdef02"); }},
           {[](v1::Target& t) { t.set_mac("dc:a6:32:01:02:04"); },
            [](v1::Target& t) { t.set_mac("dc:a6:32:01:02:05"); }},
           {[](v1::Target& t) { t.set_medium_id("stick-7"); },
            [](v1::Target& t) { t.set_medium_id("stick-8"); }},
       }) {
    NodeFacts first = Facts();
    first.has_config = false;
    v1::MachineConfig config = Config();
    config.mutable_target()->Clear();
    right(*config.mutable_target());
    EXPECT_TRUE(Try(config, first).ok()) << Try(config, first);
    EXPECT_THAT(Try(config, Facts()), HasReason("wrong-target"));
    wrong(*config.mutable_target());
    EXPECT_THAT(Try(config, first), HasReason("wrong-target"));
    // Beside a machine id it is not looked at.
    config.mutable_target()->set_machine_id(kThis);
    EXPECT_TRUE(Try(config, first).ok());
    right(*config.mutable_target());
    config.mutable_target()->set_machine_id(kOther);
    EXPECT_THAT(Try(config, first), HasReason("wrong-target"));
  }
}

TEST(Admit, S4_NoTargetAndUnknownHardwareAreNoMatch) {
  NodeFacts first = Facts();
  first.has_config = false;
  v1::MachineConfig config = Config();
  config.mutable_target()->Clear();
  EXPECT_THAT(Try(config, first), HasReason("wrong-target"));
  first.serial = "";
  config.mutable_target()->set_serial("");
  EXPECT_THAT(Try(config, first), HasReason("wrong-target"));
  config.mutable_target()->Clear();
  first.macs.clear();
  config.mutable_target()->set_mac("");
  EXPECT_THAT(Try(config, first), HasReason("wrong-target"));
}

TEST(Admit, S2_BelowTheFloorIsRefused) {
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_generation(20261119235959);
  absl::Status status = Try(config);
  EXPECT_THAT(status, HasReason("below-floor"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("20261119235959"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("20261120000000"));
  // Root lowers no floor except by an epoch.
  EXPECT_THAT(Try(config, Facts(), true), HasReason("below-floor"));
}

TEST(Admit, S2_AtTheFloorOnlyTheSameDocumentPasses) {
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_generation(20261120000000);
  EXPECT_THAT(Try(config), HasReason("below-floor"));
  EXPECT_TRUE(Admit(config, Sha256("floor"), Facts(), false).ok());
  NodeFacts unknown = Facts();
  unknown.floor_digest.reset();
  EXPECT_THAT(Admit(config, Sha256("floor"), unknown, false), HasReason("below-floor"));
}

TEST(Admit, S2_TheFloorDoesNotMoveWithTheClock) {
  NodeFacts facts = Facts();
  facts.now = absl::UnixEpoch();
  facts.time_synced = false;
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_generation(20261119235959);
  EXPECT_THAT(Try(config, facts), HasReason("below-floor"));
}

TEST(Admit, S3_ANewEpochStartsTheGenerationsAnew) {
  NodeFacts facts = Facts();
  facts.floor_generation = 99990101000000;
  v1::MachineConfig config = Config();
  EXPECT_THAT(Try(config, facts), HasReason("below-floor"));
  facts.epoch = 2;
  EXPECT_THAT(Try(config, facts), HasReason("wrong-epoch"));
  config.mutable_metadata()->set_epoch(2);
  EXPECT_TRUE(Try(config, facts).ok()) << Try(config, facts);
  facts.epoch = 1;
  EXPECT_THAT(Try(config, facts), HasReason("wrong-epoch"));
}

TEST(Admit, S3_GenerationFarAheadNeedsRoot) {
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_generation(20261125070000);  // now + 25 h exactly
  EXPECT_TRUE(Try(config).ok());
  config.mutable_metadata()->set_generation(20261125070001);
  absl::Status status = Try(config);
  EXPECT_THAT(status, HasReason("generation-too-far"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("20261125070000"));
  EXPECT_TRUE(Try(config, Facts(), /*root=*/true).ok());
}

TEST(Admit, S3_WithoutAClockTheLimitIs400DaysBeyondTheFloor) {
  NodeFacts facts = Facts();
  facts.time_synced = false;
  facts.now = At("2031-01-01T00:00:00Z");  // a clock that nobody vouches for
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_generation(20271225000000);  // 2026-11-20 + 400 days
  EXPECT_TRUE(Try(config, facts).ok()) << Try(config, facts);
  config.mutable_metadata()->set_generation(20271225000001);
  EXPECT_THAT(Try(config, facts), HasReason("generation-too-far"));
}

TEST(Admit, D15_TheLastGenerationIsRefusedWithARemedy) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_generation(kMax);
  for (bool root : {false, true}) {
    absl::Status status = Try(config, Facts(), root);
    EXPECT_THAT(status, HasReason("generation-too-far"));
    EXPECT_THAT(api::Hint(status), HasSubstr("higher epoch"));
  }
  // A node whose floor is there already: no wrap, everything below is refused with a hint.
  NodeFacts facts = Facts();
  facts.floor_generation = kMax;
  EXPECT_THAT(Try(Config(), facts), HasReason("below-floor"));
  EXPECT_EQ(DefaultGeneration(facts.now, kMax), kMax);
  EXPECT_EQ(DefaultGeneration(facts.now, kMax - 1), kMax);
}

TEST(Admit, DefaultGenerationIsTheTimeOrOneAboveTheFloor) {
  EXPECT_EQ(DefaultGeneration(At("2026-11-23T22:15:07Z"), 0), 20261123221507);
  EXPECT_EQ(DefaultGeneration(At("2026-11-23T22:15:07Z"), 20261123221507), 20261123221508);
  EXPECT_EQ(DefaultGeneration(At("2026-11-23T22:15:07Z"), -1), 20261123221507);
  EXPECT_EQ(DefaultGeneration(absl::InfiniteFuture(), 0), 99991231235959);
  EXPECT_EQ(DefaultGeneration(absl::InfinitePast(), 5), 10101000000);
}

TEST(Admit, S6_AnExpiredDocumentIsRefusedAndTheClockNamed) {
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_not_after("2026-11-24T06:00:00Z");
  EXPECT_TRUE(Try(config).ok());
  config.mutable_metadata()->set_not_after("2026-11-24T05:59:59Z");
  absl::Status status = Try(config);
  EXPECT_THAT(status, HasReason("expired"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("the node's clock shows"));
  // Without a clock the floor decides, whatever the clock shows.
  NodeFacts facts = Facts();
  facts.time_synced = false;
  EXPECT_TRUE(Try(config, facts).ok()) << Try(config, facts);
  facts.time_floor = At("2026-11-24T06:00:00Z");
  status = Try(config, facts);
  EXPECT_THAT(status, HasReason("expired"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("not synchronised"));
}

TEST(Admit, ADocumentSignedAfterItsOwnEndIsRefused) {
  NodeFacts facts = Facts();
  facts.time_synced = false;
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_not_after("2026-11-24T05:58:00Z");
  EXPECT_THAT(Try(config, facts), HasReason("expired"));
}

TEST(Admit, S6_NotBeforeWaitsOnlyForAClockThatIsRight) {
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_not_before("2026-11-24T06:00:01Z");
  EXPECT_THAT(Try(config), HasReason("not-yet-valid"));
  NodeFacts facts = Facts();
  facts.time_synced = false;
  EXPECT_TRUE(Try(config, facts).ok());
  facts = Facts();
  facts.now = At("2026-11-24T06:00:01Z");
  EXPECT_TRUE(Try(config, facts).ok());
}

TEST(Admit, S3_SignedAtFarAheadIsClockSkewAlsoWithRoot) {
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_signed_at("2026-11-25T06:00:00Z");
  EXPECT_TRUE(Try(config).ok());
  config.mutable_metadata()->set_signed_at("2026-11-25T06:00:01Z");
  EXPECT_THAT(Try(config), HasReason("clock-skew"));
  EXPECT_THAT(Try(config, Facts(), true), HasReason("clock-skew"));
  NodeFacts facts = Facts();
  facts.time_synced = false;
  EXPECT_TRUE(Try(config, facts).ok());
  config.mutable_metadata()->set_signed_at("2027-12-25T00:00:01Z");
  EXPECT_THAT(Try(config, facts), HasReason("clock-skew"));
}

TEST(Admit, AClockBehindTheFloorShowsTheFloor) {
  NodeFacts facts = Facts();
  facts.now = absl::UnixEpoch();
  facts.time_floor = At("2026-11-24T05:00:00Z");
  EXPECT_TRUE(Try(Config(), facts).ok()) << Try(Config(), facts);
}

TEST(Admit, TimesInOtherFormsAreRefused) {
  for (const char* text : {"", "infinite-future", "2026-11-24", "2026-11-24T05:59:00+01:00", "Z"}) {
    v1::MachineConfig config = Config();
    config.mutable_metadata()->set_signed_at(text);
    EXPECT_THAT(Try(config), HasReason("invalid-config")) << text;
  }
}

TEST(Admit, BaseMustBeWhatRuns) {
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_base(Sha256("floor").ToString());
  EXPECT_TRUE(Try(config).ok());
  config.mutable_metadata()->set_base(Sha256("else").ToString());
  absl::Status status = Try(config);
  EXPECT_THAT(status, HasReason("base-mismatch"));
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  NodeFacts none = Facts();
  none.active_digest.reset();
  EXPECT_THAT(Try(config, none), HasReason("base-mismatch"));
}

TEST(Admit, WhatRunsMayBeSentAgainWhateverItsDates) {
  v1::MachineConfig config = Config();
  config.mutable_metadata()->set_generation(20261120000000);
  config.mutable_metadata()->set_not_after("2026-11-21T00:00:00Z");
  config.mutable_metadata()->set_base(Sha256("before").ToString());
  EXPECT_TRUE(Admit(config, Sha256("floor"), Facts(), false).ok());
}

v1::Action Reset() {
  v1::Action action;
  action.set_cluster("home");
  action.set_epoch(1);
  action.mutable_target()->set_machine_id(kThis);
  action.set_verb("reset");
  action.set_signed_at("2026-11-24T05:00:00Z");
  action.set_not_after("2026-11-25T05:00:00Z");
  return action;
}

TEST(AdmitAction, IsBoundToNodeClusterEpochAndADay) {
  EXPECT_TRUE(AdmitAction(Reset(), Facts()).ok()) << AdmitAction(Reset(), Facts());
  auto refused = [](const char* reason, auto change) {
    v1::Action action = Reset();
    change(action);
    EXPECT_THAT(AdmitAction(action, Facts()), HasReason(reason));
  };
  refused("wrong-cluster", [](v1::Action& a) { a.set_cluster("office"); });
  refused("wrong-epoch", [](v1::Action& a) { a.set_epoch(2); });
  refused("wrong-target", [](v1::Action& a) { a.mutable_target()->set_machine_id(kOther); });
  refused("wrong-target", [](v1::Action& a) { a.mutable_target()->Clear(); });
  refused("lifetime-too-long", [](v1::Action& a) { a.set_not_after("2026-11-25T05:00:01Z"); });
  refused("expired", [](v1::Action& a) { a.set_not_after("2026-11-24T05:59:59Z"); });
  refused("expired", [](v1::Action& a) { a.set_not_after("2026-11-24T04:00:00Z"); });
  refused("clock-skew", [](v1::Action& a) {
    a.set_signed_at("2026-11-25T06:00:01Z");
    a.set_not_after("2026-11-25T07:00:00Z");
  });
  refused("invalid-config", [](v1::Action& a) { a.set_not_after("tomorrow"); });
}

}  // namespace
}  // namespace basalt::sign
