#include "server/host/platform.h"

#include <gtest/gtest.h>

namespace basalt::host {
namespace {

TEST(Platform, KnowsCardsFromDisks) {
  EXPECT_TRUE(IsFlashDevice(
      "../../devices/platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0/"
      "mmcblk0p2"));
  EXPECT_FALSE(IsFlashDevice(
      "../../devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1"));
  EXPECT_FALSE(IsFlashDevice("../../devices/virtual/block/dm-0"));
  EXPECT_FALSE(IsFlashDevice(""));
}

}  // namespace
}  // namespace basalt::host
