// Rules and devices: a tree of sysfs made of files, links below a directory that stands for /dev.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "server/controllers/devices/devices_controller.h"
#include "server/controllers/devices/rules.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt::devices {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DevicesTest : public ::testing::Test {
 protected:
  DevicesTest() {
    std::string pattern = (fs::temp_directory_path() / "devices-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    for (const char* dir : {"/dev", "/sys/dev/char", "/sys/dev/block", "/sys/class"}) {
      fs::create_directories(root_ + dir);
    }
    EXPECT_TRUE(vfs_.MakeDirs("run").ok());
    Restart();
  }
  ~DevicesTest() override { fs::remove_all(root_); }

  void Restart() {
    controller_.reset();
    controller_ = MakeDevicesController(
        {.executor = executor_, .vfs = vfs_, .devices = host::MakeDevices(root_, false)});
    controller_->SetOnChange([this] { ++changes_; });
  }
  void File(const std::string& path, const std::string& text) {
    std::ofstream(root_ + path) << text;
  }
  void Subsystem(const std::string& directory, const std::string& name) {
    fs::create_directories(root_ + "/sys/class/" + name);
    fs::create_symlink(root_ + "/sys/class/" + name, root_ + directory + "/subsystem");
  }
  // A serial adapter at USB: its tty, the interface, the stick itself.
  void PlugIn(const std::string& tty, int minor, const std::string& serial) {
    const std::string usb = "/sys/devices/pci0000:00/usb1/1-" + absl::StrCat(minor);
    const std::string node = usb + "/1-1:1.0/tty/" + tty;
    fs::create_directories(root_ + node);
    File(usb + "/idVendor", "10c4\n");
    File(usb + "/serial", serial + "\n");
    Subsystem(usb, "usb");
    Subsystem(usb + "/1-1:1.0", "usb");
    Subsystem(node, "tty");
    File(node + "/uevent", absl::StrCat("MAJOR=188\nMINOR=", minor, "\nDEVNAME=", tty, "\n"));
    fs::create_symlink(root_ + node, root_ + absl::StrCat("/sys/dev/char/188:", minor));
    File("/dev/" + tty, "");
    chmod((root_ + "/dev/" + tty).c_str(), 0600);
  }
  void Unplug(const std::string& tty, int minor) {
    fs::remove(root_ + absl::StrCat("/sys/dev/char/188:", minor));
    fs::remove(root_ + "/dev/" + tty);
  }
  void Execute(const std::vector<std::string>& rules) {
    v1::MachineConfig config;
    for (const std::string& text : rules) {
      v1::UdevRule& rule = *config.mutable_system()->add_udev_rules();
      rule.set_name(absl::StrCat("r", config.system().udev_rules_size()));
      rule.set_rules(text);
    }
    absl::Status result = absl::UnknownError("not called");
    controller_->Execute(&config, [&](absl::Status status) { result = std::move(status); });
    executor_.RunUntilIdle();
    EXPECT_TRUE(result.ok()) << result;
  }
  void Look() {
    controller_->Start();
    executor_.RunUntilIdle();
  }
  std::string Link(const std::string& name) {
    std::error_code error;
    return fs::read_symlink(root_ + "/dev/" + name, error).string();
  }
  unsigned Mode(const std::string& node) {
    struct stat info {};
    stat((root_ + "/dev/" + node).c_str(), &info);
    return info.st_mode & 0777;
  }

  testing::FakeClock clock_;
  testing::ManualExecutor executor_{clock_};
  testing::FakeVfs vfs_;
  std::string root_;
  std::unique_ptr<DevicesController> controller_;
  int changes_ = 0;
};

constexpr char kZigbee[] =
    "SUBSYSTEM==\"tty\", ATTRS{idVendor}==\"10c4\", ATTRS{serial}==\"one\", SYMLINK+=\"zigbee\"";

TEST_F(DevicesTest, ALinkIsThereWhileItsDeviceAndItsRuleAre) {
  PlugIn("ttyUSB0", 0, "other");
  PlugIn("ttyUSB1", 1, "one");
  Execute({kZigbee});
  EXPECT_EQ(Link("zigbee"), "ttyUSB1");
  Unplug("ttyUSB1", 1);
  Look();
  EXPECT_EQ(Link("zigbee"), "");
  PlugIn("ttyUSB7", 7, "one");
  Look();
  EXPECT_EQ(Link("zigbee"), "ttyUSB7");
  Execute({});
  EXPECT_EQ(Link("zigbee"), "");
}

TEST_F(DevicesTest, ANewNodedKnowsTheLinksOfTheOld) {
  PlugIn("ttyUSB1", 1, "one");
  Execute({kZigbee});
  Restart();
  Execute({});
  EXPECT_EQ(Link("zigbee"), "");
}

TEST_F(DevicesTest, AttributesOfParentsAreOfOneAndTheSame) {
  PlugIn("ttyUSB1", 1, "one");
  // The stick has the serial, the tty has the name: no single one has both.
  Execute({"KERNELS==\"ttyUSB1\", ATTRS{serial}==\"one\", SYMLINK+=\"wrong\""});
  EXPECT_EQ(Link("wrong"), "");
  Execute(
      {"KERNEL==\"ttyUSB*\", SUBSYSTEMS==\"usb\", ATTRS{serial}==\"one\", "
       "SYMLINK+=\"serial/by-%s{serial}-%n serial/$kernel\""});
  EXPECT_EQ(Link("serial/by-one-1"), "../ttyUSB1");
  EXPECT_EQ(Link("serial/ttyUSB1"), "../ttyUSB1");
  Execute({});
  EXPECT_FALSE(fs::exists(root_ + "/dev/serial"));
}

TEST_F(DevicesTest, AModeIsSetAndGoesBackToWhatItWas) {
  PlugIn("ttyUSB1", 1, "one");
  Execute({"KERNEL==\"ttyUSB1\", MODE=\"0666\""});
  EXPECT_EQ(Mode("ttyUSB1"), 0666u);
  Restart();
  Execute({"KERNEL==\"ttyUSB1\", MODE=\"0660\""});
  EXPECT_EQ(Mode("ttyUSB1"), 0660u);
  Execute({});
  EXPECT_EQ(Mode("ttyUSB1"), 0600u);
}

TEST_F(DevicesTest, WhatADeviceSaysOfItselfLeadsNowhereElse) {
  PlugIn("ttyUSB1", 1, "../../etc/x y");
  Execute({"KERNEL==\"ttyUSB1\", ATTRS{idVendor}==\"10c4\", SYMLINK+=\"by-%s{serial}\""});
  EXPECT_EQ(Link("by-.._.._etc_x_y"), "ttyUSB1");
  EXPECT_THAT(controller_->Alarms(), IsEmpty());
  Execute({"KERNEL==\"ttyUSB1\", SYMLINK+=\"../x\""});
  ASSERT_THAT(controller_->Alarms(), SizeIs(1));
  EXPECT_THAT(controller_->Alarms()[0].message, HasSubstr("no name below /dev"));
}

TEST_F(DevicesTest, WhatIsNotOursIsLeftAloneAndTheFirstOfTwoKeepsALink) {
  PlugIn("ttyUSB1", 1, "one");
  PlugIn("ttyUSB2", 2, "two");
  File("/dev/null", "");
  Execute({"KERNEL==\"ttyUSB1\", SYMLINK+=\"null\""});
  EXPECT_EQ(Link("null"), "");
  EXPECT_THAT(controller_->Alarms().at(0).message, HasSubstr("/dev/null is something else"));
  Execute({"KERNEL==\"ttyUSB*\", SYMLINK+=\"stick\""});
  EXPECT_EQ(Link("stick"), "ttyUSB1");
  EXPECT_THAT(controller_->Alarms().at(0).message,
              HasSubstr("/dev/stick is wanted by ttyUSB1 and by ttyUSB2"));
}

TEST_F(DevicesTest, ThePlanNamesWhatChanges) {
  v1::MachineConfig none, one, other;
  v1::UdevRule& rule = *one.mutable_system()->add_udev_rules();
  rule.set_name("zigbee");
  rule.set_rules(kZigbee);
  other = one;
  other.mutable_system()->mutable_udev_rules(0)->set_rules("x");
  auto words = [&](const v1::MachineConfig* from, const v1::MachineConfig& to) {
    std::vector<std::string> out;
    const engine::ControllerPlan plan = *controller_->Plan(from, to);
    for (const engine::PlanStep& step : plan.steps) {
      out.push_back(step.description);
    }
    return out;
  };
  EXPECT_THAT(words(nullptr, one), ElementsAre("follow the rules for devices zigbee"));
  EXPECT_THAT(words(&one, one), IsEmpty());
  EXPECT_THAT(words(&one, other), ElementsAre("follow other rules for devices zigbee"));
  EXPECT_THAT(words(&one, none), ElementsAre("follow the rules for devices zigbee no more"));
}

TEST(DiskNames, PartitionsHaveThemToo) {
  const std::vector<host::DeviceNode> devices = {
      {.node = "sda", .path = "/devices/x/block/sda", .name = "sda", .subsystem = "block"},
      {.node = "sda1",
       .path = "/devices/x/block/sda/sda1",
       .name = "sda1",
       .subsystem = "block",
       .properties = {{"PARTN", "1"}},
       .parents = {{.path = "/devices/x/block/sda", .name = "sda", .subsystem = "block"}}}};
  const Wanted wanted = Apply(
      {}, devices, [](const auto&, const auto&) { return std::nullopt; },
      [](const auto&) { return std::nullopt; }, {{"sda", {"ata-DISK_1"}}});
  EXPECT_EQ(wanted.links.at("disk/by-id/ata-DISK_1"), "sda");
  EXPECT_EQ(wanted.links.at("disk/by-id/ata-DISK_1-part1"), "sda1");
}

}  // namespace
}  // namespace basalt::devices
