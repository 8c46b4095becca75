#include "server/trust/sealing_key.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "machineconfig/seal/age.h"
#include "machineconfig/sign/vouching.h"
#include "tests/support/clock/fake_clock.h"
#include "tests/support/vfs/fake_vfs.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::trust {
namespace {

using sign::HasReason;
using testing::CutMode;
using testing::FakeClock;
using testing::FakeVfs;
using ::testing::HasSubstr;

bool Zeros(uint8_t* out, size_t size) {
  std::fill(out, out + size, uint8_t{7});
  return true;
}

class SealingKeyTest : public ::testing::Test {
 protected:
  Identity Me() { return Identity::Load(vfs, clock).value(); }
  FakeVfs vfs;
  FakeClock clock;
};

TEST_F(SealingKeyTest, IsMadeOnceAndKept) {
  const Identity me = Me();
  absl::StatusOr<SealingKey> first = SealingKey::Load(vfs, me);
  ASSERT_TRUE(first.ok()) << first.status();
  absl::StatusOr<SealingKey> again = SealingKey::Load(vfs, me);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(first->recipient(), again->recipient());
  EXPECT_EQ(again->warning(), "");
  std::string sealed =
      seal::Encrypt("secret", {seal::Recipient::Parse(first->recipient()).value()}, Zeros).value();
  EXPECT_EQ(seal::Decrypt(sealed, again->keys())->view(), "secret");
}

TEST_F(SealingKeyTest, IsDurableBeforeAnythingShowsIt) {
  const Identity me = Me();
  const std::string recipient = SealingKey::Load(vfs, me)->recipient();
  vfs.CutPower(CutMode::kDropAll);
  EXPECT_EQ(SealingKey::Load(vfs, me)->recipient(), recipient);
}

TEST_F(SealingKeyTest, ItsFileIsOneOfTheAgeTool) {
  ASSERT_TRUE(SealingKey::Load(vfs, Me()).ok());
  const std::string text = vfs.Read("state/sealing.key").value();
  EXPECT_THAT(text, HasSubstr("# public key: age1"));
  EXPECT_THAT(text, HasSubstr("\nAGE-SECRET-KEY-1"));
}

TEST_F(SealingKeyTest, TheIdentityVouchesForIt) {
  const Identity me = Me();
  absl::StatusOr<SealingKey> key = SealingKey::Load(vfs, me);
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(sign::CheckVouching(key->vouched(), me.machine_id()).value(), key->recipient());
}

TEST_F(SealingKeyTest, D8_ADamagedOneIsKeptBesideAndReplacedLoudly) {
  const Identity me = Me();
  for (const char* content : {"", "garbage", "AGE-SECRET-KEY-1QQQQ\n"}) {
    vfs.Corrupt("state/sealing.key", content);
    absl::StatusOr<SealingKey> made = SealingKey::Load(vfs, me);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_THAT(made->warning(), HasSubstr("nodectl pin"));
    EXPECT_EQ(vfs.Read("state/sealing.key.damaged").value(), content);
    EXPECT_EQ(SealingKey::Load(vfs, me)->recipient(), made->recipient());
    EXPECT_EQ(SealingKey::Load(vfs, me)->warning(), "");
  }
}

TEST_F(SealingKeyTest, ADiskThatDoesNotGiveItIsNoReasonForAnother) {
  const Identity me = Me();
  const std::string before = SealingKey::Load(vfs, me)->recipient();
  vfs.Corrupt("state/sealing.key", std::string(128 << 10, 'x'));
  EXPECT_THAT(SealingKey::Load(vfs, me).status(), HasReason("sealing-key-unreadable"));
}

TEST_F(SealingKeyTest, WhatCannotBeStoredIsNotShown) {
  const Identity me = Me();
  vfs.FailAllWrites(absl::ResourceExhaustedError("disk full"));
  EXPECT_FALSE(SealingKey::Load(vfs, me).ok());
}

}  // namespace
}  // namespace basalt::trust
