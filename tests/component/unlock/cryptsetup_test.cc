// The format is LUKS2, judged by cryptsetup, which did not write it: it opens what we made, and we
// change what it changed. On files; nothing is mapped.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "server/unlock/layout.h"
#include "server/unlock/orders.h"
#include "server/unlock/volume.h"
#include "tests/support/unlock/fake_unlock.h"

namespace basalt::unlock {
namespace {

constexpr size_t kSize = kDataOffset + (4 << 20);
constexpr char kCryptsetup[] = "/usr/sbin/cryptsetup";

class CryptsetupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (access(kCryptsetup, X_OK) != 0) GTEST_SKIP() << "no cryptsetup here";
    root_ = ::testing::TempDir() + "/luks-XXXXXX";
    ASSERT_NE(mkdtemp(root_.data()), nullptr);
    device_ = root_ + "/device";
    std::ofstream(device_).put(0);
    std::filesystem::resize_file(device_, kSize);
    Put("state-key", state_key_.view());
    Put("passphrase", passphrase_.view());
    blocks_ = *OpenBlocks(device_);
  }
  void TearDown() override {
    if (!root_.empty()) std::filesystem::remove_all(root_);
  }
  void Put(const std::string& name, absl::string_view bytes) {
    std::ofstream(root_ + "/" + name, std::ios::binary) << bytes;
  }
  int Cryptsetup(const std::string& arguments) {
    const std::string line =
        absl::StrCat(kCryptsetup, " -q ", arguments, " >", root_, "/said 2>&1 </dev/null");
    return WEXITSTATUS(system(line.c_str()));
  }
  std::string Said() {
    std::ifstream file(root_ + "/said");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  bool Opens(const std::string& key_file) {
    return Cryptsetup(absl::StrCat("open --test-passphrase --key-file ", root_, "/", key_file, " ",
                                   device_)) == 0;
  }
  Parts TheParts() {
    return {.blocks = *blocks_,
            .mapper = mapper_,
            .tpm = []() -> StatusOr<std::unique_ptr<Tpm>> {
              return NotFoundError("this machine has no TPM 2.0");
            },
            .authority = std::nullopt,
            .board_root = "",
            .memory_total = 256 << 20};
  }
  Order TheOrder(bool with_state = true, bool with_passphrase = true) {
    return {.device = device_,
            .name = "longhorn",
            .key = KeyKind::kPassphrase,
            .state_key = with_state ? &state_key_ : nullptr,
            .passphrase = with_passphrase ? &passphrase_ : nullptr};
  }

  std::string root_, device_;
  SecretBytes state_key_ = RandomSecret(64), passphrase_ = SecretBytes("correct horse battery");
  FakeMapper mapper_;
  std::unique_ptr<Blocks> blocks_;
};

TEST_F(CryptsetupTest, CryptsetupOpensWhatWeMade) {
  ASSERT_TRUE(Format(TheParts(), TheOrder()).ok());
  EXPECT_EQ(Cryptsetup("isLuks --type luks2 " + device_), 0) << Said();
  EXPECT_EQ(Cryptsetup("luksDump " + device_), 0) << Said();
  const std::string dump = Said();
  for (const char* part : {"Version:       \t2", "longhorn", "argon2id", "pbkdf2",
                           "aes-xts-plain64", "basalt-state", "basalt-passphrase"}) {
    EXPECT_NE(dump.find(part), std::string::npos) << part << "\n" << dump;
  }
  EXPECT_TRUE(Opens("passphrase")) << Said();
  EXPECT_TRUE(Opens("state-key")) << Said();
  Put("wrong", "correct horse batterx");
  EXPECT_FALSE(Opens("wrong"));
}

TEST_F(CryptsetupTest, TheVolumeKeyIsTheOneThatWeHandToTheKernel) {
  ASSERT_TRUE(Format(TheParts(), TheOrder()).ok());
  ASSERT_EQ(Cryptsetup(absl::StrCat("luksDump --dump-volume-key --volume-key-file ", root_,
                                    "/volume-key --key-file ", root_, "/state-key ", device_)),
            0)
      << Said();
  std::ifstream file(root_ + "/volume-key", std::ios::binary);
  const std::string key(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(mapper_.mapped.at("longhorn").second, key);
}

TEST_F(CryptsetupTest, WeGoOnWithWhatCryptsetupChanged) {
  ASSERT_TRUE(Format(TheParts(), TheOrder()).ok());
  const std::string key = mapper_.mapped.at("longhorn").second;
  Put("third", "somebody else's passphrase");
  ASSERT_EQ(Cryptsetup(absl::StrCat("luksAddKey --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "
                                    "--key-file ",
                                    root_, "/state-key ", device_, " ", root_, "/third")),
            0)
      << Said();
  mapper_.mapped.clear();
  std::string renewed;
  ASSERT_TRUE(Open(TheParts(), TheOrder(true, false), &renewed).ok());
  EXPECT_EQ(mapper_.mapped.at("longhorn").second, key);
  passphrase_ = SecretBytes("another passphrase");
  Put("passphrase", passphrase_.view());
  ASSERT_TRUE(ChangePassphrase(TheParts(), TheOrder()).ok());
  EXPECT_EQ(Cryptsetup("luksDump " + device_), 0) << Said();
  for (const char* name : {"passphrase", "state-key", "third"}) EXPECT_TRUE(Opens(name)) << name;
  // What cryptsetup calls damaged it would repair: there is nothing.
  EXPECT_EQ(Cryptsetup("repair " + device_), 0) << Said();
}

TEST_F(CryptsetupTest, D2_ATornHeaderIsReadByBothAlike) {
  ASSERT_TRUE(Format(TheParts(), TheOrder()).ok());
  const std::string old_bytes = *blocks_->Read(0, kBothHeaders);
  passphrase_ = SecretBytes("another passphrase");
  ASSERT_TRUE(ChangePassphrase(TheParts(), TheOrder()).ok());
  // The power went after the first copy.
  ASSERT_TRUE(blocks_->Write(kHeaderSize, old_bytes.substr(kHeaderSize)).ok());
  Put("passphrase", passphrase_.view());
  EXPECT_TRUE(Opens("passphrase")) << Said();
  auto volume = ReadVolume(*blocks_);
  ASSERT_TRUE(volume.ok());
  EXPECT_TRUE(OpenWith(*blocks_, kPassphraseToken, passphrase_.view(), &*volume).ok());
}

}  // namespace
}  // namespace basalt::unlock
