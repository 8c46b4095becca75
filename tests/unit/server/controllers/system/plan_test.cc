// What a plan says of `system`: each change in words, and each field that is not carried out.
#include "server/controllers/system/plan.h"

#include <gmock/gmock.h>

#include "google/protobuf/descriptor.h"
#include "tests/unit/server/controllers/system/system_testing.h"

namespace basalt::system {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Words(const engine::ControllerPlan& plan) {
  std::vector<std::string> words;
  for (const engine::PlanStep& step : plan.steps) {
    words.push_back(step.unimplemented.empty()
                        ? step.description
                        : absl::StrCat("no: ", step.controller, ": ", step.unimplemented));
  }
  return words;
}

class PlanTest : public SystemTest {
 protected:
  std::vector<std::string> Plan(const v1::MachineConfig* from, const v1::MachineConfig& to) {
    absl::StatusOr<engine::ControllerPlan> plan = controller_->Plan(from, to);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return plan.ok() ? Words(*plan) : std::vector<std::string>();
  }
  absl::Status Refused(const v1::MachineConfig& to) {
    return controller_->Plan(nullptr, to).status();
  }
  const v1::MachineConfig base_ = Config("");
};

TEST_F(PlanTest, AFirstConfigNamesTheMachine) {
  EXPECT_THAT(
      Plan(nullptr, base_),
      ElementsAre("call the machine n1", HasSubstr("ask for the time: those that DHCP names")));
  EXPECT_THAT(Plan(&base_, base_), IsEmpty());
}

TEST_F(PlanTest, ASettingIsShownWithWhatItIsNow) {
  EXPECT_THAT(Plan(&base_, Config("  kernel: {sysctls: {vm.swappiness: 10}}\n")),
              ElementsAre("set vm.swappiness to 10 (is 60)"));
  EXPECT_THAT(
      Plan(&base_, Config("  kernel: {sysctls: {net.ipv4.tcp_rmem: 4096 131072 6291456}}\n")),
      IsEmpty());
  EXPECT_THAT(Plan(&base_, Config("  kernel: {sysctls: {net.ipv4.conf.eth9.rp_filter: 1}}\n")),
              ElementsAre("set net.ipv4.conf.eth9.rp_filter to 1 as soon as the kernel has it"));
}

TEST_F(PlanTest, ASettingThatIsRemovedGoesBack) {
  const v1::MachineConfig with = Config("  kernel: {sysctls: {vm.swappiness: 10}}\n");
  ASSERT_TRUE(Execute(with).ok());
  EXPECT_THAT(Plan(&with, base_), ElementsAre("set vm.swappiness back to 60"));
}

TEST_F(PlanTest, AMisspeltSettingIsAnErrorUnlessAModuleMayBringIt) {
  const absl::Status status = Refused(Config("  kernel: {sysctls: {vm.swapiness: 10}}\n"));
  EXPECT_EQ(api::Reason(status), "sysctl-unknown");
  EXPECT_THAT(std::string(status.message()), HasSubstr("system.kernel.sysctls.vm.swapiness"));
  EXPECT_TRUE(
      Refused(Config("  kernel: {modules: [{name: tun}], sysctls: {net.tun.x: 1}}\n")).ok());
}

TEST_F(PlanTest, AWeakerSettingIsAWarning) {
  absl::StatusOr<engine::ControllerPlan> plan =
      controller_->Plan(&base_, Config("  kernel: {sysctls: {kernel.kptr_restrict: 0}}\n"));
  ASSERT_TRUE(plan.ok());
  EXPECT_THAT(plan->warnings, ElementsAre(HasSubstr("weaker than what the image sets, 2")));
}

TEST_F(PlanTest, ModulesAreLoadedSetLoadedAnewOrRefused) {
  EXPECT_THAT(Plan(&base_, Config("  kernel: {modules: [{name: tun}]}\n")),
              ElementsAre("load the module tun"));
  EXPECT_THAT(Plan(&base_, Config("  kernel: {modules: [{name: loop}]}\n")), IsEmpty());
  const v1::MachineConfig more =
      Config("  kernel: {modules: [{name: loop, parameters: [max_loop=64]}]}\n");
  EXPECT_THAT(Plan(&base_, more),
              ElementsAre("unload the module loop and load it with max_loop=64"));
  kernel_.modules["loop"].users = 1;
  EXPECT_EQ(api::Reason(Refused(more)), "module-in-use");
  kernel_.modules["loop"].writable = {"max_loop"};
  EXPECT_THAT(Plan(&base_, more), ElementsAre("set max_loop of the module loop to 64"));
  EXPECT_EQ(api::Reason(Refused(Config("  kernel: {modules: [{name: zfs}]}\n"))), "module-missing");
}

TEST_F(PlanTest, ABlockedModuleIsUnloadedUnlessItIsInUse) {
  EXPECT_THAT(Plan(&base_, Config("  kernel: {blockedModules: [loop]}\n")),
              ElementsAre("unload the module loop"));
  EXPECT_THAT(Plan(&base_, Config("  kernel: {blockedModules: [tun]}\n")), IsEmpty());
  kernel_.modules["loop"].users = 2;
  EXPECT_EQ(api::Reason(Refused(Config("  kernel: {blockedModules: [loop]}\n"))), "module-in-use");
}

// Each field of `system` is either planned or refused by its own name: one that is added to the
// schema and forgotten here fails.
TEST_F(PlanTest, NoFieldOfTheSectionIsIgnoredInSilence) {
  const std::map<std::string, std::string> samples = {
      {"image", ""},       // of the controller in server/update
      {"extensions", ""},  // of the controller in ../extensions
      {"install", "  install: {disk: {type: nvme}}\n"},
      {"kernel", "  kernel: {arguments: [pcie_aspm=off]}\n"},
      {"firmware", "  firmware: {raspberryPi: [gpu_mem=16]}\n"},
      {"udevRules",
       "  udevRules: [{name: zigbee, rules: 'SUBSYSTEM==\"tty\", SYMLINK+=\"zigbee\"'}]\n"},
      {"time", "  time: {servers: [{address: time.example.org, nts: true}]}\n"},
      {"watchdog", "  watchdog: {timeout: 2m}\n"},
      {"caCertificates", ""},  // proven below and in controller_test.cc
      {"proxy", "  proxy: {https: \"http://proxy.example.org:3128\"}\n"},
      {"logs", "  logs: {retention: {maxSize: 64Mi}}\n"},
      {"maintenance",
       "  maintenance: {windows: [{name: nights, from: \"02:00\", to: \"05:00\"}]}\n"},
      {"console", "  console: {status: false}\n"},
  };
  const auto* section = v1::System::descriptor();
  for (int i = 0; i < section->field_count(); ++i) {
    const std::string name = section->field(i)->json_name();
    const auto sample = samples.find(name);
    ASSERT_NE(sample, samples.end()) << name << " has no sample here";
    if (sample->second.empty()) continue;
    EXPECT_THAT(Plan(&base_, Config(sample->second)), ::testing::Not(IsEmpty())) << name;
  }
}

TEST_F(PlanTest, TheFirstWatchdogIsTakenWhatElseIsSaidOfItIsRefused) {
  EXPECT_THAT(Plan(&base_, Config("  watchdog: {timeout: 30s}\n")),
              ElementsAre("reset the machine when nobody has fed its watchdog for 30s"));
  EXPECT_THAT(Plan(&base_, Config("  watchdog: {device: /dev/watchdog1}\n")),
              ElementsAre(HasSubstr("no: system.watchdog.device: ")));
  EXPECT_THAT(Plan(&base_, Config("  watchdog: {also: [gateway]}\n")),
              ElementsAre(HasSubstr("no: system.watchdog.also: ")));
  supervisor_.boot.watchdog = false;
  Restart();
  EXPECT_EQ(api::Reason(Refused(Config("  watchdog: {timeout: 30s}\n"))), "no-watchdog");
}

TEST_F(PlanTest, WhatIsRefusedNamesTheFieldAndTheReason) {
  EXPECT_THAT(Plan(&base_, Config("  kernel: {arguments: [pcie_aspm=off]}\n")),
              ElementsAre(HasSubstr("no: system.kernel.arguments: the command line stands in the "
                                    "kernel image, under its signature")));
  const v1::MachineConfig udev =
      Config("  udevRules: [{name: z, rules: 'SUBSYSTEM==\"tty\", SYMLINK+=\"z\"'}]\n");
  EXPECT_THAT(Plan(&base_, udev), ElementsAre(HasSubstr("system.udevRules: ")));
  EXPECT_THAT(Plan(&udev, udev), IsEmpty());
}

}  // namespace
}  // namespace basalt::system
