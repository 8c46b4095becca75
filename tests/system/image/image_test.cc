// The image as it is shipped, but for a probe in the place of PID 1: built, judged by programs that
// we did not write, booted, broken. Only in `./dev test --all`: it wants Debian packages and QEMU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "images/builder/host.h"
#include "machineconfig/base/digest.h"
#include "tests/system/image/machine.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kEspAt = kMebibyte, kSlotAt = 513 * kMebibyte;
constexpr absl::Duration kPatience = absl::Seconds(120);

image::Tools& Tools() {
  static image::Tools tools(absl::FromUnixSeconds(1700000000));
  return tools;
}

std::string RunTool(const std::vector<std::string>& argv) {
  absl::StatusOr<std::string> output = Tools().Run(argv);
  EXPECT_TRUE(output.ok()) << output.status();
  return output.value_or("");
}

std::string Read(const std::string& path) {
  absl::StatusOr<std::string> bytes = image::ReadWhole(path);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

// Our programs, with the probe for PID 1.
std::string Programs(const std::string& directory, bool probe) {
  fs::create_directories(directory);
  for (std::string name :
       {"noded", "noded-fetch", "noded-dhcp", "noded-unlock", "noded-wire", "basalt-boot"}) {
    fs::create_symlink(absl::StrCat(PROGRAMS, "/", name), directory + "/" + name);
  }
  fs::create_symlink(probe ? PROBE : PROGRAMS "/noded-init", directory + "/noded-init");
  return directory;
}

struct Image {
  std::string out;
  std::string File(absl::string_view end) const {
    return absl::StrCat(out, "/basalt-9.9.9-vm-amd64", end);
  }
};

Image Build(const std::string& scratch, bool probe = true) {
  Image image{scratch + "/out"};
  RunTool({PROGRAMS "/image-builder", "build", "--profile", "vm-amd64", "--recipe", RECIPE,
           "--cache", CACHE, "--programs", Programs(scratch + "/programs", probe), "--out",
           image.out, "--image-version", "9.9.9", "--time", "1700000000"});
  return image;
}

class ImageTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string path = ::testing::TempDir() + "/basalt-image-XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    root_ = new std::string(path);
    image_ = new Image(Build(path));
    ASSERT_TRUE(image::Exists(image_->File(".raw")));
  }
  static void TearDownTestSuite() {
    fs::remove_all(*root_);
    delete root_;
    delete image_;
  }
  void SetUp() override {
    scratch_ =
        absl::StrCat(*root_, "/", ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(scratch_);
  }
  void TearDown() override { fs::remove_all(scratch_); }

  std::string CopyOfDisk() {
    std::string disk = scratch_ + "/disk.raw";
    EXPECT_TRUE(image::MakeSparse(disk, fs::file_size(image_->File(".raw"))).ok());
    EXPECT_TRUE(image::CopySparse(image_->File(".raw"), disk, 0).ok());
    return disk;
  }

  // One bit of the slot, in the file and on the disk.
  std::string DiskWithFlippedBit(uint64_t at) {
    std::string disk = CopyOfDisk(), slot = Read(image_->File(".slot"));
    std::string byte(1, static_cast<char>(slot.at(at) ^ 1));
    EXPECT_TRUE(image::WriteAt(disk, kSlotAt + at, byte).ok());
    return disk;
  }

  // Boots, once more when the emulator stalls before the kernel says anything (about 1 in 50 on a
  // loaded machine), and returns the console.
  std::string Console(const std::string& disk, const std::vector<std::string>& texts,
                      bool restarts = false) {
    for (int attempt = 1;; ++attempt) {
      Machine machine(disk, scratch_, {.restarts = restarts});
      bool there = machine.Await(texts, kPatience);
      bool silent = !absl::StrContains(machine.console(), "probe:") &&
                    !absl::StrContains(machine.console(), "noded-init") &&
                    !absl::StrContains(machine.console(), "basalt boot");
      if (there || !silent || attempt == 2) {
        EXPECT_TRUE(there) << machine.console();
        return machine.console();
      }
      std::fprintf(stderr, "the first attempt said nothing in %s: once more\n",
                   absl::FormatDuration(kPatience).c_str());
    }
  }

  static inline std::string* root_ = nullptr;
  static inline Image* image_ = nullptr;
  std::string scratch_;
};

TEST_F(ImageTest, PowerOnReachesTheVerifiedReadOnlyRoot) {
  std::string console = Console(CopyOfDisk(), {"probe: done"});
  EXPECT_THAT(console, HasSubstr("probe: argument --pid1"));
  EXPECT_THAT(console, HasSubstr("probe: root erofs read-only"));
  for (std::string path : {"/dev", "/proc", "/sys"})
    EXPECT_THAT(console, HasSubstr("probe: mounted " + path));
  EXPECT_THAT(console, HasSubstr(" files, 0 errors"));
  EXPECT_THAT(console, HasSubstr("[integrity]"));
  EXPECT_THAT(console, Not(HasSubstr("not loaded"))) << "a module of the initramfs";
}

TEST_F(ImageTest, U4_AFlippedBitInTheRootPanics) {
  // In the middle of what the probe reads.
  std::string console = Console(DiskWithFlippedBit(9000000), {"Kernel panic", "probe: done"});
  EXPECT_THAT(console, HasSubstr("data block 2197 is corrupted"));
  EXPECT_THAT(console, Not(HasSubstr("probe: done")));
}

TEST_F(ImageTest, U4_AFlippedBitInTheHashTreePanics) {
  uint64_t size = fs::file_size(image_->File(".slot"));
  std::string console =
      Console(DiskWithFlippedBit(size - 4096 * 20), {"Kernel panic", "probe: done"});
  EXPECT_THAT(console, ::testing::ContainsRegex("metadata block [0-9]+ is corrupted"));
  EXPECT_THAT(console, Not(HasSubstr("probe: done")));
}

// The kernel image on the ESP with one digit of the root hash changed.
TEST_F(ImageTest, U4_AnotherRootHashFindsNoSlotAndRestarts) {
  std::string disk = CopyOfDisk(), uki = Read(image_->File(".efi"));
  size_t at = uki.find("noded.root=") + 11;
  uki[at] = uki[at] == '0' ? '1' : '0';
  std::string file = scratch_ + "/uki";
  ASSERT_TRUE(image::WriteWhole(file, uki).ok());
  RunTool(
      {"mcopy", "-o", "-i", absl::StrCat(disk, "@@", kEspAt), file, "::EFI/Linux/noded_9.9.9.efi"});
  std::string console = Console(disk, {"restarting in 5 s", "probe: "});
  EXPECT_THAT(console, HasSubstr("no slot holds the root of this kernel"));
  EXPECT_THAT(console, Not(HasSubstr("probe: ")));
}

TEST_F(ImageTest, U2_AnEntryWhoseRootIsNowhereComesBackByItself) {
  std::string disk = CopyOfDisk(), uki = Read(image_->File(".efi"));
  size_t at = uki.find("noded.root=") + 11;
  uki[at] = uki[at] == '0' ? '1' : '0';
  // A newer version, with one try.
  uki = absl::StrReplaceAll(uki, {{"VERSION_ID=9.9.9\nIMAGE", "VERSION_ID=9.9.10\nIMAG"},
                                  {"IMAGE_VERSION=9.9.9", "IMAGE_VERSION=9.9.A"}});
  std::string file = scratch_ + "/uki";
  ASSERT_TRUE(image::WriteWhole(file, uki).ok());
  RunTool({"mcopy", "-i", absl::StrCat(disk, "@@", kEspAt), file, "::EFI/Linux/noded_9.9.A+1.efi"});
  std::string console = Console(disk, {"probe: done"}, /*restarts=*/true);
  EXPECT_THAT(console, HasSubstr("no slot holds the root of this kernel"));
  EXPECT_THAT(console, HasSubstr(" files, 0 errors"));
  EXPECT_THAT(RunTool({"mdir", "-b", "-i", absl::StrCat(disk, "@@", kEspAt), "::EFI/Linux"}),
              HasSubstr("noded_9.9.A+0-1.efi"));
}

std::map<std::string, std::string> Digests(const std::string& directory) {
  std::map<std::string, std::string> digests;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    std::string path = entry.path();
    // The sparse disk is read as its user would: holes and all, without 4 GB of memory.
    digests[path.substr(directory.size())] = RunTool({"sha256sum", "--zero", path}).substr(0, 64);
  }
  return digests;
}

// With the real PID 1: an image on a disk that is larger than it, then on one that grew.
TEST_F(ImageTest, DataGrowsWithItsDisk) {
  Image image = Build(scratch_, /*probe=*/false);
  std::string disk = scratch_ + "/disk.raw";
  ASSERT_TRUE(image::MakeSparse(disk, fs::file_size(image.File(".raw"))).ok());
  ASSERT_TRUE(image::CopySparse(image.File(".raw"), disk, 0).ok());
  RunTool({"qemu-img", "resize", "-q", "-f", "raw", disk, "6G"});
  std::string console = Console(disk, {"DATA: /dev/vda5 on /data", "DATA: cannot"});
  EXPECT_THAT(console, HasSubstr("DATA: /dev/vda5 grew from 1024 to "));
  EXPECT_THAT(console, HasSubstr("DATA: /dev/vda5 is marked for it: formatting"));
  EXPECT_THAT(RunTool({"sfdisk", "--verify", disk}), HasSubstr("No errors detected"));
  RunTool({"qemu-img", "resize", "-q", "-f", "raw", disk, "9G"});
  console = Console(disk, {"DATA: its file system has", "DATA: resize2fs", "grow-failed"});
  EXPECT_THAT(console, HasSubstr("to 6398 MiB [ok]"));
  EXPECT_THAT(console, HasSubstr("DATA: its file system has 6397 MiB [ok]"));
  EXPECT_THAT(RunTool({"sfdisk", "--verify", disk}), HasSubstr("No errors detected"));
  // At rest nothing more is grown.
  console = Console(disk, {"DATA: /dev/vda5 on /data"});
  EXPECT_THAT(console, Not(HasSubstr("grew from")));
}

TEST_F(ImageTest, U10_TwoBuildsAreTheSameBitForBit) {
  setenv("TZ", "Asia/Tokyo", 1);
  setenv("LC_ALL", "tr_TR.UTF-8", 1);
  mode_t old_mask = umask(077);
  Image other = Build(scratch_ + "/a longer place/with blanks");
  umask(old_mask);
  unsetenv("TZ");
  unsetenv("LC_ALL");
  auto first = Digests(image_->out), second = Digests(other.out);
  EXPECT_GT(first.size(), 40u);
  EXPECT_EQ(first, second);
}

TEST_F(ImageTest, U11_TheSlotHoldsJustWhatItsListSays) {
  std::string slot = scratch_ + "/root.erofs", root = scratch_ + "/root";
  fs::copy_file(image_->File(".slot"), slot);
  RunTool({"fsck.erofs", "--extract=" + root, slot});
  RunTool({PROGRAMS "/image-builder", "check", root, image_->File(".contents.tsv")});
  ASSERT_TRUE(image::WriteWhole(root + "/usr/bin/extra", "x").ok());
  EXPECT_FALSE(
      Tools().Run({PROGRAMS "/image-builder", "check", root, image_->File(".contents.tsv")}).ok());
}

TEST_F(ImageTest, ProgramsOfOthersAgree) {
  std::string disk = CopyOfDisk(), slot = image_->File(".slot");
  EXPECT_THAT(RunTool({"sfdisk", "--verify", disk}), HasSubstr("No errors detected"));
  std::string manifest = Read(image_->File(".image.yaml"));
  size_t at = manifest.find("\"root\": \"") + 9;
  std::string hash = manifest.substr(at, 64);
  std::string blocks = manifest.substr(at + 65, manifest.find('"', at) - at - 65);
  RunTool({"veritysetup", "verify", slot, slot, hash,
           absl::StrCat("--hash-offset=", std::stoull(blocks) * 4096)});
  std::string esp = scratch_ + "/esp.img";
  ASSERT_TRUE(image::WriteWhole(esp, "").ok());
  RunTool({"dd", "if=" + disk, "of=" + esp, "bs=1M", "skip=1", "count=512", "conv=sparse"});
  RunTool({"fsck.vfat", "-n", esp});
  EXPECT_THAT(RunTool({"objdump", "-h", image_->File(".efi")}), HasSubstr(".cmdline"));
  RunTool({"qemu-img", "check", image_->File(".qcow2")});
}

}  // namespace
}  // namespace basalt::testing
