#include "server/k3s/health.h"

#include <gtest/gtest.h>

namespace basalt::k3s {
namespace {

constexpr absl::Duration kStart = absl::Seconds(100);

host::ServiceStatus Running(int pid, bool ready) {
  host::ServiceStatus status;
  status.name = "k3s";
  status.state = host::ServiceState::kRunning;
  status.pid = pid;
  status.ready = ready;
  return status;
}

host::ServiceStatus Exited(absl::Duration at) {
  host::ServiceStatus status;
  status.state = host::ServiceState::kBackingOff;
  status.exited = true;
  status.exit_code = 1;
  status.exited_at = at;
  return status;
}

ProbeResult Full() { return {.ping = true, .readyz = true, .node_seen = true, .node_ready = true}; }

Health Ready() {
  Health health;
  health.Started(true, kStart);
  health.OnService(Running(7, true), kStart);
  health.OnProbe(Full(), kStart);
  return health;
}

TEST(Health, RungsAreClimbedInOrder) {
  Health health;
  health.Started(true, kStart);
  EXPECT_EQ(health.rung(), Rung::kStopped);
  health.OnService(Running(7, false), kStart);
  EXPECT_EQ(health.rung(), Rung::kProcess);
  health.OnProbe({.ping = true}, kStart);
  EXPECT_EQ(health.rung(), Rung::kPing);
  health.OnProbe(Full(), kStart);
  EXPECT_EQ(health.rung(), Rung::kPing) << "READY=1 was not sent yet";
  health.OnService(Running(7, true), kStart);
  health.OnProbe({.ping = true, .readyz = true}, kStart);
  EXPECT_EQ(health.rung(), Rung::kReadyz);
  health.OnProbe(Full(), kStart);
  EXPECT_EQ(health.rung(), Rung::kNodeReady);
  for (const engine::Condition& condition : health.Conditions())
    EXPECT_TRUE(condition.holds) << condition.type;
}

TEST(Health, OneMissedProbeChangesNothingThreeDo) {
  Health health = Ready();
  health.OnProbe({}, kStart);
  health.OnProbe({}, kStart);
  EXPECT_EQ(health.rung(), Rung::kNodeReady);
  EXPECT_FALSE(health.at_rest());
  health.OnProbe({}, kStart);
  EXPECT_EQ(health.rung(), Rung::kProcess);
  EXPECT_EQ(health.Worst().code, "k3s-hangs");
}

TEST(Health, K2_LivenessExpiresAfterItsTimeAndNotBeforeItWasReady) {
  Health never;
  never.Started(true, kStart);
  never.OnService(Running(7, false), kStart);
  for (int i = 0; i < 100; ++i) never.OnProbe({}, kStart + absl::Seconds(i));
  EXPECT_FALSE(never.LivenessExpired(absl::Seconds(10), kStart + absl::Hours(1)));

  Health health = Ready();
  for (int i = 0; i < 9; ++i) health.OnProbe({}, kStart + absl::Seconds(i));
  EXPECT_FALSE(health.LivenessExpired(absl::Seconds(10), kStart + absl::Seconds(9)));
  health.OnProbe({.ping = true}, kStart + absl::Seconds(10));
  EXPECT_TRUE(health.LivenessExpired(absl::Seconds(10), kStart + absl::Seconds(10)));
  health.OnProbe(Full(), kStart + absl::Seconds(11));
  EXPECT_FALSE(health.LivenessExpired(absl::Seconds(10), kStart + absl::Seconds(30)));
}

TEST(Health, K2_AnAgentWhoseServersAreAwayIsNotRestarted) {
  Health health;
  health.Started(false, kStart);
  health.OnService(Running(7, true), kStart);
  health.OnProbe(Full(), kStart);
  for (int i = 1; i < 20; ++i) health.OnProbe({.readyz = true}, kStart + absl::Seconds(i));
  EXPECT_EQ(health.rung(), Rung::kProcess) << "what it is not is said all the same";
  EXPECT_FALSE(health.LivenessExpired(absl::Seconds(10), kStart + absl::Seconds(20)));
  for (int i = 20; i < 40; ++i) health.OnProbe({}, kStart + absl::Seconds(i));
  EXPECT_TRUE(health.LivenessExpired(absl::Seconds(10), kStart + absl::Seconds(40)));
}

TEST(Health, K1_ThreeExitsWithinTwoMinutesAreHopeless) {
  Health health;
  health.Started(true, kStart);
  for (int i = 1; i <= 3; ++i) {
    EXPECT_FALSE(health.Worst().hopeless);
    health.OnService(Exited(kStart + absl::Seconds(i)), kStart + absl::Seconds(i));
    health.OnService(Exited(kStart + absl::Seconds(i)),
                     kStart + absl::Seconds(i));  // seen twice, counted once
  }
  EXPECT_EQ(health.Worst().code, "k3s-exited");
  EXPECT_TRUE(health.Worst().hopeless);
  health.OnService(Exited(kStart + absl::Seconds(3)), kStart + absl::Minutes(4));
  EXPECT_FALSE(health.Worst().hopeless) << "two minutes later they count no more";
}

TEST(Health, ExitsOfAnEarlierNodedAreNotCounted) {
  Health health;
  host::ServiceStatus status = Running(9, true);
  status.exited = true;
  status.exited_at = kStart - absl::Seconds(1);
  health.Adopted(true, status, kStart);
  EXPECT_EQ(health.rapid_exits(), 0);
}

TEST(Health, AnotherPidStartsFromTheBottom) {
  Health health = Ready();
  health.OnService(Running(8, false), kStart);
  EXPECT_EQ(health.rung(), Rung::kProcess);
  EXPECT_FALSE(health.Conditions()[1].holds);
}

TEST(Health, AFindingNamesTheConditionUntilTheNodeIsReady) {
  Health health;
  health.Started(false, kStart);
  health.OnService(Running(7, true), kStart);
  health.OnOutput(LogFinding{"join-token-rejected", "TokenRejected", "refused", "", true}, "",
                  {"line"});
  EXPECT_EQ(health.Conditions()[2].code, "join-token-rejected");
  EXPECT_TRUE(health.Conditions()[2].hopeless);
  health.OnProbe(Full(), kStart);
  EXPECT_TRUE(health.Conditions()[2].holds);
  EXPECT_TRUE(health.last_lines().empty());
}

}  // namespace
}  // namespace basalt::k3s
