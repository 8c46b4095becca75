// STATE and DATA: what may be formatted, and what never is.
#include "server/init/boot/volume.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <string>

#include "server/init/boot/partitions.h"
#include "tests/unit/server/init/fake_machine.h"

namespace basalt::init {
namespace {

constexpr size_t kSize = 20 << 20;
constexpr size_t kMarkAt = kSize - kMarkDistance;
constexpr char kDevice[] = "/dev/vda4";

class VolumeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    machine_.AddPartition("vda2", "SLOT-A", 4096);
    machine_.AddPartition("vda4", "STATE", kSize);
    machine_.BootFrom("vda2");
    machine_.run = [this](const std::string& line, Exited* exited) {
      if (line.find("mke2fs") != std::string::npos && format_code == 0) MakeExt4();
      exited->code = line.find("mke2fs") != std::string::npos ? format_code : check_code;
      return line.find("e2fsck") != std::string::npos ? check_error : 0;
    };
  }
  void MakeExt4() {
    Disk()[1024 + 56] = 0x53;
    Disk()[1024 + 57] = static_cast<char>(0xef);
  }
  std::string& Disk() { return machine_.files[kDevice]; }
  VolumeReport Open() {
    Locks locks(machine_);
    return OpenVolume(machine_, locks, "STATE", "/state", MS_NOEXEC, 0700);
  }
  bool Formatted() const { return machine_.Find("run /usr/sbin/mke2fs") >= 0; }

  FakeMachine machine_;
  int format_code = 0, check_code = 0, check_error = 0;
};

TEST_F(VolumeTest, AnEmptyPartitionIsFormattedOnceAndMounted) {
  VolumeReport report = Open();
  EXPECT_EQ(report.state, VolumeState::kFormatted);
  EXPECT_STREQ(report.reason, "");
  const FakeMachine::Mounted* mount = machine_.MountOf("/state");
  ASSERT_NE(mount, nullptr);
  EXPECT_EQ(mount->type, "ext4");
  EXPECT_EQ(machine_.modes["/state"], 0700u);
  EXPECT_EQ(mount->flags, MS_NOSUID | MS_NODEV | MS_NOATIME | MS_NOEXEC);
  // The tool is kept away from the mark, which is gone again.
  EXPECT_NE(machine_.done[1].find(" 5104"), std::string::npos) << machine_.done[1];
  EXPECT_EQ(Disk().substr(kMarkAt, sizeof kFormatMark), std::string(sizeof kFormatMark, 0));
  machine_.mounts.clear();
  machine_.done.clear();
  EXPECT_EQ(Open().state, VolumeState::kMounted);
  EXPECT_FALSE(Formatted());
  EXPECT_GE(machine_.Find("run /usr/sbin/e2fsck -p /dev/vda4"), 0);
}

TEST_F(VolumeTest, D2_ASuperblockThatAPowerCutToreIsTakenFromItsCopy) {
  MakeExt4();
  bool copy_is_good = true;
  machine_.run = [&](const std::string& line, Exited* exited) {
    exited->code = line.find("-b 32768 -B 4096") == std::string::npos ? 8 : copy_is_good ? 1 : 8;
    return 0;
  };
  EXPECT_EQ(Open().state, VolumeState::kMounted);
  EXPECT_TRUE(machine_.Said("e2fsck repaired /dev/vda4"));
  machine_.mounts.clear();
  copy_is_good = false;
  EXPECT_EQ(Open().state, VolumeState::kDamaged);
  EXPECT_FALSE(Formatted());
}

TEST_F(VolumeTest, WhatLooksLikeDataIsNeverFormatted) {
  // Each of these is one nonzero byte where something keeps its signature.
  constexpr size_t kLarge = 66 << 20;  // with the place of a btrfs mirror
  machine_.AddPartition("vda4", "STATE", kLarge);
  for (size_t at : {size_t{0}, size_t{3}, size_t{510}, size_t{512}, size_t{1024}, size_t{4096},
                    size_t{32769}, size_t{65600}, size_t{(1 << 20) - 1}, size_t{64 << 20},
                    kLarge - kMarkDistance + 4096, kLarge - 4096, kLarge - 1}) {
    Disk()[at] = 'x';
    machine_.done.clear();
    VolumeReport report = Open();
    EXPECT_EQ(report.state, VolumeState::kForeign) << at;
    EXPECT_FALSE(Formatted()) << at;
    EXPECT_FALSE(machine_.IsMounted("/state"));
    EXPECT_NE(std::string(report.reason).find("left alone"), std::string::npos);
    Disk()[at] = 0;
  }
  EXPECT_TRUE(machine_.Said("[volume-foreign]"));
}

TEST_F(VolumeTest, AFormatThatAPowerCutEndedIsDoneAgain) {
  // Cut after the mark, or anywhere in the format: the head holds rubbish, the mark is there.
  Disk().replace(kMarkAt, sizeof kFormatMark, kFormatMark, sizeof kFormatMark);
  Disk()[5000] = 'x';
  EXPECT_EQ(Open().state, VolumeState::kFormatted);
  // Cut after the format and before the mark went: nobody wrote to it yet.
  Disk().replace(kMarkAt, sizeof kFormatMark, kFormatMark, sizeof kFormatMark);
  machine_.done.clear();
  machine_.mounts.clear();
  EXPECT_EQ(Open().state, VolumeState::kFormatted);
  EXPECT_TRUE(Formatted());
}

TEST_F(VolumeTest, AMarkThatCannotBeRemovedLeavesNothingMounted) {
  machine_.run = [this](const std::string&, Exited*) {
    MakeExt4();
    machine_.Fail("write", kDevice, EIO);
    return 0;
  };
  VolumeReport report = Open();
  EXPECT_EQ(report.state, VolumeState::kFailed);
  EXPECT_EQ(report.error, EIO);
  EXPECT_FALSE(machine_.IsMounted("/state"));
}

TEST_F(VolumeTest, NothingIsFormattedWhenTheMarkCannotBeWritten) {
  machine_.Fail("write", kDevice, EROFS);
  EXPECT_EQ(Open().error, EROFS);
  EXPECT_FALSE(Formatted());
}

TEST_F(VolumeTest, AReadErrorIsNotEmptiness) {
  machine_.Fail("read", kDevice, EIO);
  VolumeReport report = Open();
  EXPECT_EQ(report.state, VolumeState::kFailed);
  EXPECT_EQ(report.error, EIO);
  EXPECT_FALSE(Formatted());
  machine_.failures.clear();
  Disk().resize(kSize / 2);  // shorter than sysfs says
  EXPECT_EQ(Open().state, VolumeState::kFailed);
  EXPECT_FALSE(Formatted());
}

TEST_F(VolumeTest, TheExitCodeOfTheCheckDecides) {
  struct Case {
    int code;
    VolumeState state;
  };
  for (const Case& c : {Case{0, VolumeState::kMounted}, Case{1, VolumeState::kMounted},
                        Case{2, VolumeState::kMounted}, Case{3, VolumeState::kMounted},
                        Case{4, VolumeState::kDamaged}, Case{5, VolumeState::kDamaged},
                        Case{8, VolumeState::kDamaged}, Case{12, VolumeState::kDamaged},
                        Case{16, VolumeState::kDamaged}, Case{32, VolumeState::kDamaged},
                        Case{127, VolumeState::kDamaged}}) {
    MakeExt4();
    machine_.mounts.clear();
    check_code = c.code;
    EXPECT_EQ(Open().state, c.state) << c.code;
    EXPECT_EQ(machine_.IsMounted("/state"), c.state == VolumeState::kMounted) << c.code;
  }
  EXPECT_FALSE(Formatted());
}

TEST_F(VolumeTest, ACheckThatHangsOrIsMissing) {
  MakeExt4();
  check_error = ETIMEDOUT;
  EXPECT_EQ(Open().state, VolumeState::kDamaged);
  check_error = ENOENT;
  EXPECT_EQ(Open().state, VolumeState::kMounted);
  EXPECT_TRUE(machine_.Said("[no-fsck]"));
}

TEST_F(VolumeTest, AFormatOrMountThatFailsIsTold) {
  format_code = 1;
  EXPECT_EQ(Open().state, VolumeState::kFailed);
  format_code = 0;
  machine_.Fail("mount", "/state", ENODEV);
  EXPECT_EQ(Open().error, ENODEV);
  EXPECT_TRUE(machine_.Said("mount /dev/vda4: No such device [volume-failed, errno 19]"));
}

TEST_F(VolumeTest, I7_ADiskThatComesLateIsAwaitedAndOneThatNeverComesIsTold) {
  auto late = machine_.files.extract("/sys/class/block/vda4/uevent");
  int64_t begin = machine_.now;
  VolumeReport report = Open();
  EXPECT_EQ(report.state, VolumeState::kMissing);
  EXPECT_EQ(report.error, ENODEV);
  EXPECT_GE(machine_.now - begin, 5000000000);
  EXPECT_LT(machine_.now - begin, 6000000000);
  machine_.files.insert(std::move(late));
  EXPECT_EQ(Open().state, VolumeState::kFormatted);
}

TEST_F(VolumeTest, AnotherDiskWithTheSameNamesIsNotOurs) {
  machine_.AddPartition("sda4", "STATE", kSize, "8:0\n");
  EXPECT_EQ(Open().state, VolumeState::kFormatted);
  EXPECT_EQ(machine_.MountOf("/state")->source, kDevice);
  machine_.files.erase("/sys/class/block/vda4/uevent");
  EXPECT_EQ(Open().error, ENODEV);
  // Without a root on a disk there is no telling which of two is meant.
  machine_.AddPartition("vda4", "STATE", kSize);
  machine_.root_major = 0;
  EXPECT_EQ(Open().error, ENOTUNIQ);
}

TEST_F(VolumeTest, DataSetsRoomAsideThatOrdinaryPodsDoNotGet) {
  machine_.AddPartition("vda5", "DATA", kSize);
  Locks locks(machine_);
  EXPECT_EQ(OpenVolume(machine_, locks, "DATA", "/data", 0, 0755).state, VolumeState::kFormatted);
  EXPECT_NE(machine_.done[1].find(" -m 20 "), std::string::npos) << machine_.done[1];
  EXPECT_EQ(machine_.MountOf("/data")->options, "errors=remount-ro,resuid=4294967294");
  Open();
  EXPECT_EQ(machine_.MountOf("/state")->options, "errors=remount-ro");
}

TEST(Reserve, IsAnImageAndAK3sAndOfASmallDiskAFifth) {
  constexpr uint64_t kGibibyte = 1 << 30;
  EXPECT_EQ(ReservePercent(kGibibyte), 20u);
  EXPECT_EQ(ReservePercent(4 * kGibibyte), 13u);
  EXPECT_EQ(ReservePercent(50 * kGibibyte), 1u);
  EXPECT_EQ(ReservePercent(4000 * kGibibyte), 1u);
}

TEST(Partitions, ANameIsAWholeLineOfAPartition) {
  auto is = [](const std::string& text) {
    return HasPartitionName(text.data(), text.size(), "STATE");
  };
  EXPECT_TRUE(is("DEVNAME=vda4\nDEVTYPE=partition\nPARTN=4\nPARTNAME=STATE\n"));
  EXPECT_TRUE(is("PARTNAME=STATE\nDEVTYPE=partition"));
  for (const char* other :
       {"", "PARTNAME=STATE\n", "DEVTYPE=disk\nPARTNAME=STATE\n",
        "DEVTYPE=partition\nPARTNAME=STATE2\n", "DEVTYPE=partition\nPARTNAME=STAT\n",
        "DEVTYPE=partition\nXPARTNAME=STATE\n", "DEVTYPE=partition\nPARTNAME=state\n",
        "DEVTYPE=partition\nPARTNAME=\n"}) {
    EXPECT_FALSE(is(other)) << other;
  }
}

}  // namespace
}  // namespace basalt::init
