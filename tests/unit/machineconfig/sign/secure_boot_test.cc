// What firmware and TPMs check, made and judged by ourselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machineconfig/sign/efi_measure.h"
#include "machineconfig/sign/efi_signature.h"
#include "tests/unit/machineconfig/sign/efi_testing.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

const absl::Time kBegin = absl::FromUnixSeconds(1700000000);

// RSA keys take their time: made once.
const EfiSigner& Signer(int which) {
  static const EfiSigner* const signers = [] {
    auto* made = new EfiSigner[3]{};
    const char* names[] = {"owner db", "other db", "owner KEK"};
    for (int i = 0; i < 3; ++i) {
      EfiKey key = EfiKey::Generate();
      EfiCertificate cert = *SelfSignEfi(names[i], key, kBegin, kBegin + absl::Hours(24));
      made[i] = *MakeEfiSigner(key, cert);
    }
    return made;
  }();
  return signers[which];
}
const EfiSigner& Owner() { return Signer(0); }
const EfiSigner& Other() { return Signer(1); }

EfiSignatures Of(const EfiSigner& signer) { return {.certificates = {signer.certificate.der}}; }

absl::StatusOr<EfiVerdict> Check(const std::string& program, const EfiSignatures& allowed,
                                 const EfiSignatures& forbidden = {}) {
  return CheckEfiProgram(ReadingOf(program), program.size(), allowed, forbidden);
}

TEST(SecureBoot, ASignedProgramIsGoodForItsOwner) {
  absl::StatusOr<std::string> signed_one = SignEfiProgram(TestProgram(5), Owner());
  ASSERT_TRUE(signed_one.ok()) << signed_one.status();
  EXPECT_EQ(signed_one->size() % 8, 0u);
  absl::StatusOr<EfiVerdict> verdict = Check(*signed_one, Of(Owner()));
  ASSERT_TRUE(verdict.ok()) << verdict.status();
  EXPECT_EQ(verdict->signer, "owner db");
  EXPECT_THAT(Check(*signed_one, Of(Other())).status(), HasReason("kernel-signer-unknown"));
  EXPECT_THAT(std::string(Check(*signed_one, {}).status().message()), HasSubstr("owner db"));
  EXPECT_THAT(Check(TestProgram(), Of(Owner())).status(), HasReason("kernel-unsigned"));
}

TEST(SecureBoot, U10_TheSameInputAndKeyGiveTheSameBytes) {
  EXPECT_EQ(*SignEfiProgram(TestProgram(), Owner()), *SignEfiProgram(TestProgram(), Owner()));
  const EfiUpdate update{.name = "db", .time = kBegin, .content = "content"};
  EXPECT_EQ(SignEfiUpdate(update, Owner()), SignEfiUpdate(update, Owner()));
}

TEST(SecureBoot, U4_EveryByteThatIsLoadedCounts) {
  const std::string good = *SignEfiProgram(TestProgram(3), Owner());
  const size_t end = TestProgram(3).size();
  for (size_t at = 0; at < end; at += at < 0x400 ? 1 : 37) {
    // The checksum, and where the signature is, are what a signature cannot be about.
    const bool checksum = at >= kTestPe + 24 + 64 && at < kTestPe + 24 + 68;
    if (checksum) continue;
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_FALSE(Check(bad, Of(Owner())).ok()) << at;
  }
  std::string bad = good;
  bad[0x500] ^= 1;
  EXPECT_THAT(Check(bad, Of(Owner())).status(), HasReason("kernel-signature-bad"));
  bad = good;
  bad[good.size() - 20] ^= 1;  // in the signature itself
  EXPECT_FALSE(Check(bad, Of(Owner())).ok());
}

TEST(SecureBoot, ASignatureIsNotMovedToAnotherProgram) {
  const std::string good = *SignEfiProgram(TestProgram(), Owner());
  std::string other = TestProgram();
  other[0x401] = 'T';
  const EfiProgram layout = *InspectEfiProgram(ReadingOf(other), other.size());
  const EfiProgram of_good = *InspectEfiProgram(ReadingOf(good), good.size());
  const std::string pkcs7 = (*SignaturesOf(ReadingOf(good), of_good))[0];
  EXPECT_THAT(Check(AttachSignature(other, layout, pkcs7), Of(Owner())).status(),
              HasReason("kernel-signature-bad"));
}

TEST(SecureBoot, WhatIsForbiddenOutweighsWhatIsAllowed) {
  const std::string good = *SignEfiProgram(TestProgram(), Owner());
  const Digest digest = Check(good, Of(Owner()))->digest;
  EXPECT_THAT(Check(good, Of(Owner()), Of(Owner())).status(), HasReason("kernel-revoked"));
  EXPECT_THAT(Check(good, Of(Owner()), {.digests = {digest}}).status(),
              HasReason("kernel-revoked"));
  EXPECT_TRUE(Check(good, Of(Owner()), Of(Other())).ok());
  EXPECT_EQ(Check(TestProgram(), {.digests = {digest}})->signer, "by digest");
}

TEST(SecureBoot, OddProgramsAreNotSigned) {
  EXPECT_THAT(SignEfiProgram("MZ", Owner()).status(), HasReason("bad-program"));
  EXPECT_THAT(SignEfiProgram("", Owner()).status(), HasReason("bad-program"));
  EXPECT_THAT(SignEfiProgram(*SignEfiProgram(TestProgram(), Owner()), Owner()).status(),
              HasReason("already-signed"));
  std::string gap = TestProgram(0x200);
  PutLittle(gap, kTestSections + 40 + 20, 0x800, 4);  // the second section 512 bytes later
  EXPECT_THAT(SignEfiProgram(gap, Owner()).status(), HasReason("bad-program"));
  std::string beyond = TestProgram();
  PutLittle(beyond, kTestSections + 16, 0x10000, 4);
  EXPECT_THAT(SignEfiProgram(beyond, Owner()).status(), HasReason("bad-program"));
}

TEST(SecureBoot, KeysAndCertificatesHaveToBelongTogether) {
  EXPECT_THAT(MakeEfiSigner(Owner().key, Other().certificate).status(),
              HasReason("wrong-certificate"));
  const PrivateKey ed25519 = PrivateKey::GenerateEd25519();
  EXPECT_THAT(EfiKey::FromPem(ed25519.Pem()).status(), HasReason("unsupported-key"));
  const std::string pem = Owner().key.Pem("secret");
  EXPECT_THAT(EfiKey::FromPem(pem).status(), HasReason("passphrase-needed"));
  EXPECT_THAT(EfiKey::FromPem(pem, "wrong").status(), HasReason("wrong-passphrase"));
  EXPECT_EQ(EfiKey::FromPem(pem, "secret")->spki_der(), Owner().key.spki_der());
  EXPECT_EQ(ReadEfiCertificatePem(EfiCertificatePem(Owner().certificate))->der,
            Owner().certificate.der);
  EXPECT_THAT(ReadEfiCertificatePem("nonsense").status(), HasReason("bad-certificate"));
}

TEST(SecureBoot, ListsAreReadAsTheyAreWritten) {
  const EfiGuid owner = EfiGuid::Parse("11111111-2222-3333-4444-0123456789ab");
  EXPECT_EQ(owner.ToString(), "11111111-2222-3333-4444-0123456789ab");
  EXPECT_EQ(owner.bytes.substr(4, 2), "\x22\x22");
  EXPECT_TRUE(EfiGuid::Parse("11111111-2222-3333-4444-0123456789ag").bytes.empty());
  const Digest digest = Sha256("program");
  const std::string bytes = EfiListOf(Owner().certificate.der, owner) + EfiListOf(digest, owner);
  absl::StatusOr<EfiSignatures> read = ParseEfiLists(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->certificates.size(), 1u);
  EXPECT_EQ(read->certificates[0], Owner().certificate.der);
  ASSERT_EQ(read->digests.size(), 1u);
  EXPECT_EQ(read->digests[0], digest);
  EXPECT_TRUE(ParseEfiLists("")->empty());
  for (size_t size = 1; size < bytes.size(); size += 13) {
    if (size == EfiListOf(Owner().certificate.der, owner).size()) continue;
    EXPECT_FALSE(ParseEfiLists(bytes.substr(0, size)).ok()) << size;
  }
}

TEST(SecureBoot, AWriteOfAVariableIsBoundToItsNameTimeAndContent) {
  const EfiUpdate update{.name = "db", .time = kBegin, .append = true, .content = "lists"};
  const std::string file = SignEfiUpdate(update, Signer(2));
  absl::StatusOr<EfiUpdate> read = OpenEfiUpdate("db", file, true, Signer(2).certificate);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->time, update.time);
  EXPECT_EQ(read->content, "lists");
  EXPECT_THAT(OpenEfiUpdate("dbx", file, true, Signer(2).certificate).status(),
              HasReason("bad-signature"));
  EXPECT_THAT(OpenEfiUpdate("db", file, false, Signer(2).certificate).status(),
              HasReason("bad-signature"));
  EXPECT_THAT(OpenEfiUpdate("db", file, true, Owner().certificate).status(),
              HasReason("bad-signature"));
  EXPECT_THAT(OpenEfiUpdate("db", file + "x", true, Signer(2).certificate).status(),
              HasReason("bad-signature"));
  std::string later = file;
  later[5] ^= 1;  // the minute
  EXPECT_FALSE(OpenEfiUpdate("db", later, true, Signer(2).certificate).ok());
  EXPECT_THAT(OpenEfiUpdate("db", file.substr(0, 30), true, Signer(2).certificate).status(),
              HasReason("bad-update"));
}

TEST(MeasuredBoot, EverySectionAndItsPlaceCounts) {
  std::map<std::string, std::string> sections = {
      {".linux", "k"}, {".osrel", "o"}, {".cmdline", "c"}, {".initrd", "i"}, {".uname", "u"}};
  const auto predict = [&] {
    return PredictPcr11([&](absl::string_view name) -> std::optional<std::string> {
      const auto it = sections.find(std::string(name));
      return it == sections.end() ? std::nullopt : std::optional<std::string>(it->second);
    });
  };
  const Digest before = predict();
  for (const char* name : {".linux", ".osrel", ".cmdline", ".initrd"}) {
    const std::string old = sections[name];
    sections[name] += "x";
    EXPECT_NE(predict(), before) << name;
    sections[name] = old;
  }
  sections[".uname"] = "other";
  EXPECT_EQ(predict(), before) << "systemd 252 does not measure it";
  sections[".pcrpkey"] = "key";
  EXPECT_NE(predict(), before);
}

TEST(MeasuredBoot, TheSignatureIsOfThePolicy) {
  const Digest pcr = Sha256("a boot");
  const std::string json = PcrSignatureJson(pcr, Owner().key);
  const Digest policy = PolicyOfPcr11(pcr);
  EXPECT_THAT(json, HasSubstr("\"pol\":\"" + policy.Hex() + "\""));
  EXPECT_THAT(json, HasSubstr("\"pcrs\":[11]"));
  const std::string message(reinterpret_cast<const char*>(policy.bytes.data()), 32);
  EXPECT_TRUE(VerifyRsa(Owner().key.PublicPem(), message, Owner().key.Sign(message)));
  EXPECT_FALSE(VerifyRsa(Other().key.PublicPem(), message, Owner().key.Sign(message)));
}

}  // namespace
}  // namespace basalt::sign
