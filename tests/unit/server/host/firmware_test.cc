// The kernel's files about the firmware, in a directory.
#include "server/host/firmware.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace basalt::host {
namespace {

constexpr char kGlobal[] = "-8be4df61-93ca-11d2-aa0d-00e098032b8c";
constexpr char kDatabase[] = "-d719b2cb-3d3a-4596-a3bc-dad00e67656f";

class FirmwareTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/firmwareXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    firmware_ = MakeFirmware(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void Write(const std::string& path, const std::string& bytes) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
  }
  void Variable(const std::string& name, const std::string& value) {
    Write("/sys/firmware/efi/efivars/" + name, std::string("\6\0\0\0", 4) + value);
  }
  void Flags(char enforcing, char setup) {
    Variable(std::string("SecureBoot") + kGlobal, std::string(1, enforcing));
    Variable(std::string("SetupMode") + kGlobal, std::string(1, setup));
  }

  std::string root_;
  std::unique_ptr<Firmware> firmware_;
};

TEST_F(FirmwareTest, TheStateOfSecureBootIsThatOfItsVariables) {
  EXPECT_EQ(firmware_->secure_boot(), SecureBoot::kUnsupported);
  Flags(1, 0);
  EXPECT_EQ(firmware_->secure_boot(), SecureBoot::kEnforcing);
  Flags(0, 0);
  EXPECT_EQ(firmware_->secure_boot(), SecureBoot::kOff);
  Flags(0, 1);
  EXPECT_EQ(firmware_->secure_boot(), SecureBoot::kSetup);
  Variable(std::string("SecureBoot") + kGlobal, "odd");
  EXPECT_EQ(firmware_->secure_boot(), SecureBoot::kUnsupported);
}

TEST_F(FirmwareTest, ListsComeWithoutTheirAttributes) {
  EXPECT_EQ(*firmware_->SignatureList("db"), "");
  Variable(std::string("db") + kDatabase, "lists");
  EXPECT_EQ(*firmware_->SignatureList("db"), "lists");
  Variable(std::string("dbx") + kDatabase, std::string(2 << 20, 'x'));
  EXPECT_FALSE(firmware_->SignatureList("dbx").ok());
}

TEST_F(FirmwareTest, ARegisterIsLowerCaseHexOrNothing) {
  EXPECT_EQ(firmware_->Pcr(11), "");
  Write("/sys/class/tpm/tpm0/pcr-sha256/11", std::string(64, 'A') + "\n");
  EXPECT_EQ(firmware_->Pcr(11), std::string(64, 'a'));
  Write("/sys/class/tpm/tpm0/pcr-sha256/11", "short\n");
  EXPECT_EQ(firmware_->Pcr(11), "");
}

}  // namespace
}  // namespace basalt::host
