// What this library makes, the openssl and ssh-keygen programs accept, and the reverse. Skipped
// where they are not installed.
#include <algorithm>
#include <cctype>
#include <string>

#include "absl/time/clock.h"
#include "machineconfig/sign/x509.h"
#include "tests/unit/machineconfig/sign/interop_testing.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

TEST_F(Interop, OpenSslVerifiesOurSignatureOverThePae) {
  v1::SignedDocument document = SignedBy({"alice"});
  AddSignature(document, P256Key());
  Write("pae", Pae(PayloadType(document.type()), document.payload()));
  Write("sig", document.signatures(0).signature());
  Write("pub", Key("alice").public_key().Pem());
  EXPECT_TRUE(Run("openssl pkeyutl -verify -rawin -pubin -inkey pub -in pae -sigfile sig"))
      << Read("out");
  Write("sig", document.signatures(1).signature());
  Write("pub", P256Key().public_key().Pem());
  EXPECT_TRUE(Run("openssl dgst -sha256 -verify pub -signature sig pae")) << Read("out");
  Write("pae", "something else");
  EXPECT_FALSE(Run("openssl dgst -sha256 -verify pub -signature sig pae"));
}

TEST_F(Interop, WeVerifyOpenSslsSignatureOverThePae) {
  ASSERT_TRUE(
      Run("openssl genpkey -algorithm ed25519 -out key && "
          "openssl pkey -in key -pubout -out pub"))
      << Read("out");
  auto key = PublicKey::Parse(Read("pub"));
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(PrivateKey::FromPem(Read("key"))->public_key().id(), key->id());
  v1::TrustPolicy policy = Policy();
  AddKey(policy, "openssl", *key);
  v1::SignedDocument document = SignedBy({});
  Write("pae", Pae(PayloadType(document.type()), document.payload()));
  ASSERT_TRUE(Run("openssl pkeyutl -sign -rawin -inkey key -in pae -out sig")) << Read("out");
  v1::Signature* signature = document.add_signatures();
  signature->set_scheme(v1::SIGNATURE_SCHEME_DSSE);
  signature->set_signature(Read("sig"));
  EXPECT_TRUE(Verify(document, document.type(), policy).ok())
      << Verify(document, document.type(), policy).status();
}

TEST_F(Interop, EncryptedKeysGoBothWays) {
  Write("ours", Key("alice").Pem("correct horse"));
  EXPECT_TRUE(Run("openssl pkey -in ours -passin 'pass:correct horse' -pubout")) << Read("out");
  EXPECT_EQ(PublicKey::Parse(Read("out"))->id(), Key("alice").public_key().id());
  ASSERT_TRUE(Run("openssl genpkey -algorithm ed25519 -aes256 -pass pass:x -out theirs"))
      << Read("out");
  EXPECT_TRUE(PrivateKey::FromPem(Read("theirs"), "x").ok())
      << PrivateKey::FromPem(Read("theirs"), "x").status();
  ASSERT_TRUE(
      Run("openssl genpkey -algorithm ed25519 -out plain && "
          "openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES -passout pass:x -in plain -out old"))
      << Read("out");
  EXPECT_THAT(PrivateKey::FromPem(Read("old"), "x").status(), HasReason("unsupported-key"));
}

TEST_F(Interop, OtherKeysOfOpenSslAreRefusedByName) {
  ASSERT_TRUE(
      Run("openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out rsa && "
          "openssl pkey -in rsa -pubout -out rsa.pub && "
          "openssl ecparam -name secp384r1 -genkey -noout -out p384 && "
          "openssl ecparam -name prime256v1 -genkey -noout -param_enc explicit -out expl"))
      << Read("out");
  EXPECT_THAT(PublicKey::Parse(Read("rsa.pub")).status(), HasReason("unsupported-key"));
  EXPECT_THAT(std::string(PublicKey::Parse(Read("rsa.pub")).status().message()), HasSubstr("RSA"));
  for (const char* file : {"rsa", "p384", "expl"}) {
    EXPECT_THAT(PrivateKey::FromPem(Read(file)).status(), HasReason("unsupported-key")) << file;
  }
  // With its parameters in front, as `openssl ecparam -genkey` writes it.
  ASSERT_TRUE(Run("openssl ecparam -name prime256v1 -genkey -out ec"));
  EXPECT_THAT(Read("ec"), HasSubstr("EC PARAMETERS"));
  EXPECT_TRUE(PrivateKey::FromPem(Read("ec")).ok()) << PrivateKey::FromPem(Read("ec")).status();
}

TEST_F(Interop, WeReadTheKeysOfSshKeygen) {
  if (!Run("command -v ssh-keygen")) GTEST_SKIP() << "no ssh-keygen program";
  ASSERT_TRUE(Run("ssh-keygen -q -t ed25519 -N '' -C 'alice at work' -f id")) << Read("out");
  EXPECT_TRUE(PublicKey::Parse(Read("id.pub")).ok()) << PublicKey::Parse(Read("id.pub")).status();
  ASSERT_TRUE(
      Run("ssh-keygen -q -t ecdsa -b 256 -N '' -f ec && "
          "ssh-keygen -e -m PKCS8 -f ec.pub > ec.pem"))
      << Read("out");
  auto line = PublicKey::Parse(Read("ec.pub"));
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->id(), PublicKey::Parse(Read("ec.pem"))->id());
}

TEST_F(Interop, S12_OpenSslAgreesOnWhoIssuedWhatForWhichUse) {
  CertificateSpec ca_spec{.common_name = "home",
                          .is_ca = true,
                          .not_before = absl::Now() - absl::Hours(1),
                          .not_after = absl::Now() + absl::Hours(1)};
  const std::string ca = *SelfSign(ca_spec, Key("ca"));
  CertificateSpec spec = ca_spec;
  spec.is_ca = false;
  spec.common_name = "admin";
  spec.organizations = {"basalt:admin"};
  spec.client_auth = true;
  spec.dns_names = {"n1.example"};
  spec.ip_addresses = {"192.0.2.7"};
  spec.uris = {"basalt://home/n1"};
  Write("ca.crt", ca);
  Write("other.crt", *SelfSign(ca_spec, Key("ca2")));
  Write("leaf.crt", *Issue(spec, P256Key().public_key(), ca, Key("ca")));
  EXPECT_TRUE(Run("openssl verify -x509_strict -purpose sslclient -CAfile ca.crt leaf.crt"))
      << Read("out");
  EXPECT_FALSE(Run("openssl verify -purpose sslserver -CAfile ca.crt leaf.crt"));
  EXPECT_FALSE(Run("openssl verify -CAfile other.crt leaf.crt"));
  ASSERT_TRUE(Run("openssl x509 -in leaf.crt -noout -text")) << Read("out");
  for (const char* text : {"O = basalt:admin, CN = admin", "CA:FALSE", "Digital Signature",
                           "TLS Web Client Authentication",
                           "DNS:n1.example, IP Address:192.0.2.7, URI:basalt://home/n1",
                           "X509v3 Subject Key Identifier", "X509v3 Authority Key Identifier"}) {
    EXPECT_THAT(Read("out"), HasSubstr(text));
  }
  ASSERT_TRUE(Run("openssl x509 -in leaf.crt -noout -fingerprint -sha256"));
  std::string fingerprint = Read("out");
  fingerprint = fingerprint.substr(fingerprint.find('=') + 1);
  fingerprint.erase(std::remove_if(fingerprint.begin(), fingerprint.end(),
                                   [](char c) { return c == ':' || c == '\n'; }),
                    fingerprint.end());
  for (char& c : fingerprint) c = static_cast<char>(std::tolower(c));
  EXPECT_EQ(ReadCertificate(Read("leaf.crt"))->fingerprint.Hex(), fingerprint);
}

}  // namespace
}  // namespace basalt::sign
