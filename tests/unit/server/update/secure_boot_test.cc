// Upgrades of a machine whose firmware checks signatures, and measures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/coded_status.h"
#include "tests/unit/server/update/upgrade_world.h"

namespace basalt::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const sign::EfiSigner& Signer(bool owner) {
  static const auto* const signers = [] {
    const absl::Time now = absl::FromUnixSeconds(1700000000);
    auto* made = new std::vector<sign::EfiSigner>();
    for (const char* name : {"owner db", "stranger"}) {
      sign::EfiKey key = sign::EfiKey::Generate();
      sign::EfiCertificate cert = *sign::SelfSignEfi(name, key, now, now + absl::Hours(1));
      made->push_back(*sign::MakeEfiSigner(key, cert));
    }
    return made;
  }();
  return (*signers)[owner ? 0 : 1];
}

std::string ListOf(const sign::EfiSigner& signer) {
  return sign::EfiListOf(signer.certificate.der,
                         sign::EfiGuid::Parse("11111111-2222-3333-4444-0123456789ab"));
}

class SecureBootUpgrade : public ::testing::Test {
 protected:
  void SetUp() override {
    w_.firmware->state = host::SecureBoot::kEnforcing;
    w_.firmware->lists["db"] = ListOf(Signer(true));
    w_.Start();
  }

  // The code with which it is refused; nothing that boots was touched then.
  std::string Refused(int64_t generation, const KitImage& image) {
    const int64_t before = w_.disk.changes();
    std::shared_ptr<RecordingWatcher> apply = w_.Apply(generation, w_.Publish(image));
    EXPECT_EQ(w_.disk.changes(), before);
    EXPECT_THAT(w_.disk.names(), ElementsAre("noded_1.0.0.efi"));
    EXPECT_EQ(w_.machine->reboots, 0);
    message_ = apply->last().message();
    return apply->last().error_code();
  }

  UpgradeWorld w_;
  std::string message_;
};

TEST_F(SecureBootUpgrade, AnImageOfTheOwnerIsTaken) {
  std::shared_ptr<RecordingWatcher> apply =
      w_.Apply(2, w_.Publish(MakeKitImage({.version = "1.1.0", .signer = &Signer(true)})));
  EXPECT_EQ(apply->last().state(), v1::APPLY_STATE_REBOOTING)
      << apply->error << apply->last().message();
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.1.0");
  EXPECT_EQ(w_.Image().secure_boot(), "enforcing");
}

TEST_F(SecureBootUpgrade, U2_WhatFirmwareWouldRefuseIsRefusedBeforeAnythingIsWritten) {
  EXPECT_EQ(Refused(2, MakeKitImage({.version = "1.1.0"})), "kernel-unsigned");
  EXPECT_EQ(Refused(3, MakeKitImage({.version = "1.2.0", .signer = &Signer(false)})),
            "kernel-signer-unknown");
  EXPECT_THAT(message_, HasSubstr("stranger"));
  // Signed, and one bit of its command line is another: manifest and digest tell of these bytes.
  KitImage bent = MakeKitImage({.version = "1.3.0", .signer = &Signer(true)});
  const size_t at = bent.kernel.find("quiet");
  ASSERT_NE(at, std::string::npos);
  bent.kernel[at] ^= 1;
  bent.manifest = KitManifest({.version = "1.3.0"}, bent.root, bent.slot, bent.kernel);
  EXPECT_EQ(Refused(4, bent), "kernel-signature-bad");
  w_.firmware->lists["dbx"] = ListOf(Signer(true));
  EXPECT_EQ(Refused(5, MakeKitImage({.version = "1.4.0", .signer = &Signer(true)})),
            "kernel-revoked");
}

TEST_F(SecureBootUpgrade, ListsThatCannotBeReadAreNoYes) {
  w_.firmware->broken = absl::UnavailableError("input/output error");
  EXPECT_EQ(Refused(2, MakeKitImage({.version = "1.1.0", .signer = &Signer(true)})),
            "firmware-unreadable");
  w_.firmware->broken = absl::OkStatus();
  w_.firmware->lists["db"] = "nonsense";
  EXPECT_EQ(Refused(3, MakeKitImage({.version = "1.2.0", .signer = &Signer(true)})),
            "firmware-unreadable");
}

TEST_F(SecureBootUpgrade, WithoutSecureBootNobodyAsksForSignatures) {
  w_.firmware->state = host::SecureBoot::kSetup;
  std::shared_ptr<RecordingWatcher> apply =
      w_.Apply(2, w_.Publish(MakeKitImage({.version = "1.1.0"})));
  EXPECT_EQ(apply->last().state(), v1::APPLY_STATE_REBOOTING) << apply->last().message();
}

TEST_F(SecureBootUpgrade, AnOrderToGoBackIsNotObeyedWhereFirmwareWouldRefuse) {
  w_.Apply(2, w_.Publish(MakeKitImage({.version = "1.1.0", .signer = &Signer(true)})));
  ASSERT_TRUE(w_.Reboot());
  w_.disk.Bless();
  w_.Advance(absl::Minutes(1));
  // 1.0.0 in the other slot is from before the keys.
  EXPECT_EQ(api::Reason(w_.RollBack().status()), "kernel-unsigned");
  EXPECT_EQ(w_.Slot("a").state(), "good");
  EXPECT_EQ(w_.running(), "1.1.0");
}

class MeasuredUpgrade : public SecureBootUpgrade {
 protected:
  const std::string predicted_ = std::string(64, 'b');

  void Upgrade(const std::string& measured) {
    std::shared_ptr<RecordingWatcher> apply = w_.Apply(
        2, w_.Publish(
               MakeKitImage({.version = "1.1.0", .signer = &Signer(true), .pcr11 = predicted_})));
    ASSERT_EQ(apply->last().state(), v1::APPLY_STATE_REBOOTING) << apply->last().message();
    w_.firmware->pcrs[11] = measured;
    ASSERT_TRUE(w_.Reboot());
  }
  v1::Condition Measured() {
    const v1::MachineStatus status = w_.h.MachineStatus();
    for (const v1::Condition& one : status.conditions()) {
      if (one.type() == "BootMeasured") return one;
    }
    return {};
  }
};

TEST_F(MeasuredUpgrade, WhatWasMeasuredIsWhatTheManifestPredicts) {
  w_.firmware->pcrs[11] = std::string(64, 'a');
  w_.Start();
  EXPECT_EQ(w_.Image().pcr11(), "not-predicted") << "no manifest of the first image is known";
  Upgrade(predicted_);
  EXPECT_EQ(w_.Image().pcr11(), "as-predicted");
  EXPECT_EQ(w_.Image().pcr11_measured(), predicted_);
  EXPECT_EQ(w_.Slot("b").pcr11(), predicted_);
  EXPECT_TRUE(Measured().holds());
}

TEST_F(MeasuredUpgrade, AnotherMeasurementIsACondition) {
  Upgrade(std::string(64, 'c'));
  EXPECT_EQ(w_.Image().pcr11(), "differs");
  EXPECT_FALSE(Measured().holds());
  EXPECT_THAT(Measured().message(), HasSubstr("PCR 11"));
}

TEST_F(MeasuredUpgrade, WhereItWasAsPredictedAnotherMeasurementTakesAnUpgradeBack) {
  Upgrade(predicted_);
  w_.disk.Bless();
  w_.Advance(absl::Minutes(1));
  const KitImage next =
      MakeKitImage({.version = "1.2.0", .signer = &Signer(true), .pcr11 = std::string(64, 'd')});
  std::shared_ptr<RecordingWatcher> apply = w_.Apply(3, w_.Publish(next));
  ASSERT_EQ(apply->last().state(), v1::APPLY_STATE_REBOOTING) << apply->last().message();
  w_.firmware->pcrs[11] = std::string(64, 'e');
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.2.0");
  EXPECT_EQ(w_.machine->reboots, 3) << "it is about to be left";
  w_.firmware->pcrs[11] = predicted_;
  ASSERT_TRUE(w_.Reboot());
  EXPECT_EQ(w_.running(), "1.1.0");
  EXPECT_EQ(w_.h.ActiveGeneration(), 2);
  EXPECT_TRUE(Measured().holds());
}

TEST_F(MeasuredUpgrade, AFirmwareThatMeasuresNothingIsNoDifference) {
  Upgrade(std::string(64, '0'));
  EXPECT_EQ(w_.Image().pcr11(), "not-measured");
  EXPECT_EQ(Measured().type(), "");
}

TEST_F(MeasuredUpgrade, WithoutATpmNothingIsSaidOfIt) {
  Upgrade("");
  EXPECT_EQ(w_.Image().pcr11(), "");
  EXPECT_EQ(Measured().type(), "");
}

}  // namespace
}  // namespace basalt::testing
