#include "server/trust/trust_store.h"

#include <string>

#include "tests/support/vfs/fake_vfs.h"
#include "tests/unit/machineconfig/sign/chain_testing.h"

namespace basalt::trust {
namespace {

using sign::Chain;
using sign::HasReason;
using sign::Version;
using testing::FakeVfs;
using ::testing::HasSubstr;

const char kPrimary[] = "state/trust/chain.json";
const char kBackup[] = "state/trust/chain.backup.json";

class TrustStoreTest : public ::testing::Test {
 protected:
  const Version one_ = Version(1);
  const Version two_ = Version(2).Root({"root2"}).Signed({"root", "root2"});
  const std::string seed_ = sign::ChainToJson(Chain({one_}));
  FakeVfs vfs_;

  TrustStore Loaded() {
    auto store = TrustStore::Load(vfs_, seed_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
};

TEST_F(TrustStoreTest, TheSeedIsReadOnlyWhenNothingIsStored) {
  EXPECT_THAT(TrustStore::Load(vfs_, "").status(), HasReason("no-trust"));
  EXPECT_EQ(Loaded().policy().version(), 1);
  auto other = Version(1).Cluster("office");
  auto again = TrustStore::Load(vfs_, sign::ChainToJson(Chain({other})));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->policy().cluster(), "home");
  EXPECT_TRUE(TrustStore::Load(vfs_, "").ok());
  EXPECT_FALSE(again->used_backup());
  EXPECT_EQ(again->warning(), "");
}

TEST_F(TrustStoreTest, ABadSeedIsRefusedAndNothingIsStored) {
  for (const std::string& seed :
       {std::string("garbage"), std::string("[]"), sign::ChainToJson(Chain({two_})),
        sign::ChainToJson(Chain({one_.Signed({"mallory"})}))}) {
    EXPECT_FALSE(TrustStore::Load(vfs_, seed).ok());
    EXPECT_TRUE(vfs_.AllFiles().empty());
  }
}

TEST_F(TrustStoreTest, AnUpdateTakesEffectAtOnceAndStays) {
  TrustStore store = Loaded();
  auto added = store.Update(Chain({one_, two_}));
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_TRUE(*added);
  EXPECT_EQ(store.policy().version(), 2);
  EXPECT_FALSE(*store.Update(Chain({one_, two_})));
  EXPECT_THAT(store.Update(Chain({one_})).status(), HasReason("older-chain"));
  EXPECT_EQ(store.policy().version(), 2);
  EXPECT_EQ(Loaded().policy().version(), 2);
}

TEST_F(TrustStoreTest, AnUpdateThatChangesNothingWritesNothing) {
  TrustStore store = Loaded();
  const int64_t before = vfs_.counters().operations;
  EXPECT_FALSE(*store.Update(Chain({one_})));
  EXPECT_FALSE(store.Update(Chain({one_.Cluster("office")})).ok());
  Loaded();
  EXPECT_EQ(vfs_.counters().operations, before);
}

TEST_F(TrustStoreTest, D8_ADamagedCopyIsReplacedFromTheOtherAndReported) {
  for (const char* damaged : {kPrimary, kBackup}) {
    for (const std::string& content :
         {std::string(), std::string(100, '\0'), seed_.substr(0, 99)}) {
      FakeVfs vfs;
      ASSERT_TRUE(TrustStore::Load(vfs, seed_)->Update(Chain({one_, two_})).ok());
      vfs.Corrupt(damaged, content);
      auto store = TrustStore::Load(vfs, seed_);
      ASSERT_TRUE(store.ok()) << store.status();
      EXPECT_EQ(store->policy().version(), 2);
      EXPECT_EQ(store->used_backup(), damaged == kPrimary);
      EXPECT_THAT(store->warning(), HasSubstr(damaged));
      EXPECT_EQ(*vfs.Read(kPrimary), *vfs.Read(kBackup));
      auto healed = TrustStore::Load(vfs, "");
      ASSERT_TRUE(healed.ok());
      EXPECT_EQ(healed->warning(), "");
    }
  }
}

TEST_F(TrustStoreTest, D8_EveryFlippedBitOfACopyIsFoundOrHarmless) {
  ASSERT_TRUE(Loaded().Update(Chain({one_, two_})).ok());
  const std::string good = *vfs_.Read(kPrimary);
  for (size_t i = 0; i < good.size(); i += 41) {
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    vfs_.Corrupt(kPrimary, flipped);
    auto store = TrustStore::Load(vfs_, seed_);
    ASSERT_TRUE(store.ok()) << i << ": " << store.status();
    EXPECT_EQ(store->policy().version(), 2) << i;
  }
}

TEST_F(TrustStoreTest, D9_BothCopiesBadIsDataLossAndNeverTheSeed) {
  Loaded();
  vfs_.Corrupt(kPrimary, "garbage");
  vfs_.Corrupt(kBackup, "");
  absl::Status status = TrustStore::Load(vfs_, seed_).status();
  EXPECT_THAT(status, HasReason("trust-damaged"));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(api::Hint(status), HasSubstr("trust.json"));
  EXPECT_EQ(*vfs_.Read(kPrimary), "garbage");
}

TEST_F(TrustStoreTest, S2_AnUpdateCutAtAnyPointEndsOldOrNewAndNeverGoesBack) {
  for (int64_t cut = 0;; ++cut) {
    FakeVfs vfs;
    auto store = TrustStore::Load(vfs, seed_);
    ASSERT_TRUE(store.ok());
    vfs.CutAfter(cut);
    auto done = store->Update(Chain({one_, two_}));
    const bool went = vfs.cut();
    EXPECT_EQ(store->policy().version(), done.ok() ? 2 : 1);
    vfs.CutPower();
    auto after = TrustStore::Load(vfs, seed_);
    ASSERT_TRUE(after.ok()) << "cut " << cut << ": " << after.status();
    if (done.ok()) {
      EXPECT_EQ(after->policy().version(), 2) << "cut " << cut;
    }
    EXPECT_EQ(TrustStore::Load(vfs, seed_)->policy().version(), after->policy().version());
    if (!went) break;
    ASSERT_LT(cut, 100);
  }
}

TEST_F(TrustStoreTest, AFullDiskKeepsTheOldPolicyInForce) {
  TrustStore store = Loaded();
  vfs_.FailAllWrites(absl::ResourceExhaustedError("disk full"));
  EXPECT_EQ(store.Update(Chain({two_})).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(store.policy().version(), 1);
  vfs_.ClearFaults();
  EXPECT_TRUE(*store.Update(Chain({two_})));
}

}  // namespace
}  // namespace basalt::trust
