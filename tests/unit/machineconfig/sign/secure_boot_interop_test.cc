// The same by programs that we did not write: sbsigntool, efitools, openssl, systemd-measure.
#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "machineconfig/sign/efi_measure.h"
#include "machineconfig/sign/efi_signature.h"
#include "nlohmann/json.hpp"
#include "tests/unit/machineconfig/sign/efi_testing.h"
#include "tests/unit/machineconfig/sign/interop_testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

constexpr char kOwner[] = "11111111-2222-3333-4444-0123456789ab";
constexpr char kMeasure[] = "/usr/lib/systemd/systemd-measure";

class SecureBootInterop : public Interop {
 protected:
  void SetUp() override {
    Interop::SetUp();
    if (dir_.empty()) return;
    const EfiKey key = EfiKey::Generate();
    const absl::Time now = absl::FromUnixSeconds(1700000000);
    signer_ = std::make_unique<EfiSigner>(
        *MakeEfiSigner(key, *SelfSignEfi("owner db", key, now, now + absl::Hours(24 * 365 * 20))));
    Write("db.key", key.Pem());
    Write("db.pub", key.PublicPem());
    Write("db.crt", EfiCertificatePem(signer_->certificate));
  }
  bool Have(const std::string& program) { return Run("command -v " + program); }

  std::unique_ptr<EfiSigner> signer_;
};

TEST_F(SecureBootInterop, SbverifyAgrees) {
  if (!Have("sbverify")) GTEST_SKIP() << "no sbverify (sbsigntool)";
  Write("good.efi", *SignEfiProgram(TestProgram(), *signer_));
  EXPECT_TRUE(Run("sbverify --cert db.crt good.efi")) << Read("out");
  std::string bad = Read("good.efi");
  bad[0x450] ^= 1;
  Write("bad.efi", bad);
  EXPECT_FALSE(Run("sbverify --cert db.crt bad.efi"));
}

TEST_F(SecureBootInterop, WhatSbsignSignsIsGood) {
  if (!Have("sbsign")) GTEST_SKIP() << "no sbsign (sbsigntool)";
  Write("plain.efi", TestProgram());
  ASSERT_TRUE(Run("sbsign --key db.key --cert db.crt --output signed.efi plain.efi"))
      << Read("out");
  const std::string program = Read("signed.efi");
  const EfiSignatures db{.certificates = {signer_->certificate.der}};
  absl::StatusOr<EfiVerdict> verdict = CheckEfiProgram(ReadingOf(program), program.size(), db, {});
  EXPECT_TRUE(verdict.ok()) << verdict.status();
}

TEST_F(SecureBootInterop, EfitoolsWritesTheSameList) {
  if (!Have("cert-to-efi-sig-list")) GTEST_SKIP() << "no cert-to-efi-sig-list (efitools)";
  ASSERT_TRUE(Run(absl::StrCat("cert-to-efi-sig-list -g ", kOwner, " db.crt db.esl")))
      << Read("out");
  EXPECT_EQ(Read("db.esl"), EfiListOf(signer_->certificate.der, EfiGuid::Parse(kOwner)));
}

TEST_F(SecureBootInterop, WhatEfitoolsSignsIsTheSameWrite) {
  if (!Have("sign-efi-sig-list")) GTEST_SKIP() << "no sign-efi-sig-list (efitools)";
  const std::string list = EfiListOf(signer_->certificate.der, EfiGuid::Parse(kOwner));
  Write("db.esl", list);
  ASSERT_TRUE(Run(
      "TZ=UTC sign-efi-sig-list -t '2023-11-14 22:13:20' -k db.key -c db.crt db db.esl db.auth"))
      << Read("out");
  absl::StatusOr<EfiUpdate> read =
      OpenEfiUpdate("db", Read("db.auth"), false, signer_->certificate);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->content, list);
  // The write itself is deterministic in efitools too: the same bytes.
  EXPECT_EQ(Read("db.auth").size(),
            SignEfiUpdate({.name = "db", .time = read->time, .content = list}, *signer_).size());
}

TEST_F(SecureBootInterop, OpensslVerifiesAWriteOfAVariable) {
  const std::string content = EfiListOf(Sha256("x"), EfiGuid::Parse(kOwner));
  const std::string file = SignEfiUpdate({.name = "dbx",
                                          .time = absl::FromUnixSeconds(1700000000),
                                          .append = true,
                                          .content = content},
                                         *signer_);
  // Behind time and header: SignedData, for which openssl wants the type around it.
  const std::string bare = file.substr(40, file.size() - 40 - content.size());
  Write("bare.der", bare);
  EXPECT_TRUE(Run("openssl asn1parse -inform DER -in bare.der")) << Read("out");
  EXPECT_THAT(Read("out"), HasSubstr("owner db"));
  EXPECT_TRUE(Run("openssl x509 -in db.crt -noout -checkend 0 -subject")) << Read("out");
}

TEST_F(SecureBootInterop, SystemdMeasurePredictsTheSame) {
  if (!Run(absl::StrCat("test -x ", kMeasure))) GTEST_SKIP() << "no systemd-measure";
  std::map<std::string, std::string> sections = {{".linux", std::string(5000, 'k')},
                                                 {".osrel", "NAME=Basalt\n"},
                                                 {".cmdline", "quiet noded.root=a:1"},
                                                 {".initrd", std::string(700, 'i')},
                                                 {".pcrpkey", signer_->key.PublicPem()}};
  std::string command = absl::StrCat(kMeasure, " calculate --json=short --bank=sha256 --phase=:");
  for (const auto& [name, content] : sections) {
    Write(name.substr(1), content);
    absl::StrAppend(&command, " --", name.substr(1), "=", name.substr(1));
  }
  ASSERT_TRUE(Run(command)) << Read("out");
  const auto json = nlohmann::json::parse(Read("out"), nullptr, false);
  ASSERT_FALSE(json.is_discarded()) << Read("out");
  const Digest ours = PredictPcr11([&](absl::string_view name) -> std::optional<std::string> {
    const auto it = sections.find(std::string(name));
    return it == sections.end() ? std::nullopt : std::optional<std::string>(it->second);
  });
  EXPECT_EQ(json["sha256"][0]["hash"], ours.Hex()) << Read("out");
}

TEST_F(SecureBootInterop, ThePolicySignatureIsGoodForOpenssl) {
  const Digest pcr = Sha256("a boot");
  const auto json = nlohmann::json::parse(PcrSignatureJson(pcr, signer_->key), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  const Digest policy = PolicyOfPcr11(pcr);
  Write("policy", absl::string_view(reinterpret_cast<const char*>(policy.bytes.data()), 32));
  Write("sig.b64", json["sha256"][0]["sig"].get<std::string>() + "\n");
  EXPECT_TRUE(
      Run("openssl base64 -d -A -in sig.b64 -out sig && "
          "openssl dgst -sha256 -verify db.pub -signature sig policy"))
      << Read("out");
  // As systemd counts: of the PKCS#1 form. Its own `systemd-measure sign` wants a TPM.
  EXPECT_TRUE(
      Run("openssl rsa -pubin -in db.pub -RSAPublicKey_out -outform DER 2>/dev/null | sha256sum"));
  EXPECT_EQ(Read("out").substr(0, 64), json["sha256"][0]["pkfp"]);
}

}  // namespace
}  // namespace basalt::sign
