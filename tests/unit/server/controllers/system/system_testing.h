// A machine with fakes all around, and configs from YAML as a person writes them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/validate/validate.h"
#include "server/controllers/system/system_controller.h"
#include "server/fetch/outside.h"
#include "tests/support/clock/fake_wall_clock.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/kernel/fake_kernel.h"
#include "tests/support/supervisor/fake_supervisor.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt::system {

class FakePlatform : public host::Platform {
 public:
  FakePlatform() {
    hardware_ = {.architecture = "amd64", .memory_total = int64_t{4} << 30, .cpus = 2};
  }
  std::string name() const override { return "metal"; }
  const host::NodePaths& paths() const override { return paths_; }
  const host::Hardware& hardware() const override { return hardware_; }
  std::string k3s_address() const override { return "127.0.0.1"; }
  bool k3s_confined() const override { return false; }
  bool owns_namespaces() const override { return true; }
  std::string Unimplemented(const std::string&) const override { return ""; }
  absl::Status Reboot() override {
    ++reboots;
    return absl::OkStatus();
  }
  int reboots = 0;

 private:
  host::NodePaths paths_;
  host::Hardware hardware_;
};

class FakeScreen : public host::Screen {
 public:
  absl::Status Show(absl::string_view page, absl::string_view picture) override {
    last_picture = std::string(picture);
    pages.emplace_back(page);
    return status;
  }
  absl::Status BlankAfter(absl::Duration time) override {
    blank = time;
    return status;
  }
  absl::Status status;
  std::vector<std::string> pages;
  std::string last_picture;
  absl::Duration blank = absl::InfiniteDuration();
};

// `system`: the lines below `system:`, each indented by two.
inline v1::MachineConfig Config(const std::string& system, const std::string& name = "n1",
                                const std::string& signed_at = "2026-11-24T05:00:00Z") {
  std::string text = absl::StrCat(
      "apiVersion: basalt/v1\nkind: MachineConfig\nmetadata:\n  cluster: home\n  name: ", name,
      "\n  epoch: 1\n  generation: 20261124050000\n  signedAt: ", signed_at,
      "\ntarget: {machineId: ", std::string(64, 'a'), "}\n");
  if (!system.empty()) absl::StrAppend(&text, "system:\n", system);
  std::vector<api::Violation> warnings;
  absl::StatusOr<v1::MachineConfig> config =
      validate::Load(text, "", validate::Stage::kComplete, &warnings);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? schema::Resolve(*std::move(config)) : v1::MachineConfig();
}

class FakeGateway : public host::Gateway {
 public:
  host::GatewayState Look() override {
    ++looks;
    return state;
  }
  host::GatewayState state = {.answers = true, .text = "192.168.1.1"};
  int looks = 0;
};

class SystemTest : public ::testing::Test {
 protected:
  SystemTest() {
    kernel_.sysctls = {{"net.core.somaxconn", "4096"},
                       {"kernel.kptr_restrict", "2"},
                       {"vm.swappiness", "60"},
                       {"net.ipv4.tcp_rmem", "4096\t131072\t6291456"}};
    kernel_.modules["loop"] = {
        .loaded = true, .on_image = true, .parameters = {{"max_loop", "8"}, {"max_part", "0"}}};
    kernel_.modules["tun"] = {.on_image = true};
    kernel_.modules["overlay"] = {.loaded = true, .on_image = true, .users = 4};
    EXPECT_TRUE(vfs_.MakeDirs("etc/ssl/certs").ok());
    EXPECT_TRUE(vfs_.ReplaceVolatile(fetch::kImageAuthorities, "IMAGE\n").ok());
    supervisor_.pid1 = supervisor_.boot.watchdog = true;
    Restart();
  }
  // A new noded: what the old one knew is gone, what it wrote and what runs is not.
  void Restart() {
    controller_ = MakeSystemController({.executor = executor_,
                                        .vfs = vfs_,
                                        .clock = clock_,
                                        .wall_clock = wall_clock_,
                                        .kernel = kernel_,
                                        .screen = screen_,
                                        .platform = platform_,
                                        .supervisor = supervisor_,
                                        .has_watchdog = supervisor_.boot.watchdog,
                                        .build_time = clock_.Now() - absl::Hours(24 * 30),
                                        .time_program = "/dev/null",
                                        .gateway = &gateway_});
    controller_->SetOnChange([this] { ++changes_; });
    supervisor_.on_event = [this] {
      executor_.Post([this] {
        const std::vector<host::ServiceEvent> events = *supervisor_.Events(seen_);
        for (const host::ServiceEvent& event : events) {
          seen_ = event.seq;
          controller_->OnServiceEvent(event);
        }
      });
    };
  }
  void Start() {
    controller_->Start([this] { return console_; });
    executor_.RunUntilIdle();
  }
  absl::Status Execute(const v1::MachineConfig& config) { return Execute(&config); }
  absl::Status Execute(const v1::MachineConfig* config) {
    absl::Status result = absl::UnknownError("not called");
    controller_->Execute(config, [&result](absl::Status status) { result = std::move(status); });
    executor_.RunUntilIdle();
    return result;
  }
  void Pass(absl::Duration time) {
    executor_.Advance(time);
    executor_.RunUntilIdle();
  }
  engine::Condition ConditionOf(const std::string& type) {
    for (const engine::Condition& condition : controller_->Observe()) {
      if (condition.type == type) return condition;
    }
    return {};
  }
  // "" when there is none.
  std::string AlarmReason() {
    const std::vector<engine::Condition> alarms = controller_->Alarms();
    return alarms.empty() ? "" : alarms.front().reason;
  }
  v1::SystemStatus Status() { return controller_->Resources().at(0).system_status(); }
  std::string File(const std::string& path) { return vfs_.Read(path).value_or("(none)"); }

  testing::FakeClock clock_;
  testing::ManualExecutor executor_{clock_};
  testing::FakeWallClock wall_clock_{clock_};
  testing::FakeKernel kernel_;
  testing::FakeSupervisor supervisor_{clock_};
  testing::FakeVfs vfs_;
  FakePlatform platform_;
  FakeScreen screen_;
  FakeGateway gateway_;
  std::unique_ptr<SystemController> controller_;
  ConsoleFacts console_;
  uint64_t seen_ = 0;
  int changes_ = 0;
};

}  // namespace basalt::system
