// Which disks may be written to, what of an image is written, and what nodes say of themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/discovered.h"
#include "client/commands/image_copy.h"
#include "client/commands/medium.h"
#include "client/commands/target_disk.h"

namespace basalt::client {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kMi = 1 << 20;

// A machine's /sys and /proc, as files.
class TargetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = ::testing::TempDir() + "/basalt-target-XXXXXX";
    ASSERT_NE(mkdtemp(root_.data()), nullptr);
    Put("/proc/self/mountinfo", "22 1 8:2 / / rw - ext4 /dev/sda2 rw\n");
    Put("/proc/swaps", "Filename Type Size Used Priority\n");
    Disk("sda", "8:0", "", "Samsung SSD", "0");
    Partition("sda", "sda2", "8:2");
    Disk("sdb", "8:16", "usb1/", "SanDisk Ultra", "1");
    Partition("sdb", "sdb1", "8:17");
  }
  void TearDown() override { fs::remove_all(root_); }
  void Put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void Disk(const std::string& name, const std::string& number, const std::string& bus,
            const std::string& model, const std::string& removable) {
    const std::string at = "/sys/devices/" + bus + name;
    Put(at + "/dev", number + "\n");
    Put(at + "/size", "62333952\n");
    Put(at + "/removable", removable + "\n");
    Put(at + "/ro", "0\n");
    Put(at + "/device/model", model + "   \n");
    Put(at + "/device/serial", "S-" + name + "\n");
    fs::create_directories(root_ + "/sys/class/block");
    fs::create_directory_symlink(root_ + at, root_ + "/sys/class/block/" + name);
    fs::create_directories(root_ + "/dev/" + name);
  }
  void Partition(const std::string& disk, const std::string& name, const std::string& number) {
    const std::string at = "/sys/class/block/" + disk + "/" + name;
    Put(at + "/dev", number + "\n");
    Put(at + "/partition", "1\n");
    fs::create_directory_symlink(root_ + at, root_ + "/sys/class/block/" + name);
    fs::create_directories(root_ + "/dev/" + name);
  }
  std::string root_;
};

TEST_F(TargetTest, AStickIsShownByModelSizeAndSerial) {
  const TargetDisk disk = LookAt("/dev/sdb", root_).value();
  EXPECT_TRUE(disk.removable);
  EXPECT_EQ(Describe(disk), "/dev/sdb: SanDisk Ultra, 31.9 GB, serial S-sdb");
  EXPECT_TRUE(CheckTarget(disk, 4000 * kMi).ok());
  EXPECT_EQ(api::Reason(CheckTarget(disk, 40000 * kMi)), "disk-too-small");
}

TEST_F(TargetTest, WhatRunsThisMachineIsNeverWrittenTo) {
  const TargetDisk disk = LookAt("/dev/sda", root_).value();
  EXPECT_THAT(Describe(disk), HasSubstr("NOT removable"));
  EXPECT_EQ(api::Reason(CheckTarget(disk, kMi)), "disk-in-use");
  EXPECT_THAT(std::string(CheckTarget(disk, kMi).message()), HasSubstr("/ (sda2)"));
}

TEST_F(TargetTest, NorWhatIsMountedSwapOrBelowSomethingElse) {
  Put("/proc/self/mountinfo", "40 1 8:17 / /media/stick rw - vfat /dev/sdb1 rw\n");
  EXPECT_THAT(LookAt("/dev/sdb", root_).value().used_by, ElementsAre("/media/stick (sdb1)"));
  Put("/proc/self/mountinfo", "");
  Put("/proc/swaps", "Filename\n/dev/sdb1\tpartition\t100\n");
  EXPECT_THAT(LookAt("/dev/sdb", root_).value().used_by, ElementsAre("swap (sdb1)"));
  Put("/proc/swaps", "");
  Put("/sys/class/block/sdb/sdb1/holders/dm-0/dev", "253:0");
  EXPECT_THAT(LookAt("/dev/sdb", root_).value().used_by, ElementsAre("dm-0 (sdb1)"));
}

TEST_F(TargetTest, APartitionIsNoDisk) {
  EXPECT_EQ(api::Reason(LookAt("/dev/sdb1", root_).status()), "not-a-disk");
  EXPECT_EQ(api::Reason(LookAt("/dev/nothing", root_).status()), "not-a-disk");
  EXPECT_TRUE(LookAt("/n1.raw", root_).value().is_file);
  Put("/sys/class/block/sdb/ro", "1\n");
  EXPECT_EQ(api::Reason(CheckTarget(LookAt("/dev/sdb", root_).value(), kMi)), "disk-read-only");
}

TEST(ToWrite, LeavesOutWhatNobodyLooksAt) {
  // ESP with data to 10 MiB; an empty slot; STATE, which a node takes for empty by its ends.
  const std::vector<medium::Partition> partitions = {
      {"ESP", kMi, 100 * kMi}, {"SLOT-B", 101 * kMi, 100 * kMi}, {"STATE", 201 * kMi, 4 * kMi}};
  const std::vector<Range> data = {{0, 20000}, {kMi, 2 * kMi}, {9 * kMi, 10 * kMi}};
  EXPECT_THAT(ToWrite(206 * kMi, data, partitions),
              ElementsAre(Range{0, 10 * kMi}, Range{100 * kMi, 102 * kMi},
                          Range{200 * kMi, 202 * kMi}, Range{204 * kMi, 206 * kMi}));
}

TEST(ToWrite, IsEverythingWhereThereAreNoPartitions) {
  EXPECT_THAT(ToWrite(10 * kMi, {}, {}), ElementsAre(Range{0, 10 * kMi}));
}

TEST(Medium, ItsFileIsReadBack) {
  const Medium made = MakeMedium("stick-7").value();
  const Medium read = ParseMedium(MediumText(made), "m").value();
  EXPECT_EQ(read.id, "stick-7");
  EXPECT_EQ(read.recipient, made.recipient);
  EXPECT_EQ(read.key, made.key);
  EXPECT_NE(MakeMedium("").value().id, MakeMedium("").value().id);
  EXPECT_EQ(api::Reason(MakeMedium("a b").status()), "bad-medium");
  EXPECT_EQ(api::Reason(ParseMedium("AGE-SECRET-KEY-1X", "m").status()), "bad-medium");
}

api::mdns::Advert Node(const std::string& name) {
  return {.instance = name,
          .fingerprint = "0123456789abcdef",
          .state = "no-config",
          .api = "basalt/v1",
          .version = "1.0.0",
          .port = 6050,
          .addresses = {std::string("\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16),
                        std::string("\x0a\0\0\5", 4)}};
}

TEST(Discovered, AnIpv4AddressComesFirst) {
  api::mdns::Advert node = Node("n1");
  EXPECT_EQ(EndpointOf(node, "eth0"), "10.0.0.5:6050");
  node.addresses.pop_back();
  EXPECT_EQ(EndpointOf(node, "eth0"), "[fe80::1%eth0]:6050");
  node.addresses.clear();
  EXPECT_EQ(EndpointOf(node, "eth0"), "");
}

TEST(Discovered, IsShownAsWhatItIsAndEscaped) {
  std::map<std::string, Discovered> found;
  AddDiscovered(Write(api::mdns::Announce(Node("n1"))), "", found);
  AddDiscovered(Write(api::mdns::Announce(Node("n1"))), "", found);
  AddDiscovered("not a message", "", found);
  ASSERT_EQ(found.size(), 1u);
  found.begin()->second.advert.state = "\x1b[31mno";
  std::ostringstream out, err;
  Io io{.out = out, .err = err};
  ShowDiscovered(io, found, nullptr);
  EXPECT_THAT(out.str(), HasSubstr("10.0.0.5:6050"));
  EXPECT_THAT(out.str(), HasSubstr("0123456789abcdef..."));
  EXPECT_THAT(out.str(), Not(HasSubstr("\x1b")));
  EXPECT_THAT(err.str(), HasSubstr("not what is proven"));
  std::ostringstream json;
  Io as_json{.out = json, .err = err, .format = Format::kJson};
  ShowDiscovered(as_json, found, nullptr);
  EXPECT_THAT(json.str(), HasSubstr("\"authenticated\":false"));
}

}  // namespace
}  // namespace basalt::client
