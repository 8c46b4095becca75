// `system.watchdog.also`: what restarts a machine that noded itself is well on.
#include <fcntl.h>
#include <gmock/gmock.h>

#include "server/controllers/system/also_watch.h"
#include "server/controllers/system/controller_impl.h"
#include "tests/unit/server/controllers/system/system_testing.h"

namespace basalt::system {
namespace {

using ::testing::HasSubstr;

constexpr char kAlso[] = "  watchdog: {also: [gateway], patience: 10m}\n";

class AlsoTest : public SystemTest {
 protected:
  AlsoTest() { EXPECT_TRUE(vfs_.MakeDirs("state").ok()); }
  // A boot: memory is gone, disks are not.
  void Boot(const v1::MachineConfig& config) {
    clock_.Reboot();
    Restart();
    ASSERT_TRUE(Execute(config).ok());
    Start();
  }
  void StartK3s() {
    host::ServiceSpec spec;
    spec.name = "k3s";
    spec.argv = {"k3s"};
    spec.exec_fd = host::UniqueFd(open("/dev/null", O_RDONLY));
    spec.notify = true;
    spec.restart.always = true;
    ASSERT_TRUE(supervisor_.Start(std::move(spec)).ok());
  }
};

TEST_F(AlsoTest, AGatewayThatIsSilentForLongerThanPatienceRestartsTheMachineAndIsNotFedFor) {
  ASSERT_TRUE(Execute(Config(kAlso)).ok());
  Start();
  Pass(absl::Hours(1));
  EXPECT_EQ(platform_.reboots, 0);
  gateway_.state.answers = false;
  Pass(absl::Minutes(9));
  EXPECT_EQ(platform_.reboots, 0);
  EXPECT_TRUE(controller_->MayFeed());
  EXPECT_EQ(AlarmReason(), "Failing");
  EXPECT_THAT(controller_->Alarms().front().message, HasSubstr("192.168.1.1"));
  Pass(absl::Minutes(2));
  EXPECT_EQ(platform_.reboots, 1);
  EXPECT_FALSE(controller_->MayFeed());
  EXPECT_EQ(File(kRestartsFile), "1\n");
}

TEST_F(AlsoTest, AGatewayThatAnswersAgainInTimeRestartsNothing) {
  ASSERT_TRUE(Execute(Config(kAlso)).ok());
  Start();
  gateway_.state.answers = false;
  Pass(absl::Minutes(9));
  gateway_.state.answers = true;
  Pass(absl::Minutes(1));
  EXPECT_EQ(AlarmReason(), "");
  gateway_.state.answers = false;
  Pass(absl::Minutes(9));
  EXPECT_EQ(platform_.reboots, 0);
}

TEST_F(AlsoTest, ThreeRestartsThatDidNotHelpAreEnough) {
  const v1::MachineConfig config = Config(kAlso);
  gateway_.state.answers = false;
  for (int i = 1; i <= AlsoWatch::kRestarts; ++i) {
    Boot(config);
    Pass(absl::Minutes(11));
    EXPECT_EQ(platform_.reboots, i);
  }
  Boot(config);
  Pass(absl::Hours(5));
  EXPECT_EQ(platform_.reboots, AlsoWatch::kRestarts);
  EXPECT_TRUE(controller_->MayFeed());
  EXPECT_EQ(AlarmReason(), "RestartsDidNotHelp");
  // It is there again: what was counted counts no more.
  gateway_.state.answers = true;
  Pass(absl::Minutes(1));
  EXPECT_EQ(File(kRestartsFile), "(none)");
  gateway_.state.answers = false;
  Pass(absl::Minutes(11));
  EXPECT_EQ(platform_.reboots, AlsoWatch::kRestarts + 1);
}

TEST_F(AlsoTest, WithoutTheSectionNobodyAsksTheGateway) {
  ASSERT_TRUE(Execute(Config("")).ok());
  Start();
  gateway_.state.answers = false;
  Pass(absl::Hours(5));
  EXPECT_EQ(platform_.reboots, 0);
  EXPECT_EQ(gateway_.looks, 0);
}

class K3sAlsoTest : public AlsoTest {
 protected:
  v1::MachineConfig K3sConfig() {
    v1::MachineConfig config = Config("  watchdog: {timeout: 1m}\n");
    config.mutable_system()->mutable_watchdog()->add_also("k3s");
    config.mutable_system()->mutable_watchdog()->set_patience("10m");
    return config;
  }
};

TEST_F(K3sAlsoTest, K3sThatNeverRunsForLongRestartsTheMachine) {
  ASSERT_TRUE(Execute(K3sConfig()).ok());
  Start();
  // It waits for a clock, say: not started, not judged.
  Pass(absl::Hours(1));
  EXPECT_EQ(platform_.reboots, 0);
  StartK3s();
  supervisor_.Ready("k3s");
  Pass(absl::Hours(1));
  EXPECT_EQ(platform_.reboots, 0);
  supervisor_.Exit("k3s", 1);
  Pass(absl::Minutes(9));
  EXPECT_EQ(platform_.reboots, 0);
  Pass(absl::Minutes(2));
  EXPECT_EQ(platform_.reboots, 1);
}

TEST_F(K3sAlsoTest, K3sThatWasStoppedOnPurposeRestartsNothing) {
  ASSERT_TRUE(Execute(K3sConfig()).ok());
  Start();
  StartK3s();
  supervisor_.Ready("k3s");
  Pass(absl::Minutes(1));
  ASSERT_TRUE(supervisor_.Stop("k3s").ok());
  Pass(absl::Hours(1));
  EXPECT_EQ(platform_.reboots, 0);
}

}  // namespace
}  // namespace basalt::system
