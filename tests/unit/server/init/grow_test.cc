// DATA follows its disk: at the first boot of an image that lies on a larger one, and when that
// grew. What is not ours stays as it is.
#include "server/init/boot/grow.h"

#include <gtest/gtest.h>

#include <string>

#include "server/gpt/gpt.h"
#include "server/init/boot/partitions.h"
#include "server/init/boot/volume.h"
#include "tests/unit/server/init/image_disk.h"

namespace basalt::init {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kImage = 40 * kMebibyte;
constexpr uint64_t kDisk = 64 * kMebibyte;
constexpr uint64_t kData = 20 * kMebibyte;  // where it begins

class GrowTest : public ::testing::Test {
 protected:
  void SetUp() override { Reset(); }
  void Reset() {
    machine_ = FakeMachine();
    WriteImage(machine_, {{"SLOT-A", 1}, {"STATE", 18}, {"DATA", 19}}, kDisk / kMebibyte);
    machine_.run = [this](const std::string& line, Exited* exited) {
      exited->code = resize_code;
      // mke2fs and resize2fs: ... DEVICE BLOCKS
      const bool makes = line.find("e2fsck") == std::string::npos;
      if (!makes) exited->code = 0;
      if (makes && resize_code == 0) MakeExt4(std::stoull(line.substr(line.rfind(' ') + 1)));
      return 0;
    };
  }
  gpt::Table ReadTable() {
    gpt::Copies copies;
    gpt::Table table = TableOf(machine_, &copies);
    both_good_ = copies.good();
    return table;
  }
  void MakeExt4(uint64_t blocks) {
    unsigned char super[1024] = {};
    for (int i = 0; i < 4; ++i) super[4 + i] = static_cast<unsigned char>(blocks >> (8 * i));
    super[24] = 2;  // 4 KiB
    super[56] = 0x53;
    super[57] = 0xef;
    Disk().replace(kData + 1024, sizeof super, reinterpret_cast<char*>(super), sizeof super);
  }
  std::string& Disk() { return machine_.files["/dev/vda"]; }
  int Grow(uint64_t limit = UINT64_MAX) { return GrowPartition(machine_, "DATA", limit); }
  // As boot.cc does it.
  VolumeState Boot() {
    Grow(DataLimit(machine_));
    Locks locks(machine_);
    VolumeReport report = OpenVolume(machine_, locks, "DATA", "/data", 0, 0755);
    if (report.mounted()) GrowFileSystem(machine_, "DATA", report.device, report.size);
    return report.state;
  }
  uint64_t DataEnd() { return (ReadTable().partition[2].last + 1) * 512; }
  bool Ran(const char* what) const { return machine_.Find(std::string("run ") + what) >= 0; }

  FakeMachine machine_;
  int resize_code = 0;
  bool both_good_ = false;
};

TEST_F(GrowTest, TheFirstBootTakesAllOfTheDisk) {
  EXPECT_EQ(Boot(), VolumeState::kFormatted);
  EXPECT_EQ(DataEnd(), kDisk - kMebibyte);
  EXPECT_TRUE(both_good_);
  EXPECT_EQ(machine_.slices["/dev/vda3"].size, kDisk - kMebibyte - kData);
  // The format takes all of it, and no second step is needed.
  EXPECT_TRUE(Ran("/usr/sbin/mke2fs"));
  EXPECT_FALSE(Ran("/usr/sbin/resize2fs"));
  EXPECT_TRUE(machine_.Said("grew from 19 to 43 MiB [ok]"));
  // A node at rest writes nothing.
  machine_.done.clear();
  machine_.mounts.clear();
  EXPECT_EQ(Boot(), VolumeState::kMounted);
  EXPECT_EQ(machine_.Find("write"), -1);
  EXPECT_FALSE(Ran("/usr/sbin/resize2fs"));
}

TEST_F(GrowTest, WhatLiesBehindTheImageOnAUsedDiskIsNoDataOfDATA) {
  Disk().replace(kImage, kDisk - kImage, std::string(kDisk - kImage, 'x'));
  EXPECT_EQ(Boot(), VolumeState::kFormatted);
  EXPECT_EQ(DataEnd(), kDisk - kMebibyte);
}

TEST_F(GrowTest, ADiskThatGrewGrowsTheFileSystemMounted) {
  MakeExt4((kImage - kMebibyte - kData - kMarkDistance) / 4096);
  EXPECT_EQ(Boot(), VolumeState::kMounted);
  EXPECT_EQ(DataEnd(), kDisk - kMebibyte);
  EXPECT_GT(machine_.Find("run /usr/sbin/resize2fs /dev/vda3 10992"),
            machine_.Find("mount /dev/vda3 /data"));
  EXPECT_TRUE(machine_.Said("its file system has 42 MiB"));
}

TEST_F(GrowTest, ItIsKeptAwayFromTheMark) {
  // Where the mark will be, the disk has one already: of a format long ago.
  MakeExt4((kImage - kMebibyte - kData - kMarkDistance) / 4096);
  Disk().replace(kDisk - kMebibyte - kMarkDistance, sizeof kFormatMark, kFormatMark,
                 sizeof kFormatMark);
  EXPECT_EQ(Boot(), VolumeState::kMounted);
  EXPECT_FALSE(Ran("/usr/sbin/mke2fs"));
  // 43 MiB less 64 KiB, in blocks.
  EXPECT_TRUE(Ran("/usr/sbin/resize2fs /dev/vda3 10992"));
}

TEST_F(GrowTest, D1_APowerCutAtEachWriteIsMendedByTheNextBoot) {
  for (const bool empty : {true, false}) {
    for (size_t cut = 0;; ++cut) {
      SCOPED_TRACE(cut);
      Reset();
      Disk().replace(kImage, kDisk - kImage, std::string(kDisk - kImage, 'x'));
      if (!empty) MakeExt4((kImage - kMebibyte - kData - kMarkDistance) / 4096);
      machine_.writes_left = cut;
      Boot();
      const bool cut_off = machine_.writes_left == 0;
      machine_.writes_left = SIZE_MAX;
      const uint64_t end = DataEnd();
      ASSERT_TRUE(end == kImage - kMebibyte || end == kDisk - kMebibyte);
      machine_.mounts.clear();
      SeePartitions(machine_);  // the power came back
      const VolumeState state = Boot();
      EXPECT_TRUE(state == VolumeState::kMounted || (empty && state == VolumeState::kFormatted));
      EXPECT_EQ(DataEnd(), kDisk - kMebibyte);
      EXPECT_TRUE(both_good_);
      if (!cut_off) break;
      ASSERT_LT(cut, 20u);
    }
  }
}

TEST_F(GrowTest, AFileSystemThatWasNotGrownIsGrownLater) {
  MakeExt4((kImage - kMebibyte - kData - kMarkDistance) / 4096);
  resize_code = 1;
  EXPECT_EQ(Boot(), VolumeState::kMounted);
  EXPECT_TRUE(machine_.Said("[grow-failed]"));
  resize_code = 0;
  machine_.mounts.clear();
  machine_.done.clear();
  EXPECT_EQ(Boot(), VolumeState::kMounted);
  EXPECT_TRUE(Ran("/usr/sbin/resize2fs"));
  EXPECT_EQ(machine_.Find("write"), -1);
}

TEST_F(GrowTest, WhatIsNotOursIsLeftAlone) {
  Disk()[kData + 4096] = 'x';
  EXPECT_EQ(Boot(), VolumeState::kForeign);
  EXPECT_EQ(DataEnd(), kImage - kMebibyte);
  EXPECT_TRUE(both_good_);  // the table's second copy is the disk's all the same
}

TEST_F(GrowTest, AKernelThatKeepsTheOldSizeIsAskedAgainAtTheNextBoot) {
  machine_.Fail("resize", "/dev/vda", EBUSY);
  EXPECT_EQ(Grow(), EBUSY);
  EXPECT_TRUE(machine_.Said("until a restart"));
  Locks locks(machine_);
  EXPECT_EQ(OpenVolume(machine_, locks, "DATA", "/data", 0, 0755).state, VolumeState::kFormatted);
  machine_.mounts.clear();
  machine_.failures.clear();
  EXPECT_EQ(Boot(), VolumeState::kMounted);
  EXPECT_EQ(machine_.slices["/dev/vda3"].size, kDisk - kMebibyte - kData);
  EXPECT_TRUE(Ran("/usr/sbin/resize2fs"));
}

TEST_F(GrowTest, ATableThatCannotBeReadOrIsAnotherIsNotWritten) {
  const std::string before = Disk();
  Disk()[1024] = 'x';  // of the copy at the begin; that at the end is not where the disk ends
  std::string damaged = Disk();
  EXPECT_NE(Grow(), 0);
  EXPECT_TRUE(Disk() == damaged);
  EXPECT_TRUE(machine_.Said("[grow-failed"));
  Disk() = before;
  machine_.slices["/dev/vda3"].start += kMebibyte;
  machine_.files["/sys/class/block/vda3/start"] = "1\n";
  EXPECT_EQ(Grow(), ESTALE);
  EXPECT_TRUE(Disk() == before);
  EXPECT_EQ(machine_.Find("write"), -1);
}

TEST_F(GrowTest, NoFurtherThanAConfigOrTheMediumAllows) {
  EXPECT_EQ(Grow(38 * kMebibyte + 5), 0);
  EXPECT_EQ(DataEnd(), kData + 38 * kMebibyte);
  EXPECT_TRUE(both_good_);
  // Less than it has changes nothing: file systems do not shrink.
  EXPECT_EQ(Grow(kMebibyte), 0);
  EXPECT_EQ(DataEnd(), kData + 38 * kMebibyte);

  EXPECT_EQ(DataLimit(machine_), UINT64_MAX);
  machine_.AddPartition("vda9", "ESP", 4096);
  machine_.files[kMediumLimitFile] = "41943040\n";
  EXPECT_EQ(DataLimit(machine_), 41943040u);
  EXPECT_FALSE(machine_.IsMounted("/esp"));
  machine_.files[kDataLimitFile] = "83886080\n";
  EXPECT_EQ(DataLimit(machine_), 83886080u);
  machine_.files[kDataLimitFile] = "";
  EXPECT_EQ(DataLimit(machine_), 1u);  // torn: growing could not be undone
}

TEST(Limit, P8_IsADecimalNumberAndNothingElse) {
  auto parse = [](const std::string& text) { return ParseLimit(text.data(), text.size()); };
  EXPECT_EQ(parse("1\n"), 1u);
  EXPECT_EQ(parse("109951162777600\n"), 109951162777600u);
  for (const char* bad : {"", "\n", "1", "0\n", "-1\n", " 1\n", "1 \n", "1\n\n", "0x10\n", "1G\n",
                          "99999999999999999999999\n"}) {
    EXPECT_EQ(parse(bad), 0u) << bad;
  }
}

}  // namespace
}  // namespace basalt::init
