#include "server/trust/identity.h"

#include <string>

#include "machineconfig/sign/x509.h"
#include "tests/support/clock/fake_clock.h"
#include "tests/support/vfs/fake_vfs.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::trust {
namespace {

using sign::HasReason;
using testing::FakeClock;
using testing::FakeVfs;
using ::testing::HasSubstr;

TEST(Identity, IsMadeOnceAndKept) {
  FakeVfs vfs;
  FakeClock clock;
  auto first = Identity::Load(vfs, clock);
  ASSERT_TRUE(first.ok()) << first.status();
  auto again = Identity::Load(vfs, clock);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(first->machine_id(), again->machine_id());
  EXPECT_EQ(first->machine_id().size(), 64u);
  EXPECT_NE(first->machine_id(), Identity::Load(*std::make_unique<FakeVfs>(), clock)->machine_id());
}

TEST(Identity, ItsCertificateIsForItsKeyAndForServing) {
  FakeVfs vfs;
  FakeClock clock;
  auto identity = Identity::Load(vfs, clock);
  ASSERT_TRUE(identity.ok());
  auto info = sign::ReadCertificate(identity->certificate_pem());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->common_name, identity->machine_id());
  EXPECT_EQ(info->spki.Hex(), identity->machine_id());
  EXPECT_TRUE(info->server_auth);
  EXPECT_FALSE(info->client_auth);
  EXPECT_FALSE(info->is_ca);
  EXPECT_LE(info->not_before, clock.Now());
  EXPECT_GE(info->not_after, clock.Now() + absl::Hours(24 * 3650));
}

TEST(Identity, AClockWithoutATimeStillGivesACertificate) {
  FakeVfs vfs;
  FakeClock clock;
  clock.SetNow(absl::UnixEpoch());
  clock.synced = false;
  auto identity = Identity::Load(vfs, clock);
  ASSERT_TRUE(identity.ok()) << identity.status();
  auto info = sign::ReadCertificate(identity->certificate_pem());
  ASSERT_TRUE(info.ok());
  EXPECT_GT(info->not_after, absl::FromUnixSeconds(1795500000));
}

TEST(Identity, D8_ADamagedKeyIsNamedAndNeverReplaced) {
  for (const char* content : {"", "garbage", "-----BEGIN PRIVATE KEY-----\nAAAA\n"}) {
    FakeVfs vfs;
    FakeClock clock;
    ASSERT_TRUE(Identity::Load(vfs, clock).ok());
    vfs.Corrupt("state/identity.key", content);
    for (int i = 0; i < 2; ++i) {
      absl::Status status = Identity::Load(vfs, clock).status();
      EXPECT_THAT(status, HasReason("identity-damaged"));
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
      EXPECT_THAT(std::string(status.message()), HasSubstr("state/identity.key"));
      EXPECT_EQ(*vfs.Read("state/identity.key"), content);
    }
  }
}

TEST(Identity, AKeyOfAnotherAlgorithmIsNoIdentity) {
  FakeVfs vfs;
  FakeClock clock;
  ASSERT_TRUE(Identity::Load(vfs, clock).ok());
  vfs.Corrupt("state/identity.key", sign::P256Key().Pem());
  EXPECT_THAT(Identity::Load(vfs, clock).status(), HasReason("identity-damaged"));
}

TEST(Identity, AfterACutAtAnyPointTheNodeHasOneIdentityForGood) {
  for (int64_t cut = 0;; ++cut) {
    FakeVfs vfs;
    FakeClock clock;
    vfs.CutAfter(cut);
    auto before = Identity::Load(vfs, clock);
    const bool went = vfs.cut();
    vfs.CutPower();
    auto after = Identity::Load(vfs, clock);
    ASSERT_TRUE(after.ok()) << "cut " << cut << ": " << after.status();
    // What was shown before the cut is still the identity.
    if (before.ok()) {
      EXPECT_EQ(before->machine_id(), after->machine_id()) << "cut " << cut;
    }
    if (!went) break;
    ASSERT_LT(cut, 100);
  }
}

TEST(Identity, AFullDiskIsAnErrorAndShowsNoIdentity) {
  FakeVfs vfs;
  FakeClock clock;
  vfs.FailAllWrites(absl::ResourceExhaustedError("disk full"));
  EXPECT_EQ(Identity::Load(vfs, clock).status().code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace basalt::trust
