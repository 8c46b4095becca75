#include "machineconfig/sign/x509.h"

#include <algorithm>
#include <string>

#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {
namespace {

using ::testing::ElementsAre;

const absl::Time kBegin = absl::FromUnixSeconds(1795500000);
const absl::Time kEnd = kBegin + absl::Hours(24);

CertificateSpec Spec(const std::string& name) {
  return {.common_name = name, .not_before = kBegin, .not_after = kEnd};
}

CertificateSpec Authority(const std::string& name) {
  CertificateSpec spec = Spec(name);
  spec.is_ca = true;
  return spec;
}

std::string Made(absl::StatusOr<std::string> pem) {
  EXPECT_TRUE(pem.ok()) << pem.status();
  return pem.ok() ? *pem : "";
}

TEST(X509, ReadsBackWhatItWrote) {
  CertificateSpec spec = Spec("n1, O=basalt:admin");  // text, not syntax
  spec.organizations = {"basalt:admin", "basalt:home:reader"};
  spec.dns_names = {"n1.example", "n1"};
  spec.ip_addresses = {"192.0.2.7", "2001:db8::1"};
  spec.uris = {"basalt://home/n1"};
  spec.client_auth = true;
  for (const PrivateKey* key : {&Key("alice"), &P256Key()}) {
    auto info = ReadCertificate(Made(SelfSign(spec, *key)));
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->common_name, spec.common_name);
    EXPECT_EQ(info->organizations, spec.organizations);
    EXPECT_EQ(info->dns_names, spec.dns_names);
    EXPECT_EQ(info->ip_addresses, spec.ip_addresses);
    EXPECT_EQ(info->uris, spec.uris);
    EXPECT_FALSE(info->is_ca);
    EXPECT_FALSE(info->server_auth);
    EXPECT_TRUE(info->client_auth);
    EXPECT_EQ(info->not_before, kBegin);
    EXPECT_EQ(info->not_after, kEnd);
    EXPECT_EQ(info->spki, key->public_key().id());
    EXPECT_EQ(info->issuer_der, info->subject_der);
  }
}

TEST(X509, DatesBeyond2049AreKept) {
  CertificateSpec spec = Spec("n1");
  spec.not_after =
      absl::FromCivil(absl::CivilSecond(9999, 12, 31, 23, 59, 59), absl::UTCTimeZone());
  auto info = ReadCertificate(Made(SelfSign(spec, Key("alice"))));
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->not_after, spec.not_after);
}

TEST(X509, EachCertificateHasItsOwnSerial) {
  EXPECT_NE(Made(SelfSign(Spec("n1"), Key("alice"))), Made(SelfSign(Spec("n1"), Key("alice"))));
}

TEST(X509, RefusesWhatCannotBeWrittenTruly) {
  auto refused = [](auto change) {
    CertificateSpec spec = Spec("n1");
    change(spec);
    absl::Status status = SelfSign(spec, Key("alice")).status();
    EXPECT_THAT(status, HasReason("bad-certificate-request"));
  };
  refused([](CertificateSpec& s) { s.common_name = ""; });
  refused([](CertificateSpec& s) { s.common_name = std::string(65, 'x'); });
  refused([](CertificateSpec& s) { s.common_name = std::string("n1\0.evil", 8); });
  refused([](CertificateSpec& s) { s.common_name = "\xff"; });
  refused([](CertificateSpec& s) { s.organizations = {"a\nb"}; });
  refused([](CertificateSpec& s) { s.dns_names = {"a b"}; });
  refused([](CertificateSpec& s) { s.dns_names = {""}; });
  refused([](CertificateSpec& s) { s.ip_addresses = {"192.0.2.300"}; });
  refused([](CertificateSpec& s) { s.ip_addresses = {std::string("192.0.2.1\0x", 11)}; });
  refused([](CertificateSpec& s) { s.uris = {"no-scheme"}; });
  refused([](CertificateSpec& s) { s.not_after = s.not_before; });
  refused([](CertificateSpec& s) { s.not_after = absl::InfiniteFuture(); });
  refused([](CertificateSpec& s) { s.is_ca = s.client_auth = true; });
}

TEST(X509, S12_OnlyTheDirectIssuerIsTheIssuer) {
  const std::string ca = Made(SelfSign(Authority("home"), Key("ca")));
  // Same name, other key; other name, same key.
  const std::string sibling = Made(SelfSign(Authority("home"), Key("ca2")));
  const std::string renamed = Made(SelfSign(Authority("away"), Key("ca")));
  const std::string not_ca = Made(SelfSign(Spec("home"), Key("ca")));
  const std::string intermediate =
      Made(Issue(Authority("middle"), Key("mid").public_key(), ca, Key("ca")));
  const std::string leaf = Made(Issue(Spec("admin"), Key("user").public_key(), ca, Key("ca")));
  const std::string below =
      Made(Issue(Spec("admin"), Key("user").public_key(), intermediate, Key("mid")));

  EXPECT_TRUE(IssuedBy(leaf, ca));
  EXPECT_FALSE(IssuedBy(leaf, sibling));
  EXPECT_FALSE(IssuedBy(leaf, renamed));
  EXPECT_FALSE(IssuedBy(leaf, not_ca));
  EXPECT_FALSE(IssuedBy(leaf, leaf));
  EXPECT_FALSE(IssuedBy(below, ca));
  EXPECT_TRUE(IssuedBy(below, intermediate));
  EXPECT_FALSE(IssuedBy(leaf, intermediate));
  EXPECT_FALSE(IssuedBy("", ca));
  EXPECT_FALSE(IssuedBy(leaf, ""));
}

TEST(X509, S12_UsesAreOnlyThoseThatAreNamed) {
  for (bool server : {false, true}) {
    for (bool client : {false, true}) {
      CertificateSpec spec = Spec("n1");
      spec.server_auth = server;
      spec.client_auth = client;
      auto info = ReadCertificate(Made(SelfSign(spec, Key("alice"))));
      ASSERT_TRUE(info.ok()) << info.status();
      EXPECT_EQ(info->server_auth, server);
      EXPECT_EQ(info->client_auth, client);
      EXPECT_FALSE(info->is_ca);
    }
  }
  auto ca = ReadCertificate(Made(SelfSign(Authority("home"), Key("ca"))));
  ASSERT_TRUE(ca.ok());
  EXPECT_TRUE(ca->is_ca);
  EXPECT_FALSE(ca->client_auth);
}

TEST(X509, S12_S13_IssueNeedsAnAuthorityAndItsOwnKey) {
  const std::string ca = Made(SelfSign(Authority("home"), Key("ca")));
  const std::string leaf = Made(Issue(Spec("user"), Key("user").public_key(), ca, Key("ca")));
  EXPECT_THAT(Issue(Spec("x"), Key("x").public_key(), leaf, Key("user")).status(),
              HasReason("bad-certificate-request"));
  EXPECT_THAT(Issue(Spec("x"), Key("x").public_key(), ca, Key("user")).status(),
              HasReason("bad-certificate-request"));
  EXPECT_THAT(Issue(Spec("x"), Key("x").public_key(), "", Key("ca")).status(),
              HasReason("bad-certificate"));
}

TEST(X509, S19_RolesComeFromOrganizationsAndNothingElse) {
  struct Case {
    std::vector<std::string> organizations;
    std::string common_name;
    std::string uri;
  };
  for (const Case& c : {Case{{}, "basalt:admin", "basalt://home/admin"},
                        Case{{"basalt:reader", "basalt:reader"}, "O=basalt:admin", "basalt:admin"},
                        Case{{"basalt:nobody"}, "n1", "basalt://home/n1"}}) {
    CertificateSpec spec = Spec(c.common_name);
    spec.organizations = c.organizations;
    spec.uris = {c.uri};
    spec.client_auth = true;
    auto info = ReadCertificate(Made(SelfSign(spec, Key("user"))));
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->organizations, c.organizations);
    EXPECT_EQ(info->common_name, c.common_name);
    EXPECT_THAT(info->uris, ElementsAre(c.uri));
  }
}

TEST(X509, S1_EveryFlippedBitLosesTheIssuer) {
  const std::string ca = Made(SelfSign(Authority("home"), Key("ca")));
  const std::string leaf = Made(Issue(Spec("admin"), Key("user").public_key(), ca, Key("ca")));
  const std::string begin = "-----BEGIN CERTIFICATE-----\n", end = "-----END CERTIFICATE-----\n";
  std::string body = leaf.substr(begin.size(), leaf.size() - begin.size() - end.size());
  body.erase(std::remove(body.begin(), body.end(), '\n'), body.end());
  const std::string der = *Base64DecodeStrict(body);
  int accepted = 0;
  for (size_t i = 0; i < der.size(); ++i) {
    std::string flipped = der;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    accepted += IssuedBy(begin + Base64Encode(flipped) + "\n" + end, ca);
  }
  EXPECT_EQ(accepted, 0);
}

TEST(X509, SplitsBundlesAndFindsWhatIsCutOff) {
  const std::string one = Made(SelfSign(Spec("one"), Key("alice")));
  const std::string two = Made(SelfSign(Spec("two"), P256Key()));
  auto parts = SplitPem("# comment\n" + one + "\n" + two);
  ASSERT_TRUE(parts.ok()) << parts.status();
  EXPECT_THAT(*parts, ElementsAre(one, two));
  EXPECT_THAT(SplitPem("").status(), HasReason("bad-certificate"));
  EXPECT_THAT(SplitPem(one + two.substr(0, 100)).status(), HasReason("bad-certificate"));
  EXPECT_THAT(
      SplitPem(one + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").status(),
      HasReason("bad-certificate"));
  EXPECT_EQ(ReadCertificate(one + two)->common_name, "one");
}

TEST(X509, DamagedTextIsRefused) {
  const std::string good = Made(SelfSign(Spec("one"), Key("alice")));
  for (size_t size = 0; size + 1 < good.size(); size += 7) {
    EXPECT_THAT(ReadCertificate(good.substr(0, size)).status(), HasReason("bad-certificate"));
  }
  EXPECT_THAT(ReadCertificate(Key("alice").Pem()).status(), HasReason("bad-certificate"));
}

TEST(X509, S16_ACertificateOfAnEcdsaKeyHasATwinThatIsAsGood) {
  const std::string ca = Made(SelfSign(Authority("home"), P256Key()));
  const std::string leaf = Made(Issue(Spec("admin"), Key("user").public_key(), ca, P256Key()));
  auto twin = TwinOf(leaf, ca);
  ASSERT_TRUE(twin.has_value());
  EXPECT_TRUE(IssuedBy(*twin, ca));
  EXPECT_NE(ReadCertificate(*twin)->fingerprint, ReadCertificate(leaf)->fingerprint);
  EXPECT_EQ(ReadCertificate(*twin)->spki, ReadCertificate(leaf)->spki);
  EXPECT_EQ(TwinOf(*twin, ca), leaf);
  // Ed25519 signatures have none.
  const std::string other = Made(SelfSign(Authority("other"), Key("ca")));
  EXPECT_FALSE(TwinOf(Made(Issue(Spec("a"), Key("user").public_key(), other, Key("ca"))), other));
  EXPECT_FALSE(TwinOf("", ca));
  EXPECT_FALSE(TwinOf(leaf, ""));
}

}  // namespace
}  // namespace basalt::sign
