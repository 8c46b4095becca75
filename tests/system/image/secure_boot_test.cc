// Firmware with Secure Boot and a TPM, both emulated: keys are enrolled by the loader, and from
// then on nothing starts that the owner did not sign. What is measured is what was predicted. Only
// in `./dev test --all`.
#include "images/builder/secure_boot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "images/builder/host.h"
#include "machineconfig/sign/efi_signature.h"
#include "tests/system/image/machine.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kEspAt = 1 << 20;
constexpr absl::Duration kPatience = absl::Seconds(240);

std::string RunTool(const std::vector<std::string>& argv) {
  static image::Tools tools(absl::FromUnixSeconds(1700000000));
  absl::StatusOr<std::string> output = tools.Run(argv);
  EXPECT_TRUE(output.ok()) << output.status();
  return output.value_or("");
}

std::string Read(const std::string& path) {
  absl::StatusOr<std::string> bytes = image::ReadWhole(path);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

// An swtpm that ends with the machine that it is connected to.
std::string StartTpm(const std::string& directory) {
  fs::create_directories(directory);
  RunTool({"swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + directory, "--ctrl",
           "type=unixio,path=" + directory + "/socket", "--terminate", "--daemon"});
  return directory + "/socket";
}

class SecureBootTest : public ::testing::Test {
 protected:
  // Keys, two builds of one image (for the owner, for nobody), and firmware into which the keys
  // were put by the first start of it.
  static void SetUpTestSuite() {
    std::string path = ::testing::TempDir() + "/basalt-secureboot-XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    root_ = path;
    RunTool({PROGRAMS "/nodectl", "gen", "secureboot", root_ + "/keys", "--no-passphrase"});
    absl::StatusOr<image::SecureBoot> keys = image::LoadSecureBoot(root_ + "/keys", "", "");
    ASSERT_TRUE(keys.ok()) << keys.status();
    owner_ = new sign::EfiSigner(*keys->signer);
    Build("signed", {"--secureboot-key", root_ + "/keys", "--secureboot-enroll", "force"});
    Build("unsigned", {});
    fs::create_directories(root_ + "/enrolment");
    const std::string disk = CopyOfDisk(root_ + "/enrolment");
    Machine machine(disk, root_ + "/enrolment",
                    {.restarts = true,
                     .secure_variables = Variables(),
                     .tpm_socket = StartTpm(root_ + "/enrolment/tpm")});
    ASSERT_TRUE(machine.Await({"probe: done"}, kPatience)) << machine.console();
    enrolment_ = machine.console();
  }
  static void TearDownTestSuite() {
    delete owner_;
    fs::remove_all(root_);
  }
  void SetUp() override {
    scratch_ =
        absl::StrCat(root_, "/", ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(scratch_);
  }
  void TearDown() override { fs::remove_all(scratch_); }

  static void Build(const std::string& name, const std::vector<std::string>& more) {
    const std::string programs = root_ + "/programs";
    fs::create_directories(programs);
    for (std::string one :
         {"noded", "noded-fetch", "noded-dhcp", "noded-unlock", "noded-wire", "basalt-boot"}) {
      std::error_code error;  // of the second build: they are there
      fs::create_symlink(absl::StrCat(PROGRAMS, "/", one), programs + "/" + one, error);
    }
    std::error_code error;
    fs::create_symlink(PROBE, programs + "/noded-init", error);
    std::vector<std::string> argv = {PROGRAMS "/image-builder",
                                     "build",
                                     "--profile",
                                     "vm-amd64",
                                     "--recipe",
                                     RECIPE,
                                     "--cache",
                                     CACHE,
                                     "--programs",
                                     programs,
                                     "--out",
                                     root_ + "/" + name,
                                     "--image-version",
                                     "9.9.9",
                                     "--time",
                                     "1700000000"};
    argv.insert(argv.end(), more.begin(), more.end());
    RunTool(argv);
  }
  static std::string File(const std::string& build, absl::string_view end) {
    return absl::StrCat(root_, "/", build, "/basalt-9.9.9-vm-amd64", end);
  }
  static std::string Variables() { return root_ + "/variables.fd"; }
  static std::string CopyOfDisk(const std::string& directory) {
    std::string disk = directory + "/disk.raw";
    const std::string from = File("signed", ".raw");
    EXPECT_TRUE(image::MakeSparse(disk, fs::file_size(from)).ok());
    EXPECT_TRUE(image::CopySparse(from, disk, 0).ok());
    return disk;
  }

  // The unsigned kernel image as a newer version that says on its command line who it is.
  static std::string Newer() {
    return absl::StrReplaceAll(Read(File("unsigned", ".efi")),
                               {{"VERSION_ID=9.9.9\nIMAGE", "VERSION_ID=9.9.10\nIMAG"},
                                {"IMAGE_VERSION=9.9.9", "IMAGE_VERSION=9.9.A"},
                                {" panic=10 ", " panic=11 "}});
  }

  // Starts a machine that has `kernel` as a newer entry with one try beside the good one.
  std::string ConsoleWith(const std::string& kernel) {
    const std::string disk = CopyOfDisk(scratch_), file = scratch_ + "/kernel";
    EXPECT_TRUE(image::WriteWhole(file, kernel).ok());
    RunTool(
        {"mcopy", "-i", absl::StrCat(disk, "@@", kEspAt), file, "::EFI/Linux/noded_9.9.A+1.efi"});
    const std::string variables = scratch_ + "/variables.fd";
    fs::copy_file(Variables(), variables);
    Machine machine(disk, scratch_, {.restarts = true, .secure_variables = variables});
    EXPECT_TRUE(machine.Await({"probe: done"}, kPatience)) << machine.console();
    return machine.console();
  }
  // The newer one was refused by the firmware, and the other one runs.
  void ExpectRefused(const std::string& kernel) {
    const std::string console = ConsoleWith(kernel);
    EXPECT_THAT(console, HasSubstr("Access Denied"));
    EXPECT_THAT(console, HasSubstr("probe: Secure Boot 1, setup mode 0"));
    EXPECT_THAT(console, HasSubstr("panic=10"));
    EXPECT_THAT(console, Not(HasSubstr("panic=11")));
  }

  static inline std::string root_, enrolment_;
  static inline const sign::EfiSigner* owner_ = nullptr;
  std::string scratch_;
};

TEST_F(SecureBootTest, TheLoaderEnrolsTheOwnersKeysAndTheFirmwareEnforcesThem) {
  EXPECT_THAT(enrolment_, HasSubstr("probe: Secure Boot 1, setup mode 0"));
  EXPECT_THAT(enrolment_, HasSubstr(" files, 0 errors"));
}

TEST_F(SecureBootTest, WhatIsMeasuredIsWhatWasPredicted) {
  const std::string manifest = Read(File("signed", ".image.yaml"));
  const size_t at = manifest.find("\"pcr11\": \"") + 10;
  EXPECT_THAT(absl::AsciiStrToLower(enrolment_),
              HasSubstr("probe: pcr 11 " + manifest.substr(at, 64)));
}

TEST_F(SecureBootTest, ProgramsOfOthersAgree) {
  const std::string esp = absl::StrCat(File("signed", ".raw"), "@@", kEspAt);
  RunTool({"sbverify", "--cert", root_ + "/keys/db.crt", File("signed", ".efi")});
  RunTool({"mcopy", "-i", esp, "::EFI/BOOT/BOOTX64.EFI", scratch_ + "/loader"});
  RunTool({"sbverify", "--cert", root_ + "/keys/db.crt", scratch_ + "/loader"});
  const std::string listed = RunTool({"mdir", "-b", "-i", esp, "::loader/keys/auto"});
  for (const char* name : {"PK.auth", "KEK.auth", "db.auth"}) EXPECT_THAT(listed, HasSubstr(name));
}

TEST_F(SecureBootTest, U10_ASignedImageIsBuiltTheSameAgain) {
  const std::string before = Read(File("signed", ".efi"));
  Build("again", {"--secureboot-key", root_ + "/keys", "--secureboot-enroll", "force"});
  EXPECT_TRUE(Read(File("again", ".efi")) == before);
  EXPECT_EQ(RunTool({"sha256sum", File("again", ".qcow2")}).substr(0, 64),
            RunTool({"sha256sum", File("signed", ".qcow2")}).substr(0, 64));
}

// Without it the refusals below could have another cause.
TEST_F(SecureBootTest, ANewerImageOfTheOwnerBoots) {
  absl::StatusOr<std::string> good = sign::SignEfiProgram(Newer(), *owner_);
  ASSERT_TRUE(good.ok()) << good.status();
  const std::string console = ConsoleWith(*good);
  EXPECT_THAT(console, HasSubstr("panic=11"));
  EXPECT_THAT(console, HasSubstr("probe: Secure Boot 1, setup mode 0"));
}

TEST_F(SecureBootTest, U2_AnUnsignedImageIsRefusedAndTheOtherBoots) { ExpectRefused(Newer()); }

TEST_F(SecureBootTest, U4_AFlippedBitInTheKernelIsRefusedAndTheOtherBoots) {
  std::string kernel = *sign::SignEfiProgram(Newer(), *owner_);
  kernel[kernel.size() / 2] ^= 1;
  ExpectRefused(kernel);
}

TEST_F(SecureBootTest, U9_AnEditedCommandLineIsRefusedAndTheOtherBoots) {
  std::string kernel =
      absl::StrReplaceAll(*sign::SignEfiProgram(Newer(), *owner_), {{" panic=11 ", " panic=12 "}});
  ExpectRefused(kernel);
}

TEST_F(SecureBootTest, U2_AnImageOfAnotherOwnerIsRefusedAndTheOtherBoots) {
  const sign::EfiKey key = sign::EfiKey::Generate();
  const absl::Time now = absl::FromUnixSeconds(1700000000);
  const sign::EfiSigner other = *sign::MakeEfiSigner(
      key, *sign::SelfSignEfi("another owner", key, now, now + absl::Hours(24 * 3650)));
  ExpectRefused(*sign::SignEfiProgram(Newer(), other));
}

}  // namespace
}  // namespace basalt::testing
