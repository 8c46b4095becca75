// What Execute makes of the machine, what it puts back, and what it says when it cannot.
#include <gmock/gmock.h>

#include "server/controllers/system/controller_impl.h"
#include "tests/unit/server/controllers/system/system_testing.h"

namespace basalt::system {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST_F(SystemTest, TheMachineIsCalledAsTheConfigSays) {
  ASSERT_TRUE(Execute(Config("", "pi-1")).ok());
  EXPECT_EQ(kernel_.host_name, "pi-1");
  EXPECT_EQ(File(kHostNameFile), "pi-1\n");
  EXPECT_EQ(Status().host_name(), "pi-1");
  ASSERT_TRUE(Execute(nullptr).ok());
  EXPECT_EQ(kernel_.host_name, "localhost");
}

TEST_F(SystemTest, SettingsAreSetOnceAndPutBackWhenTheConfigSaysNothingOfThemAnyMore) {
  const v1::MachineConfig with = Config("  kernel: {sysctls: {vm.swappiness: 10}}\n");
  ASSERT_TRUE(Execute(with).ok());
  ASSERT_TRUE(Execute(with).ok());
  EXPECT_THAT(kernel_.written, ElementsAre(Pair("vm.swappiness", "10")));
  EXPECT_TRUE(ConditionOf("KernelConfigured").holds);
  ASSERT_TRUE(Execute(Config("")).ok());
  EXPECT_EQ(kernel_.sysctls["vm.swappiness"], "60");
}

TEST_F(SystemTest, ANewNodedKnowsTheFirstValuesOfTheOld) {
  ASSERT_TRUE(Execute(Config("  kernel: {sysctls: {vm.swappiness: 10}}\n")).ok());
  ASSERT_TRUE(Execute(Config("  kernel: {sysctls: {vm.swappiness: 20}}\n")).ok());
  Restart();
  ASSERT_TRUE(Execute(Config("")).ok());
  EXPECT_EQ(kernel_.sysctls["vm.swappiness"], "60");
}

TEST_F(SystemTest, AValueThatTheKernelRefusesIsAConditionThatRevertsAnApply) {
  kernel_.refused = {"vm.swappiness"};
  ASSERT_TRUE(Execute(Config("  kernel: {sysctls: {vm.swappiness: 1000}}\n")).ok());
  const engine::Condition condition = ConditionOf("KernelConfigured");
  EXPECT_FALSE(condition.holds);
  EXPECT_TRUE(condition.hopeless);
  EXPECT_EQ(condition.code, "sysctl-refused");
  EXPECT_THAT(condition.message, HasSubstr("system.kernel.sysctls.vm.swappiness: "));
  ASSERT_TRUE(Execute(Config("")).ok());
  EXPECT_TRUE(ConditionOf("KernelConfigured").holds);
}

TEST_F(SystemTest, ASettingThatSomebodyElseChangesIsSetAgainButNotForEver) {
  ASSERT_TRUE(Execute(Config("  kernel: {sysctls: {vm.swappiness: 10}}\n")).ok());
  Start();
  for (int i = 0; i < KernelState::kInsist; ++i) {
    kernel_.sysctls["vm.swappiness"] = "99";
    Pass(ControllerImpl::kLookAtRest);
    EXPECT_EQ(kernel_.sysctls["vm.swappiness"], "10");
  }
  kernel_.sysctls["vm.swappiness"] = "99";
  Pass(ControllerImpl::kLookAtRest);
  EXPECT_EQ(kernel_.sysctls["vm.swappiness"], "99");
  EXPECT_EQ(ConditionOf("KernelConfigured").code, "sysctl-contested");
}

TEST_F(SystemTest, ASettingOfAnInterfaceIsSetWhenTheInterfaceComes) {
  ASSERT_TRUE(Execute(Config("  kernel: {sysctls: {net.ipv4.conf.br0.rp_filter: 1}}\n")).ok());
  Start();
  EXPECT_TRUE(ConditionOf("KernelConfigured").holds);
  kernel_.sysctls["net.ipv4.conf.br0.rp_filter"] = "0";
  Pass(ControllerImpl::kLookAtRest);
  EXPECT_EQ(kernel_.sysctls["net.ipv4.conf.br0.rp_filter"], "1");
  ASSERT_TRUE(Execute(Config("")).ok());
  EXPECT_EQ(kernel_.sysctls["net.ipv4.conf.br0.rp_filter"], "0");
}

TEST_F(SystemTest, ModulesAreLoadedBeforeTheSettingsThatTheyBring) {
  ASSERT_TRUE(Execute(Config("  kernel: {modules: [{name: tun}]}\n")).ok());
  EXPECT_THAT(kernel_.loads, ElementsAre("tun"));
  const v1::MachineConfig loop =
      Config("  kernel: {modules: [{name: loop, parameters: [max_loop=64]}]}\n");
  ASSERT_TRUE(Execute(loop).ok());
  ASSERT_TRUE(Execute(loop).ok());
  EXPECT_THAT(kernel_.unloads, ElementsAre("loop"));
  EXPECT_EQ(kernel_.modules["loop"].parameters["max_loop"], "64");
}

TEST_F(SystemTest, AParameterThatCannotBeReadIsGivenOnce) {
  const v1::MachineConfig loop =
      Config("  kernel: {modules: [{name: loop, parameters: [secret_flag=1]}]}\n");
  ASSERT_TRUE(Execute(loop).ok());
  kernel_.modules["loop"].parameters.erase("secret_flag");
  Restart();
  ASSERT_TRUE(Execute(loop).ok());
  EXPECT_THAT(kernel_.unloads, ElementsAre("loop"));
}

// At a boot the machine may be another one than when the config was accepted: the rest is done.
TEST_F(SystemTest, AModuleThatCannotBeHadDoesNotKeepTheRestFromBeingDone) {
  kernel_.modules["tun"].on_image = false;
  ASSERT_TRUE(
      Execute(Config("  kernel: {modules: [{name: tun}], sysctls: {vm.swappiness: 10}}\n")).ok());
  EXPECT_EQ(ConditionOf("KernelConfigured").code, "module-missing");
  EXPECT_EQ(kernel_.sysctls["vm.swappiness"], "10");
}

TEST_F(SystemTest, ABlockedModuleIsUnloadedAtEachStart) {
  const v1::MachineConfig blocked = Config("  kernel: {blockedModules: [loop]}\n");
  ASSERT_TRUE(Execute(blocked).ok());
  kernel_.modules["loop"].loaded = true;  // a boot
  ASSERT_TRUE(Execute(blocked).ok());
  EXPECT_THAT(kernel_.unloads, ElementsAre("loop", "loop"));
}

TEST_F(SystemTest, AuthoritiesOfTheConfigStandBehindThoseOfTheImage) {
  v1::MachineConfig config = Config("");
  v1::CaCertificate& ca = *config.mutable_system()->add_ca_certificates();
  ca.set_name("office");
  ca.set_certificate("OFFICE");
  ASSERT_TRUE(Execute(config).ok());
  EXPECT_EQ(File(fetch::kAuthorities), "IMAGE\nOFFICE\n");
  ASSERT_TRUE(Execute(Config("")).ok());
  EXPECT_EQ(File(fetch::kAuthorities), "(none)");
}

TEST_F(SystemTest, WithoutTheImagesAuthoritiesThoseOfAConfigAreNotTaken) {
  ASSERT_TRUE(vfs_.Remove(fetch::kImageAuthorities).ok());
  v1::MachineConfig config = Config("");
  config.mutable_system()->add_ca_certificates()->set_certificate("OFFICE");
  absl::Status prepared;
  controller_->Prepare(config, nullptr, [&](absl::Status status) { prepared = status; });
  EXPECT_FALSE(prepared.ok());
}

TEST_F(SystemTest, TheWatchdogWaitsAsTheConfigSaysAndAMinuteElse) {
  ASSERT_TRUE(Execute(Config("  watchdog: {timeout: 30s}\n")).ok());
  ASSERT_TRUE(Execute(Config("")).ok());
  EXPECT_THAT(supervisor_.watchdogs, ElementsAre(absl::Seconds(30), absl::Minutes(1)));
  EXPECT_TRUE(ConditionOf("KernelConfigured").holds);
}

TEST_F(SystemTest, AtRestNothingIsSaidAndNothingIsWritten) {
  ASSERT_TRUE(Execute(Config("  kernel: {sysctls: {vm.swappiness: 10}}\n")).ok());
  Start();
  wall_clock_.Keep(clock_.Now());
  Pass(absl::Minutes(5));
  const int said = changes_;
  const int64_t written = vfs_.counters().operations;
  Pass(absl::Hours(1));
  EXPECT_EQ(changes_, said);
  EXPECT_EQ(vfs_.counters().operations, written);
}

TEST_F(SystemTest, TheHardeningReportIsAResource) {
  ASSERT_TRUE(Execute(Config("  kernel: {sysctls: {kernel.kptr_restrict: 1}}\n")).ok());
  const v1::SystemStatus status = Status();
  EXPECT_EQ(status.hardened(), "0/1");
  std::map<std::string, std::string> verdicts;
  for (const auto& setting : status.hardening()) verdicts[setting.name()] = setting.verdict();
  EXPECT_EQ(verdicts["kernel.kptr_restrict"], "by-config");
  EXPECT_EQ(verdicts["kernel.panic"], "unknown");
}

TEST_F(SystemTest, NoConditionIsAskedForWithoutAConfig) {
  Start();
  EXPECT_THAT(controller_->Observe(), IsEmpty());
}

}  // namespace
}  // namespace basalt::system
