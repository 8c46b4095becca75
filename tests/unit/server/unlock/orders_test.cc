// Encrypted partitions: which key opens what, what is made anew, and that nobody is locked out by a
// power cut.
#include "server/unlock/orders.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "server/unlock/layout.h"
#include "server/unlock/volume.h"
#include "tests/support/unlock/fake_unlock.h"

namespace basalt::unlock {
namespace {

constexpr size_t kSize = kDataOffset + (2 << 20);

class OrdersTest : public ::testing::Test {
 protected:
  OrdersTest() : blocks_(kSize) {
    board_ = ::testing::TempDir() + "/board-" + std::to_string(getpid());
    std::filesystem::create_directories(board_ + "/sys/class/dmi/id");
    SetBoard("9b1c7e1a-5a0e-4a7b-9f53-0d6c9b0f3f11");
  }
  ~OrdersTest() override { std::filesystem::remove_all(board_); }
  void SetBoard(const std::string& uuid) {
    std::ofstream(board_ + "/sys/class/dmi/id/product_uuid") << uuid << "\n";
  }

  Parts TheParts() {
    return {.blocks = blocks_,
            .mapper = mapper_,
            .tpm = [this]() -> StatusOr<std::unique_ptr<Tpm>> {
              ++tpm_opened_;
              if (!tpm_.present) return NotFoundError("this machine has no TPM 2.0");
              return std::make_unique<FakeTpm>(tpm_);
            },
            .authority = authority_,
            .board_root = board_,
            .memory_total = 64 << 20};
  }
  Order TheOrder(KeyKind key = KeyKind::kState) {
    return {.device = "/dev/vda4",
            .name = "STATE",
            .key = key,
            .state_key = has_state_key_ ? &state_key_ : nullptr,
            .passphrase = has_passphrase_ ? &passphrase_ : nullptr};
  }
  Status Make(KeyKind key) { return Format(TheParts(), TheOrder(key)); }
  Status OpenIt(bool check = false) {
    renewed_.clear();
    Order order = TheOrder();
    order.check_keys = check;
    return Open(TheParts(), order, &renewed_);
  }
  // The machine starts again: nothing is mapped, the registers are as at boot.
  void Restart() {
    mapper_.mapped.clear();
    tpm_.locked = false;
  }
  std::string Key() const { return mapper_.mapped.at("STATE").second; }
  Header TheHeader() { return ReadVolume(blocks_)->header; }

  FakeBlocks blocks_;
  FakeMapper mapper_;
  FakeTpmState tpm_;
  int tpm_opened_ = 0;
  std::optional<PcrAuthority> authority_;
  std::string board_, renewed_;
  bool has_state_key_ = false, has_passphrase_ = false;
  SecretBytes state_key_ = RandomSecret(64);
  SecretBytes passphrase_ = SecretBytes("correct horse battery");
};

TEST_F(OrdersTest, TheSameTpmOpensWhatItSealed) {
  ASSERT_TRUE(Make(KeyKind::kTpm2).ok());
  const std::string key = Key();
  EXPECT_EQ(key.size(), kVolumeKeySize);
  EXPECT_EQ(mapper_.mapped.at("STATE").first.offset, kDataOffset);
  EXPECT_EQ(mapper_.mapped.at("STATE").first.size, kSize - kDataOffset);
  Restart();
  Status opened = OpenIt();
  ASSERT_TRUE(opened.ok()) << opened;
  EXPECT_EQ(Key(), key);
  EXPECT_EQ(renewed_, "");
  EXPECT_EQ(KeyText(TheHeader()), "tpm2 (PCR 7+15)");
  // Nothing that could open it lies in the clear before the data.
  EXPECT_EQ(blocks_.bytes.find(key), std::string::npos);
}

TEST_F(OrdersTest, AnotherTpmAnotherSecureBootAndALaterUserAreRefused) {
  ASSERT_TRUE(Make(KeyKind::kTpm2).ok());
  const std::string disk = blocks_.bytes;
  struct Case {
    std::function<void()> change;
    const char* says;
  };
  for (const Case& c : {Case{[&] { tpm_.seed = "another TPM"; }, "not the TPM"},
                        Case{[&] { tpm_.pcr7 = std::string(32, '8'); }, "PCR 7"},
                        Case{[&] { tpm_.locked = true; }, "PCR 15"},
                        Case{[&] { tpm_.present = false; }, "no TPM"}}) {
    const FakeTpmState before = tpm_;
    Restart();
    c.change();
    Status opened = OpenIt();
    EXPECT_TRUE(IsPermissionDenied(opened)) << opened;
    EXPECT_NE(std::string(opened.message()).find(c.says), std::string::npos) << opened;
    EXPECT_TRUE(mapper_.mapped.empty());
    EXPECT_EQ(blocks_.bytes, disk);  // nothing is written on the way
    tpm_ = before;
  }
}

TEST_F(OrdersTest, ThePassphraseOpensAfterAChangeAndSealsAnew) {
  has_passphrase_ = true;
  ASSERT_TRUE(Make(KeyKind::kTpm2).ok());
  const std::string key = Key();
  Restart();
  tpm_.pcr7 = std::string(32, '8');  // the firmware was updated
  ASSERT_TRUE(OpenIt().ok());
  EXPECT_EQ(renewed_, "tpm2");
  EXPECT_EQ(Key(), key);
  Restart();
  has_passphrase_ = false;
  ASSERT_TRUE(OpenIt().ok());
  EXPECT_EQ(renewed_, "");
  EXPECT_EQ(TheHeader().keyslots.size(), 2u);
}

TEST_F(OrdersTest, AWrongPassphraseOpensNothing) {
  has_passphrase_ = true;
  ASSERT_TRUE(Make(KeyKind::kTpm2).ok());
  Restart();
  tpm_.pcr7 = std::string(32, '8');
  passphrase_ = SecretBytes("correct horse batterx");
  Status opened = OpenIt();
  EXPECT_TRUE(IsPermissionDenied(opened));
  EXPECT_NE(std::string(opened.message()).find("passphrase: the key does not fit"),
            std::string::npos)
      << opened;
}

TEST_F(OrdersTest, ASealThatFailsOnOpeningIsSaidAndTriedAgain) {
  has_passphrase_ = true;
  ASSERT_TRUE(Make(KeyKind::kTpm2).ok());
  Restart();
  tpm_.pcr7 = std::string(32, '8');
  tpm_.fail_next_seals = 1;
  ASSERT_TRUE(OpenIt().ok());
  EXPECT_NE(renewed_.find("not: the TPM: seal"), std::string::npos) << renewed_;
  Restart();
  ASSERT_TRUE(OpenIt().ok());
  EXPECT_EQ(renewed_, "tpm2");
}

TEST_F(OrdersTest, SignedImagesOpenAndUnsignedOnesDoNot) {
  authority_ = PcrAuthority{.public_key = "the owner's", .signatures = "image 1, image 2"};
  ASSERT_TRUE(Make(KeyKind::kTpm2).ok());
  EXPECT_EQ(KeyText(TheHeader()), "tpm2 (PCR 7+15, signed PCR 11)");
  Restart();
  tpm_.pcr11 = "image 2";
  EXPECT_TRUE(OpenIt().ok());
  Restart();
  tpm_.pcr11 = "image 3";
  EXPECT_TRUE(IsPermissionDenied(OpenIt()));
}

TEST_F(OrdersTest, TheBoardOpensWhatWasMadeOnItAndNoOtherDoes) {
  ASSERT_TRUE(Make(KeyKind::kNode).ok());
  EXPECT_EQ(KeyText(TheHeader()), "node");
  EXPECT_EQ(tpm_opened_, 0);
  Restart();
  EXPECT_TRUE(OpenIt().ok());
  Restart();
  SetBoard("11111111-5a0e-4a7b-9f53-0d6c9b0f3f11");
  Status opened = OpenIt();
  EXPECT_TRUE(IsPermissionDenied(opened));
  EXPECT_NE(std::string(opened.message()).find("not the board"), std::string::npos) << opened;
}

TEST_F(OrdersTest, ABoardWithoutANumberOfItsOwnIsRefused) {
  SetBoard("03000200-0400-0500-0006-000700080009");
  Status made = Make(KeyKind::kNode);
  EXPECT_TRUE(IsFailedPrecondition(made)) << made;
  EXPECT_TRUE(mapper_.mapped.empty());
}

TEST_F(OrdersTest, WithoutATpmNothingIsMadeThatAsksForOne) {
  tpm_.present = false;
  EXPECT_TRUE(IsNotFound(Make(KeyKind::kTpm2)));
  EXPECT_TRUE(mapper_.mapped.empty());
  EXPECT_TRUE(IsNotFound(ReadVolume(blocks_).status()));
}

TEST_F(OrdersTest, TheStateKeyOpensWithoutTheTpm) {
  has_state_key_ = true;
  ASSERT_TRUE(Make(KeyKind::kTpm2).ok());
  Restart();
  tpm_opened_ = 0;
  ASSERT_TRUE(OpenIt().ok());
  EXPECT_EQ(tpm_opened_, 0);
  // After STATE had to be opened by a person the TPM's key of the others is looked at too.
  Restart();
  tpm_.pcr7 = std::string(32, '8');
  ASSERT_TRUE(OpenIt(/*check=*/true).ok());
  EXPECT_EQ(renewed_, "tpm2");
}

TEST_F(OrdersTest, ALostStateKeyIsReplacedByTheNextOne) {
  has_state_key_ = has_passphrase_ = true;
  ASSERT_TRUE(Make(KeyKind::kPassphrase).ok());
  Restart();
  state_key_ = RandomSecret(64);  // STATE was made anew
  ASSERT_TRUE(OpenIt().ok());
  EXPECT_EQ(renewed_, "state");
  Restart();
  has_passphrase_ = false;
  EXPECT_TRUE(OpenIt().ok());
  EXPECT_EQ(renewed_, "");
}

TEST_F(OrdersTest, ThePassphraseIsChangedWhileTheDeviceIsInUse) {
  has_state_key_ = has_passphrase_ = true;
  ASSERT_TRUE(Make(KeyKind::kTpm2).ok());
  passphrase_ = SecretBytes("another passphrase");
  ASSERT_TRUE(ChangePassphrase(TheParts(), TheOrder()).ok());
  Restart();
  has_state_key_ = false;
  tpm_.present = false;
  EXPECT_TRUE(OpenIt().ok());
  Restart();
  passphrase_ = SecretBytes("correct horse battery");
  EXPECT_FALSE(OpenIt().ok());
  // And taken away.
  has_state_key_ = true;
  has_passphrase_ = false;
  ASSERT_TRUE(ChangePassphrase(TheParts(), TheOrder()).ok());
  EXPECT_EQ(TheHeader().SlotOf(kPassphraseToken), nullptr);
}

TEST_F(OrdersTest, WhoHasNoKeyChangesNoPassphrase) {
  has_state_key_ = has_passphrase_ = true;
  ASSERT_TRUE(Make(KeyKind::kState).ok());
  const std::string disk = blocks_.bytes;
  state_key_ = RandomSecret(64);
  EXPECT_TRUE(IsPermissionDenied(ChangePassphrase(TheParts(), TheOrder())));
  EXPECT_EQ(blocks_.bytes, disk);
}

TEST_F(OrdersTest, D2_APowerCutAtAnyWriteOfAChangeLeavesAKeyThatOpens) {
  has_state_key_ = has_passphrase_ = true;
  ASSERT_TRUE(Make(KeyKind::kState).ok());
  const std::string before = blocks_.bytes;
  const size_t start = blocks_.writes;
  SecretBytes old_passphrase("correct horse battery"), new_passphrase("another passphrase");
  passphrase_ = SecretBytes(new_passphrase.view());
  ASSERT_TRUE(ChangePassphrase(TheParts(), TheOrder()).ok());
  const size_t writes = blocks_.writes - start;
  ASSERT_GE(writes, 4u);  // area, two headers, the old area
  for (size_t cut = 0; cut < writes; ++cut) {
    blocks_.bytes = before;
    blocks_.writes_left = cut;
    has_state_key_ = true;
    passphrase_ = SecretBytes(new_passphrase.view());
    EXPECT_FALSE(ChangePassphrase(TheParts(), TheOrder()).ok());
    blocks_.writes_left = SIZE_MAX;
    // With the state key, and with one of the two passphrases.
    Restart();
    EXPECT_TRUE(OpenIt().ok()) << cut;
    has_state_key_ = false;
    bool opens = false;
    for (const SecretBytes* one : {&old_passphrase, &new_passphrase}) {
      Restart();
      passphrase_ = SecretBytes(one->view());
      opens = opens || OpenIt().ok();
    }
    EXPECT_TRUE(opens) << cut;
  }
}

TEST_F(OrdersTest, AFormatDoesNotWriteThroughTheMappingOfAnEarlierOne) {
  has_state_key_ = true;
  ASSERT_TRUE(Make(KeyKind::kState).ok());
  const std::string first = Key();
  ASSERT_TRUE(Make(KeyKind::kState).ok());
  EXPECT_NE(Key(), first);
  mapper_.in_use = true;
  EXPECT_TRUE(IsFailedPrecondition(Make(KeyKind::kState)));
}

TEST_F(OrdersTest, OpeningWhatIsOpenChangesNothing) {
  has_state_key_ = true;
  ASSERT_TRUE(Make(KeyKind::kState).ok());
  const size_t writes = blocks_.writes;
  EXPECT_TRUE(OpenIt().ok());
  EXPECT_EQ(blocks_.writes, writes);
}

TEST_F(OrdersTest, ADamagedHeaderIsLeftAsItIs) {
  has_state_key_ = true;
  ASSERT_TRUE(Make(KeyKind::kState).ok());
  Restart();
  blocks_.bytes[5000] = blocks_.bytes[kHeaderSize + 5000] = '!';
  const std::string disk = blocks_.bytes;
  EXPECT_TRUE(IsDataLoss(OpenIt()));
  EXPECT_EQ(blocks_.bytes, disk);
}

}  // namespace
}  // namespace basalt::unlock
