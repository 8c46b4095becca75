// The image on a machine with a TPM 2.0 (swtpm), a probe in the place of noded: STATE and DATA are
// encrypted at the first boot and opened at the next; on another TPM they are not, and nothing is
// formatted, until a person has the recovery passphrase. Other values in PCR 7:
// tests/component/unlock. Only in `./dev test --all`.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "images/builder/host.h"
#include "machineconfig/base/digest.h"
#include "tests/system/image/machine.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMebibyte = 1 << 20;
// ESP, two slots, then STATE.
constexpr uint64_t kStateAt = (1 + 512 + 2 * 1024) * kMebibyte, kStateSize = 256 * kMebibyte;
constexpr absl::Duration kPatience = absl::Seconds(300);
constexpr char kStateOpen[] = "STATE: /dev/vda4 on /state, encrypted [ok]";
constexpr char kDataOpen[] = "DATA: /dev/vda5 on /data, encrypted [ok]";

std::string Read(const std::string& path, uint64_t at, uint64_t size) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(size, '\0');
  file.seekg(static_cast<std::streamoff>(at));
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  return bytes;
}

class TpmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    scratch_ = ::testing::TempDir() + "/basalt-tpm-XXXXXX";
    ASSERT_NE(mkdtemp(scratch_.data()), nullptr);
    fs::create_directories(scratch_ + "/programs");
    for (std::string name :
         {"noded-init", "noded-fetch", "noded-dhcp", "noded-unlock", "noded-wire", "basalt-boot"}) {
      fs::create_symlink(absl::StrCat(PROGRAMS, "/", name), scratch_ + "/programs/" + name);
    }
    fs::create_symlink(PROBE, scratch_ + "/programs/noded");
    auto built =
        tools_.Run({PROGRAMS "/image-builder", "build", "--profile", "vm-amd64", "--recipe", RECIPE,
                    "--cache", CACHE, "--programs", scratch_ + "/programs", "--out",
                    scratch_ + "/out", "--image-version", "9.9.9", "--time", "1700000000"});
    ASSERT_TRUE(built.ok()) << built.status();
    disk_ = scratch_ + "/out/basalt-9.9.9-vm-amd64.raw";
  }
  void TearDown() override { fs::remove_all(scratch_); }

  // Boots until one of `texts` is said; the console. Once more when the emulator stalls before
  // PID 1.
  std::string Boot(const std::string& tpm, const std::vector<std::string>& texts) {
    for (int attempt = 1;; ++attempt) {
      Machine machine(disk_, scratch_, {.tpm_state = tpm});
      const bool there = machine.Await(texts, kPatience);
      if (there || attempt == 2 || absl::StrContains(machine.console(), "noded-init")) {
        EXPECT_TRUE(there) << machine.console();
        return machine.console();
      }
    }
  }
  // Onto the ESP, as a person at another machine does.
  void PutRecovery(const std::string& passphrase) {
    std::ofstream(scratch_ + "/recovery") << passphrase << "\n";
    const std::string esp = disk_ + "@@1M";
    tools_.Run({"mmd", "-i", esp, "::basalt"}).status().IgnoreError();  // it may be there
    auto put = tools_.Run(
        {"mcopy", "-o", "-i", esp, scratch_ + "/recovery", "::basalt/recovery-passphrase"});
    EXPECT_TRUE(put.ok()) << put.status();
  }
  std::string StateDigest() { return Sha256(Read(disk_, kStateAt, kStateSize)).Hex(); }

  image::Tools tools_{absl::FromUnixSeconds(1700000000)};
  std::string scratch_, disk_;
};

TEST_F(TpmTest, StateAndDataAreSealedAndOpenOnThisMachineAlone) {
  const std::string own = scratch_ + "/tpm-a";
  std::string console = Boot(own, {"probe: again"});
  EXPECT_TRUE(absl::StrContains(console, kStateOpen)) << console;
  EXPECT_TRUE(absl::StrContains(console, kDataOpen)) << console;
  // The passphrase is set by the key on STATE; the TPM gives nothing out to who runs by now.
  EXPECT_TRUE(absl::StrContains(console, "probe: passphrase 0")) << console;
  EXPECT_TRUE(absl::StrContains(console, "probe: again 3")) << console;
  EXPECT_TRUE(absl::StrContains(console, "open in this boot already (PCR 15)")) << console;
  EXPECT_EQ(Read(disk_, kStateAt, 4), "LUKS");
  EXPECT_NE(Read(disk_, kStateAt, 16384).find("basalt-tpm2"), std::string::npos);

  console = Boot(own, {kDataOpen, "[disk-locked]"});
  EXPECT_TRUE(absl::StrContains(console, kStateOpen)) << console;
  EXPECT_FALSE(absl::StrContains(console, "formatting")) << console;

  // A disk that was taken out.
  const std::string before = StateDigest();
  console = Boot(scratch_ + "/tpm-b", {"[disk-locked]", kStateOpen});
  EXPECT_TRUE(absl::StrContains(console, "not the TPM that the key was sealed in")) << console;
  EXPECT_FALSE(absl::StrContains(console, "formatting")) << console;
  EXPECT_EQ(StateDigest(), before);

  // The board died, and the disk is in another: a person has the passphrase, once.
  PutRecovery("not the passphrase");
  console = Boot(scratch_ + "/tpm-b", {"[disk-locked]", kStateOpen});
  EXPECT_FALSE(absl::StrContains(console, kStateOpen)) << console;
  PutRecovery("correct horse battery staple");
  console = Boot(scratch_ + "/tpm-b", {"probe: again", "[disk-locked]"});
  EXPECT_TRUE(absl::StrContains(console, "STATE: opened by the recovery passphrase")) << console;
  EXPECT_TRUE(absl::StrContains(console, "STATE: keys made anew: tpm2")) << console;
  EXPECT_TRUE(absl::StrContains(console, "DATA: keys made anew: tpm2")) << console;
  EXPECT_TRUE(absl::StrContains(console, kDataOpen)) << console;
  EXPECT_FALSE(tools_.Run({"mdir", "-i", disk_ + "@@1M", "::basalt/recovery-passphrase"}).ok());
  console = Boot(scratch_ + "/tpm-b", {"probe: again", "[disk-locked]"});
  EXPECT_TRUE(absl::StrContains(console, kStateOpen)) << console;
  EXPECT_FALSE(absl::StrContains(console, "made anew")) << console;
  EXPECT_FALSE(absl::StrContains(console, "formatting")) << console;
}

}  // namespace
}  // namespace basalt::testing
