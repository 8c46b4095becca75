// Kernel images as they are signed and measured.
#include "images/builder/secure_boot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "images/builder/host.h"
#include "machineconfig/sign/efi_measure.h"
#include "tests/unit/machineconfig/sign/efi_testing.h"

namespace basalt::image {
namespace {

using ::testing::HasSubstr;

UkiParts Parts() {
  return {.os_release = "NAME=Basalt\n",
          .command_line = "quiet",
          .kernel_version = "6.1",
          .kernel = std::string(5000, 'k'),
          .initramfs = std::string(300, 'i')};
}

TEST(SignedUki, BytesThatNothingLoadsStayOut) {
  absl::StatusOr<std::string> plain = MakeUki(sign::TestProgram(), Parts());
  absl::StatusOr<std::string> with_symbols = MakeUki(sign::TestProgram(777), Parts());
  ASSERT_TRUE(plain.ok() && with_symbols.ok()) << plain.status() << with_symbols.status();
  EXPECT_TRUE(*plain == *with_symbols) << "symbols of the stub";
}

TEST(SignedUki, ASignatureCoversIt) {
  const sign::EfiKey key = sign::EfiKey::Generate();
  const absl::Time now = absl::FromUnixSeconds(1700000000);
  const sign::EfiSigner signer =
      *sign::MakeEfiSigner(key, *sign::SelfSignEfi("db", key, now, now + absl::Hours(1)));
  UkiParts parts = Parts();
  parts.pcr_public_key = key.PublicPem();
  parts.pcr_signature = sign::PcrSignatureJson(PcrOfUki(parts), key);
  absl::StatusOr<std::string> uki = MakeUki(sign::TestProgram(777), parts);
  ASSERT_TRUE(uki.ok()) << uki.status();
  EXPECT_EQ(*UkiSection(*uki, ".pcrpkey"), parts.pcr_public_key);
  EXPECT_EQ(*UkiSection(*uki, ".pcrsig"), parts.pcr_signature);
  absl::StatusOr<std::string> signed_one = sign::SignEfiProgram(*uki, signer);
  ASSERT_TRUE(signed_one.ok()) << signed_one.status();
  const sign::EfiSignatures db = {.certificates = {signer.certificate.der}};
  for (const char* text : {"quiet", "kkkk", "iiii", "NAME=Basalt"}) {
    std::string bent = *signed_one;
    bent[bent.find(text)] ^= 1;
    EXPECT_FALSE(sign::CheckEfiProgram(sign::ReadingOf(bent), bent.size(), db, {}).ok()) << text;
  }
  EXPECT_TRUE(sign::CheckEfiProgram(sign::ReadingOf(*signed_one), signed_one->size(), db, {}).ok());
}

TEST(SignedUki, WhatIsMeasuredIsWhatIsInIt) {
  UkiParts parts = Parts();
  absl::StatusOr<std::string> uki = MakeUki(sign::TestProgram(), parts);
  ASSERT_TRUE(uki.ok()) << uki.status();
  EXPECT_FALSE(UkiSection(*uki, ".pcrpkey").ok()) << "without a key there is no section";
  const Digest read = sign::PredictPcr11([&](absl::string_view name) -> std::optional<std::string> {
    absl::StatusOr<std::string> section = UkiSection(*uki, name);
    return section.ok() ? std::optional<std::string>(*section) : std::nullopt;
  });
  EXPECT_EQ(read, PcrOfUki(parts));
  parts.pcr_public_key = "key";
  EXPECT_NE(PcrOfUki(parts), read);
  const Digest with_key = PcrOfUki(parts);
  parts.pcr_signature = "signature";
  EXPECT_EQ(PcrOfUki(parts), with_key) << "a signature cannot be about itself";
}

class LoadedKeys : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/keysXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void Write(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(WriteWhole(absl::StrCat(dir_, "/", name), bytes).ok());
  }
  std::string dir_;
};

TEST_F(LoadedKeys, ADirectoryHasAllAKeyAloneWantsItsCertificate) {
  const sign::EfiKey key = sign::EfiKey::Generate();
  const absl::Time now = absl::FromUnixSeconds(1700000000);
  Write("db.key", key.Pem("secret"));
  Write("db.crt",
        sign::EfiCertificatePem(*sign::SelfSignEfi("db", key, now, now + absl::Hours(1))));
  EXPECT_EQ(api::Reason(LoadSecureBoot(dir_, "", "").status()), "passphrase-needed");
  EXPECT_FALSE(LoadSecureBoot(dir_, "", "secret").ok()) << "keys for the firmware are missing";
  for (const char* name : {"PK.auth", "KEK.auth", "db.auth"}) Write(name, name);
  absl::StatusOr<SecureBoot> all = LoadSecureBoot(dir_, "", "secret");
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->signer->certificate.name, "db");
  EXPECT_EQ(all->enrolment.size(), 3u);
  EXPECT_FALSE(all->pcr.has_value());
  Write("pcr.key", key.Pem("secret"));
  EXPECT_TRUE(LoadSecureBoot(dir_, "", "secret")->pcr.has_value());
  EXPECT_EQ(LoadEfiKey(dir_ + "/pcr.key", "secret")->spki_der(), key.spki_der());
  absl::Status alone = LoadSecureBoot(dir_ + "/db.key", "", "secret").status();
  EXPECT_THAT(std::string(alone.message()), HasSubstr("a key alone"));
  absl::StatusOr<SecureBoot> pair = LoadSecureBoot(dir_ + "/db.key", dir_ + "/db.crt", "secret");
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_TRUE(pair->enrolment.empty());
  const sign::EfiKey other = sign::EfiKey::Generate();
  Write("other.crt",
        sign::EfiCertificatePem(*sign::SelfSignEfi("other", other, now, now + absl::Hours(1))));
  EXPECT_EQ(api::Reason(LoadSecureBoot(dir_ + "/db.key", dir_ + "/other.crt", "secret").status()),
            "wrong-certificate");
}

}  // namespace
}  // namespace basalt::image
