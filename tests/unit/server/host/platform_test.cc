#include "server/host/platform.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "server/host/hardware.h"

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

// A machine's /sys in a temporary directory.
class Sys {
 public:
  Sys() {
    char pattern[] = "/tmp/basalt-sys-XXXXXX";
    root_ = mkdtemp(pattern);
  }
  ~Sys() { std::filesystem::remove_all(root_); }
  void Put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  Hardware Identify() const {
    Hardware hardware;
    IdentifyHardware(root_, &hardware);
    return hardware;
  }

 private:
  std::string root_;
};

TEST(Hardware, IsKnownBySerialAndEthernetPorts) {
  Sys sys;
  EXPECT_EQ(sys.Identify().serial, "");
  sys.Put("/sys/class/dmi/id/product_serial", "Default string\n");
  sys.Put("/sys/class/dmi/id/board_serial", "PF1ABC23\n");
  sys.Put("/sys/class/net/eth1/type", "1\n");
  sys.Put("/sys/class/net/eth1/address", "52:54:00:12:34:FF\n");
  sys.Put("/sys/class/net/eth1/device/vendor", "");
  sys.Put("/sys/class/net/eth0/type", "1\n");
  sys.Put("/sys/class/net/eth0/address", "52:54:00:12:34:56\n");
  sys.Put("/sys/class/net/eth0/device/vendor", "");
  sys.Put("/sys/class/net/cni0/type", "1\n");
  sys.Put("/sys/class/net/cni0/address", "2a:00:00:00:00:01\n");
  sys.Put("/sys/class/net/lo/type", "772\n");
  sys.Put("/sys/class/net/lo/address", "00:00:00:00:00:00\n");
  Hardware hardware = sys.Identify();
  EXPECT_EQ(hardware.serial, "PF1ABC23");
  EXPECT_EQ(hardware.macs, (std::vector<std::string>{"52:54:00:12:34:56", "52:54:00:12:34:ff"}));
}

TEST(Hardware, ABoardWithoutDmiIsKnownByItsDeviceTree) {
  Sys sys;
  sys.Put("/sys/firmware/devicetree/base/serial-number", std::string("10000000abcdef01") + '\0');
  EXPECT_EQ(sys.Identify().serial, "10000000abcdef01");
}

TEST(Hardware, WhatMakersLeaveInTheFieldIsNoSerial) {
  for (const char* filler :
       {"", "0", "00000000", "To Be Filled By O.E.M.", "Default string", "None", "Not Specified",
        "System Serial Number", "0123456789", "xxxx", "caf\xc3\xa9", "a\x1b[31m"}) {
    EXPECT_EQ(RealSerial(filler), "") << filler;
  }
  for (const char* real : {"PF1ABC23", "10000000abcdef01", "CZ-1234.5/6", "VMware-56 4d c7"}) {
    EXPECT_EQ(RealSerial(real), real);
  }
}

}  // namespace
}  // namespace basalt::host
