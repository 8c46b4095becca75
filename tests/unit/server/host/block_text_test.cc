// What the kernel and disks say of themselves.
#include "server/host/block_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace basalt::host {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(BlockText, MountsAreThoseOfDevices) {
  const auto mounts = ParseMounts(
      "/dev/dm-0 / erofs ro,relatime 0 0\n"
      "proc /proc proc rw 0 0\n"
      "/dev/vda5 /data ext4 rw,nosuid,nodev,noatime,errors=remount-ro 0 0\n"
      "/dev/sda1 /var/mnt/my\\040disk ext4 ro,noexec 0 0\n"
      "broken\n");
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_TRUE(mounts[0].read_only);
  EXPECT_EQ(mounts[1].target, "/data");
  EXPECT_FALSE(mounts[1].read_only);
  EXPECT_FALSE(mounts[1].no_exec);
  EXPECT_EQ(mounts[2].target, "/var/mnt/my disk");
  EXPECT_TRUE(mounts[2].no_exec);
  EXPECT_TRUE(mounts[2].read_only);
}

TEST(BlockText, SwapsHaveTheirSizeInBytes) {
  const auto swaps = ParseSwaps(
      "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
      "/data/swap/file                         file\t\t2097148\t\t0\t\t-2\n"
      "/dev/zram0                              partition\t524284\t\t0\t\t100\n");
  ASSERT_EQ(swaps.size(), 2u);
  EXPECT_EQ(swaps[0].path, "/data/swap/file");
  EXPECT_EQ(swaps[0].size, 2097148u * 1024);
  EXPECT_EQ(swaps[1].path, "/dev/zram0");
}

TEST(BlockText, P8_BytesOfDisksWhateverIsInThem) {
  EXPECT_EQ(SerialOfPage80(std::string("\0\x80\0\x08  S5Y1  ", 12)), "S5Y1");
  EXPECT_EQ(SerialOfPage80(std::string("\0\x80\0\xff"
                                       "S5Y1",
                                       8)),
            "S5Y1");  // claims more
  EXPECT_EQ(SerialOfPage80(std::string("\0\x80\xff\xff", 4)), "");
  EXPECT_EQ(SerialOfPage80(std::string("\0\x80\0\x04"
                                       "a\x1b[2",
                                       8)),
            "");
  EXPECT_EQ(SerialOfPage80(""), "");
  EXPECT_EQ(SerialOfPage80(std::string("\0\x83\0\x04"
                                       "S5Y1",
                                       8)),
            "");
  std::string page(572, ' ');
  page[1] = '\x89';
  const std::string model = "Samsung SSD 870 EVO 1TB                 ";
  for (size_t i = 0; i < 40; i += 2) {
    page[60 + 54 + i] = model[i + 1];
    page[60 + 54 + i + 1] = model[i];
  }
  EXPECT_EQ(ModelOfPage89(page), "Samsung SSD 870 EVO 1TB");
  EXPECT_EQ(ModelOfPage89(page.substr(0, 100)), "");
  page[120] = '\x01';
  EXPECT_EQ(ModelOfPage89(page), "");
  EXPECT_THAT(ParseMounts(std::string("/dev/\0 \\0 \\777 \\04", 18)), ::testing::SizeIs(1));
  EXPECT_THAT(ParseSwaps("a b c d e\n/x file 99999999999999999999 0 0\n"), IsEmpty());
}

TEST(BlockText, IdsAreAsUdevMakesThem) {
  EXPECT_THAT(IdsOf({.name = "nvme0n1",
                     .model = "Samsung SSD 980 500GB",
                     .serial = "S64DNX0R",
                     .wwid = "eui.0025385b71b0a1c2"}),
              ElementsAre("nvme-Samsung_SSD_980_500GB_S64DNX0R", "nvme-eui.0025385b71b0a1c2"));
  EXPECT_THAT(IdsOf({.name = "sda",
                     .vendor = "ATA",
                     .model = "Samsung SSD 870 EVO 1TB",
                     .serial = "S5Y1",
                     .wwid = "naa.5002538e40a1b2c3"}),
              ElementsAre("ata-Samsung_SSD_870_EVO_1TB_S5Y1", "wwn-0x5002538e40a1b2c3"));
  EXPECT_THAT(IdsOf({.name = "vda", .serial = "data-1"}), ElementsAre("virtio-data-1"));
  EXPECT_THAT(IdsOf({.name = "mmcblk0", .model = "SD64G", .serial = "0x1234", .mmc_type = "SD"}),
              ElementsAre("mmc-SD64G_0x1234"));
  EXPECT_THAT(IdsOf({.name = "sdb", .vendor = "SanDisk", .model = "Ultra", .usb = true}),
              IsEmpty());
}

TEST(BlockText, TypesAndWorldWideNames) {
  EXPECT_EQ(TypeOf({.name = "nvme0n1"}), DiskType::kNvme);
  EXPECT_EQ(TypeOf({.name = "sda"}), DiskType::kSsd);
  EXPECT_EQ(TypeOf({.name = "sda", .rotational = true}), DiskType::kHdd);
  EXPECT_EQ(TypeOf({.name = "sda", .usb = true, .rotational = true}), DiskType::kUsb);
  EXPECT_EQ(TypeOf({.name = "mmcblk0", .mmc_type = "SD"}), DiskType::kSd);
  EXPECT_EQ(TypeOf({.name = "mmcblk1", .mmc_type = "MMC"}), DiskType::kEmmc);
  EXPECT_EQ(TypeOf({.name = "vdb"}), DiskType::kVirtio);
  EXPECT_EQ(WwnOf({.wwid = "naa.5002538e40a1b2c3"}), "0x5002538e40a1b2c3");
  EXPECT_EQ(WwnOf({.wwid = "eui.0025385b71b0a1c2"}), "eui.0025385b71b0a1c2");
  EXPECT_EQ(WwnOf({.wwid = "t10.ATA something"}), "");
  for (const char* other :
       {"loop0", "ram0", "zram0", "dm-0", "sr0", "mmcblk0boot1", "mmcblk0rpmb"}) {
    EXPECT_FALSE(HoldsData(other)) << other;
  }
  EXPECT_TRUE(HoldsData("mmcblk0"));
}

TEST(BlockText, TheHeaderOfASwapAreaIsThatOfTheKernel) {
  const std::string page = SwapHeader(16 << 20);
  ASSERT_EQ(page.size(), 4096u);
  EXPECT_EQ(page.substr(4086), "SWAPSPACE2");
  uint32_t last = 0;
  memcpy(&last, page.data() + 1028, sizeof last);
  EXPECT_EQ(last, 4095u);
}

}  // namespace
}  // namespace basalt::host
