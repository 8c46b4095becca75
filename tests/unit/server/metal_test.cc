// A node on a machine of its own: when a boot is called good, and what a lost STATE means.
#include "server/metal.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <vector>

#include "api/coded_status.h"
#include "server/host/fd.h"
#include "server/host/platform.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/supervisor/fake_supervisor.h"

namespace basalt {
namespace {

using Entry = host::BootStatus::Entry;

class MetalTest : public ::testing::Test {
 protected:
  MetalTest() { supervisor_.pid1 = true; }
  void Begin() {
    health_ = std::make_unique<BootHealth>(executor_, supervisor_, supervisor_.boot,
                                           [this] { return conditions_; });
    health_->Start();
    executor_.RunUntilIdle();
  }
  void Pass(absl::Duration time) {
    executor_.Advance(time);
    executor_.RunUntilIdle();
  }

  testing::FakeClock clock_;
  testing::ManualExecutor executor_{clock_};
  testing::FakeSupervisor supervisor_{clock_};
  std::vector<engine::Condition> conditions_;
  std::unique_ptr<BootHealth> health_;
};

TEST_F(MetalTest, ABootThatIsNotCountedIsToldOnceAndNothingIsWatched) {
  conditions_ = {{.type = "K3sReady", .holds = false}};
  Begin();
  EXPECT_EQ(supervisor_.healthy, 1);
  Pass(absl::Hours(1));
  EXPECT_EQ(supervisor_.healthy, 1);
}

TEST_F(MetalTest, ATrialIsGoodWhenEveryConditionHolds) {
  supervisor_.boot.entry = Entry::kTrial;
  conditions_ = {{.type = "K3sRunning", .holds = true}, {.type = "NodeReady", .holds = false}};
  Begin();
  Pass(absl::Minutes(10));
  EXPECT_EQ(supervisor_.healthy, 0);
  conditions_[1].holds = true;
  Pass(BootHealth::kLookEvery);
  EXPECT_EQ(supervisor_.healthy, 1);
  EXPECT_EQ(supervisor_.boot.entry, Entry::kGood);
}

TEST_F(MetalTest, ATrialWithoutDataIsNeverGood) {
  supervisor_.boot.entry = Entry::kTrial;
  supervisor_.boot.data_missing = true;
  Begin();
  Pass(absl::Minutes(10));
  EXPECT_EQ(supervisor_.healthy, 0);
}

TEST_F(MetalTest, AnEspThatCannotBeWrittenIsTriedAgain) {
  supervisor_.boot.entry = Entry::kTrial;
  supervisor_.healthy_result = absl::FailedPreconditionError("No space left on device");
  Begin();
  EXPECT_EQ(supervisor_.healthy, 1);
  supervisor_.healthy_result = absl::OkStatus();
  Pass(10 * BootHealth::kLookEvery);
  EXPECT_EQ(supervisor_.healthy, 2);
  Pass(absl::Hours(1));
  EXPECT_EQ(supervisor_.healthy, 2);
}

TEST_F(MetalTest, ElsewhereThanBelowPid1ItDoesNotStart) {
  supervisor_.boot.owns_kernel = true;
  EXPECT_TRUE(AskPid1(supervisor_).ok());
  EXPECT_EQ(api::Reason(AskPid1(supervisor_, /*container=*/true).status()), "not-a-container");
  supervisor_.boot.owns_kernel = false;
  EXPECT_TRUE(AskPid1(supervisor_, /*container=*/true).ok());
  EXPECT_EQ(api::Reason(AskPid1(supervisor_).status()), "not-a-machine");
  supervisor_.pid1 = false;
  EXPECT_EQ(api::Reason(AskPid1(supervisor_).status()), "not-pid1");
  EXPECT_EQ(AskPid1(supervisor_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(MetalTest, WithoutStateItSaysWhyAndWaitsForItsEnd) {
  host::UniqueFd end(eventfd(1, EFD_CLOEXEC));  // readable: it is asked to end
  supervisor_.boot.state_missing = true;
  supervisor_.boot.state_reason = "e2fsck /dev/vda4: exit code 4";
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(WaitWithoutState(supervisor_, supervisor_.boot, end.get()).ok());
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("e2fsck /dev/vda4: exit code 4 [state-missing]"), std::string::npos) << said;
}

TEST_F(MetalTest, AContainerOwnsItsNamespacesOnlyWhenThatIsSaid) {
  EXPECT_FALSE(host::MakeContainer(supervisor_, false)->owns_namespaces())
      << "with the host's network, its packet rules are not ours to clear";
  std::unique_ptr<host::Platform> container = host::MakeContainer(supervisor_, true);
  EXPECT_EQ(container->name(), "container");
  EXPECT_TRUE(container->owns_namespaces());
  EXPECT_FALSE(container->hardened_kernel());
  EXPECT_EQ(container->hardware().serial, "");
  EXPECT_TRUE(container->Reboot().ok());
  EXPECT_EQ(supervisor_.ends, std::vector<bool>{true});
}

TEST_F(MetalTest, AMachineIsRestartedByPid1AndOwnsItsNamespaces) {
  std::unique_ptr<host::Platform> metal = host::MakeMetal(supervisor_);
  EXPECT_EQ(metal->name(), "metal");
  EXPECT_TRUE(metal->owns_namespaces());
  EXPECT_FALSE(metal->k3s_confined());
  EXPECT_EQ(metal->paths().root + "/" + metal->paths().state, "/state");
  EXPECT_TRUE(metal->Reboot().ok());
  EXPECT_EQ(supervisor_.ends, std::vector<bool>{true});
  EXPECT_EQ(metal->Unimplemented("k3s"), "");
  for (const char* section : {"system", "network", "storage"}) {
    EXPECT_EQ(metal->Unimplemented(section), "") << section;
  }
  EXPECT_NE(metal->Unimplemented("audit"), "");
}

}  // namespace
}  // namespace basalt
