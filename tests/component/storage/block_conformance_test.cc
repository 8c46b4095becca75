// One suite for the disks in memory and the kernel's: a fake that lies fails here.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/host/block.h"
#include "tests/support/block/fake_block.h"
#include "tests/support/loop/loop_disk.h"

namespace basalt::host {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kSize = 64 * kMebibyte;

class BlockConformance : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    directory_ = "/tmp/basalt-block-XXXXXX";
    ASSERT_NE(mkdtemp(directory_.data()), nullptr);
    if (!real()) {
      auto fake = std::make_unique<testing::FakeBlock>();
      fake->AddDisk({.device = "/dev/sdx", .size = kSize});
      disk_ = "/dev/sdx";
      fake_ = fake.get();
      block_ = std::move(fake);
      return;
    }
    std::string why;
    loop_ = testing::LoopDisk::Make(kSize, &why);
    if (loop_ == nullptr || !testing::OwnMounts()) GTEST_SKIP() << why;
    disk_ = loop_->device();
    block_ = MakeBlockDevices();
  }
  void TearDown() override {
    if (block_ != nullptr) block_->Unmount(Target()).IgnoreError();
    loop_.reset();
    rmdir(Target().c_str());
    rmdir(directory_.c_str());
  }
  static bool real() { return GetParam(); }
  std::string Target() const { return directory_ + "/mnt"; }
  std::string Partition(int number) const { return absl::StrCat(disk_, real() ? "p" : "", number); }
  void MakeFileSystem(const std::string& device) {
    if (!real()) return fake_->MakeExt4(device, 2048);
    const std::string command =
        absl::StrCat("/usr/sbin/mke2fs -q -F -t ext4 -b 4096 ", device, " 2048 2>/dev/null");
    ASSERT_EQ(system(command.c_str()), 0);
  }

  std::unique_ptr<testing::LoopDisk> loop_;
  std::unique_ptr<BlockDevices> block_;
  testing::FakeBlock* fake_ = nullptr;
  std::string disk_, directory_;
};

TEST_P(BlockConformance, WhatIsWrittenIsReadAlsoThroughAPartition) {
  ASSERT_TRUE(block_->Write(disk_, 5 * kMebibyte, "hello").ok());
  EXPECT_EQ(block_->Read(disk_, 5 * kMebibyte, 5).value_or(""), "hello");
  ASSERT_TRUE(block_->AddPartition(disk_, 1, 4 * kMebibyte, 8 * kMebibyte).ok());
  EXPECT_EQ(block_->Read(Partition(1), kMebibyte, 5).value_or(""), "hello");
  ASSERT_TRUE(block_->Write(Partition(1), kMebibyte, "HELLO").ok());
  EXPECT_EQ(block_->Read(Partition(1), kMebibyte, 5).value_or(""), "HELLO");
  EXPECT_EQ(block_->Read(Partition(1), 0, 3).value_or(""), std::string(3, '\0'));
  // The one is seen through the other, also after both were read.
  EXPECT_EQ(block_->Read(disk_, 5 * kMebibyte, 5).value_or(""), "HELLO");
  ASSERT_TRUE(block_->Write(disk_, 5 * kMebibyte, std::string(4096, 'd')).ok());
  EXPECT_EQ(block_->Read(Partition(1), kMebibyte, 5).value_or(""), "ddddd");
  ASSERT_TRUE(block_->Write(Partition(1), kMebibyte, std::string(4096, 'p')).ok());
  EXPECT_EQ(block_->Read(disk_, 5 * kMebibyte + 4095, 2).value_or(""), std::string("p\0", 2));
  // Never less than was asked for.
  EXPECT_FALSE(block_->Read(disk_, kSize - 2, 5).ok());
  EXPECT_FALSE(block_->Write(disk_, kSize, "x").ok());
  EXPECT_TRUE(absl::IsNotFound(block_->Read("/dev/basalt-none", 0, 1).status()));
  EXPECT_TRUE(absl::IsNotFound(block_->Write("/dev/basalt-none", 0, "x")));
}

TEST_P(BlockConformance, PartitionsAreAddedResizedAndRemoved) {
  ASSERT_TRUE(block_->AddPartition(disk_, 1, kMebibyte, 8 * kMebibyte).ok());
  // The number, or the place, is taken.
  EXPECT_TRUE(
      absl::IsFailedPrecondition(block_->AddPartition(disk_, 1, 20 * kMebibyte, kMebibyte)));
  EXPECT_TRUE(
      absl::IsFailedPrecondition(block_->AddPartition(disk_, 2, 8 * kMebibyte, 2 * kMebibyte)));
  EXPECT_FALSE(block_->AddPartition(disk_, 3, 60 * kMebibyte, 8 * kMebibyte).ok());
  ASSERT_TRUE(block_->ResizePartition(disk_, 1, kMebibyte, 16 * kMebibyte).ok());
  EXPECT_TRUE(block_->Read(Partition(1), 15 * kMebibyte, 1).ok());
  EXPECT_TRUE(
      absl::IsInvalidArgument(block_->ResizePartition(disk_, 1, 2 * kMebibyte, 16 * kMebibyte)));
  EXPECT_TRUE(absl::IsNotFound(block_->ResizePartition(disk_, 7, kMebibyte, kMebibyte)));
  ASSERT_TRUE(block_->RemovePartition(disk_, 1).ok());
  EXPECT_TRUE(absl::IsNotFound(block_->RemovePartition(disk_, 1)));
  EXPECT_FALSE(block_->Read(Partition(1), 0, 1).ok());
}

TEST_P(BlockConformance, AFileSystemIsMountedAndUnmounted) {
  ASSERT_TRUE(block_->AddPartition(disk_, 1, kMebibyte, 32 * kMebibyte).ok());
  const MountRequest request = {.device = Partition(1), .target = Target(), .type = "ext4"};
  EXPECT_TRUE(absl::IsInvalidArgument(block_->Mount(request)));  // nothing is on it
  MakeFileSystem(Partition(1));
  ASSERT_TRUE(block_->Mount(request).ok());
  auto find = [&]() -> std::unique_ptr<BlockMount> {
    const auto mounts = block_->Mounts();
    for (const BlockMount& mount : *mounts) {
      if (mount.target == Target()) return std::make_unique<BlockMount>(mount);
    }
    return nullptr;
  };
  auto mount = find();
  ASSERT_NE(mount, nullptr);
  EXPECT_EQ(mount->source, Partition(1));
  EXPECT_EQ(mount->type, "ext4");
  EXPECT_TRUE(mount->no_exec);
  EXPECT_FALSE(mount->read_only);
  EXPECT_TRUE(absl::IsFailedPrecondition(block_->RemovePartition(disk_, 1)));
  EXPECT_GT(block_->SpaceOf(Target())->total, 0u);
  EXPECT_TRUE(block_->Trim(Target()).ok());
  // Growing it does not ask whether it is mounted.
  EXPECT_TRUE(block_->ResizePartition(disk_, 1, kMebibyte, 48 * kMebibyte).ok());
  ASSERT_TRUE(block_->Unmount(Target()).ok());
  EXPECT_EQ(find(), nullptr);
  EXPECT_TRUE(absl::IsNotFound(block_->Unmount(Target())));
  ASSERT_TRUE(
      block_->Mount({.device = Partition(1), .target = Target(), .type = "ext4", .no_exec = false})
          .ok());
  EXPECT_FALSE(find()->no_exec);
}

TEST_P(BlockConformance, WhatIsInUseIsNotUnmounted) {
  ASSERT_TRUE(block_->AddPartition(disk_, 1, kMebibyte, 32 * kMebibyte).ok());
  MakeFileSystem(Partition(1));
  ASSERT_TRUE(block_->Mount({.device = Partition(1), .target = Target(), .type = "ext4"}).ok());
  FILE* open_file = nullptr;
  if (real()) {
    open_file = fopen((Target() + "/file").c_str(), "we");
    ASSERT_NE(open_file, nullptr);
  } else {
    fake_->busy.insert(Target());
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(block_->Unmount(Target())));
  if (real()) {
    fclose(open_file);
  } else {
    fake_->busy.clear();
  }
  EXPECT_TRUE(block_->Unmount(Target()).ok());
}

TEST_P(BlockConformance, ASwapFileIsUsedAndGivenBack) {
  // On a file system of its own: that of /tmp may be of a kind that takes no swap.
  ASSERT_TRUE(block_->AddPartition(disk_, 1, kMebibyte, 60 * kMebibyte).ok());
  if (real()) {
    const std::string command =
        absl::StrCat("/usr/sbin/mke2fs -q -F -t ext4 -b 4096 ", Partition(1), " 2>/dev/null");
    ASSERT_EQ(system(command.c_str()), 0);
  } else {
    fake_->MakeExt4(Partition(1), 15360);
  }
  ASSERT_TRUE(block_->Mount({.device = Partition(1), .target = Target(), .type = "ext4"}).ok());
  const std::string file = Target() + "/swap/file";
  EXPECT_TRUE(absl::IsNotFound(block_->SwapOn(file, -1)));
  ASSERT_TRUE(block_->MakeSwapFile(file, 16 * kMebibyte).ok());
  if (real()) {
    struct stat info = {};
    ASSERT_EQ(stat(file.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600u);
    EXPECT_EQ(info.st_size, static_cast<off_t>(16 * kMebibyte));
  }
  absl::Status on = block_->SwapOn(file, -1);
  if (absl::IsPermissionDenied(on)) GTEST_SKIP() << on;
  ASSERT_TRUE(on.ok()) << on;
  auto swaps = block_->Swaps();
  ASSERT_TRUE(swaps.ok());
  const bool listed = std::any_of(swaps->begin(), swaps->end(), [&](const SwapArea& area) {
    return area.path == file && area.size == 16 * kMebibyte - 4096;
  });
  EXPECT_TRUE(listed);
  EXPECT_TRUE(absl::IsFailedPrecondition(block_->SwapOn(file, -1)));
  ASSERT_TRUE(block_->SwapOff(file).ok());
  EXPECT_TRUE(absl::IsNotFound(block_->SwapOff(file)));
}

TEST_P(BlockConformance, DisksAreListedInOrderWithoutWhatHoldsNoData) {
  const auto disks = block_->Disks();
  ASSERT_TRUE(disks.ok());
  EXPECT_TRUE(
      std::is_sorted(disks->begin(), disks->end(),
                     [](const BlockDisk& a, const BlockDisk& b) { return a.device < b.device; }));
  for (const BlockDisk& disk : *disks) {
    EXPECT_GT(disk.size, 0u) << disk.device;
    EXPECT_GE(disk.sector, 512u) << disk.device;
    EXPECT_EQ(disk.device.find("loop"), std::string::npos) << disk.device;
    EXPECT_EQ(disk.device.find("ram"), std::string::npos) << disk.device;
  }
}

INSTANTIATE_TEST_SUITE_P(Block, BlockConformance, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Kernel" : "Fake"; });

}  // namespace
}  // namespace basalt::host
