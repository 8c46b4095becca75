// Signatures that must not be believed, a table for each algorithm, each through Verify and in
// every scheme in which the algorithm signs. The Ed25519 ones obey an equation that somebody's
// verifier checks (Wycheproof, "Taming the many EdDSAs"); those of P-256 are other encodings and
// other numbers.
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "tests/unit/machineconfig/sign/ed25519_vectors.h"
#include "tests/unit/machineconfig/sign/security_key_testing.h"

namespace basalt::sign {
namespace {

constexpr auto kConfig = v1::DOCUMENT_TYPE_MACHINE_CONFIG;
constexpr absl::string_view kPayload = "kind: MachineConfig\n";

std::string Hex(absl::string_view hex) { return absl::HexStringToBytes(hex); }

std::string Line(const std::string& raw, Algorithm algorithm, bool security_key) {
  return SshKeyLine(algorithm, raw, security_key ? "ssh:" : "");
}

// A document with one signature of the given scheme, judged under a policy that has the key.
absl::Status Judge(Under scheme, Algorithm algorithm, const std::string& key_raw,
                   const std::string& signature, const std::string& global = "") {
  v1::TrustPolicy policy = Policy();
  v1::TrustKey* entry = policy.add_keys();
  entry->set_name("theirs");
  const bool security_key = scheme == Under::kSecurityKey;
  entry->set_public_key(Line(key_raw, algorithm, security_key));
  v1::SignedDocument document = SignedBy({}, kPayload);
  v1::Signature* made = document.add_signatures();
  std::string answer;
  switch (scheme) {
    case Under::kDsse:
      made->set_scheme(v1::SIGNATURE_SCHEME_DSSE);
      made->set_signature(signature);
      break;
    case Under::kSsh:
    case Under::kSecurityKey: {
      const std::string blob = SshKeyBlob(algorithm, key_raw, security_key ? "ssh:" : "");
      const std::string line = Line(key_raw, algorithm, security_key);
      PutString(&answer, line.substr(0, line.find(' ')));
      PutString(&answer, signature);
      if (security_key) {
        answer.push_back(kUserPresent);
        PutUint32(&answer, 7);
      }
      made->set_scheme(v1::SIGNATURE_SCHEME_SSHSIG);
      made->set_signature(SshSignatureOf(blob, kConfig, answer));
      break;
    }
    case Under::kMinisign: {
      MinisignParts parts;
      parts.signature = signature;
      parts.comment = MinisignComment(kConfig);
      parts.global = global;
      made->set_scheme(v1::SIGNATURE_SCHEME_MINISIGN);
      made->set_signature(parts.Text());
    }
  }
  return Verify(document, kConfig, policy).status();
}

TEST(NegativeVectors, S9_Ed25519InEveryScheme) {
  int refused = 0;
  std::set<std::string> names;
  for (const Ed25519Vector& v : kEd25519Vectors) {
    SCOPED_TRACE(absl::StrCat("scheme ", static_cast<int>(v.scheme), ": ", v.name));
    const absl::Status status =
        Judge(v.scheme, Algorithm::kEd25519, Hex(v.key), Hex(v.signature), Hex(v.global));
    names.insert(v.name);
    if (v.good) {
      EXPECT_THAT(status, HasReason(""));
      continue;
    }
    ++refused;
    // A key of small order is no key: no policy that names it is used.
    const bool weak = absl::string_view(v.name).substr(0, 19) == "A of order dividing";
    EXPECT_THAT(status, HasReason(weak ? "invalid-policy" : "bad-signature"));
    EXPECT_EQ(status.message().empty(), false);
  }
  EXPECT_GE(names.size(), 35u);
  EXPECT_GE(refused, 140);
}

// --- P-256

struct Numbers {
  std::string r, s;  // as DER INTEGERs hold them: shortest, not negative
};

Numbers NumbersOf(const std::string& der) {
  Numbers out;
  size_t at = 2;
  for (std::string* number : {&out.r, &out.s}) {
    const size_t size = static_cast<size_t>(der[at + 1]);
    *number = der.substr(at + 2, size);
    at += 2 + size;
  }
  return out;
}

std::string Length(size_t n) { return std::string(1, static_cast<char>(n)); }
std::string Integer(const std::string& bytes) {
  return absl::StrCat("\x02", Length(bytes.size()), bytes);
}
std::string Sequence(const std::string& content) {
  return absl::StrCat("\x30", Length(content.size()), content);
}
std::string Der(const Numbers& n) { return Sequence(Integer(n.r) + Integer(n.s)); }

std::string Fixed(const std::string& number) {  // 32 bytes
  std::string bare = number;
  while (!bare.empty() && bare[0] == 0) bare.erase(0, 1);
  return std::string(32 - bare.size(), '\0') + bare;
}

std::string Reversed(const std::string& bytes) { return {bytes.rbegin(), bytes.rend()}; }

const char kOrder[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

// n - s and s + n, in the form of Numbers.
std::string OverOrder(const std::string& number, bool minus) {
  BnPtr n(BN_bin2bn(Bytes(Hex(kOrder)), 32, nullptr)), out(BN_new());
  BnPtr value(BN_bin2bn(Bytes(number), static_cast<int>(number.size()), nullptr));
  if (minus) {
    BN_sub(out.get(), n.get(), value.get());
  } else {
    BN_add(out.get(), n.get(), value.get());
  }
  std::string bytes(static_cast<size_t>(BN_num_bytes(out.get())), '\0');
  BN_bn2bin(out.get(), reinterpret_cast<unsigned char*>(bytes.data()));
  if ((bytes[0] & 0x80) != 0) bytes.insert(0, 1, '\0');
  return bytes;
}

// What P-256 signs in DSSE, as DER.
std::string DsseSignature() { return P256Key().Sign(Pae(PayloadType(kConfig), kPayload)); }

TEST(NegativeVectors, S9_P256AsDer) {
  const std::string good = DsseSignature();
  const Numbers n = NumbersOf(good);
  const std::string zero(1, '\0'), order = zero + Hex(kOrder);
  const std::string raw = P256Key().public_key().raw();
  auto judge = [&](const std::string& der) {
    return Judge(Under::kDsse, Algorithm::kEcdsaP256, raw, der);
  };
  ASSERT_THAT(judge(good), HasReason(""));
  ASSERT_EQ(Der(n), good);
  // The other of the two signatures that one is worth: as good, and the same document.
  EXPECT_THAT(judge(Der({n.r, OverOrder(n.s, true)})), HasReason(""));
  const std::string both = Integer(n.r) + Integer(n.s), size = Length(both.size());
  struct Case {
    const char* name;
    std::string der;
  };
  const Case cases[] = {
      {"nothing", ""},
      {"one byte", "\x30"},
      {"an empty sequence", Sequence("")},
      {"r alone", Sequence(Integer(n.r))},
      {"a third number", Sequence(both + Integer("\x01"))},
      {"null behind s", Sequence(both + std::string("\x05\x00", 2))},
      {"a byte behind its end", good + zero},
      {"a byte behind its end, inside", Sequence(both + zero)},
      {"cut by one", good.substr(0, good.size() - 1)},
      {"cut in the middle", good.substr(0, good.size() / 2)},
      {"a length that is one too long", absl::StrCat("\x30", Length(both.size() + 1), both)},
      {"a length that is one too short", absl::StrCat("\x30", Length(both.size() - 1), both)},
      {"the long form of the length", absl::StrCat("\x30\x81", size, both)},
      {"a longer form of the length",
       absl::StrCat(absl::string_view("\x30\x82\x00", 3), size, both)},
      {"the longest form of the length",
       absl::StrCat(absl::string_view("\x30\x84\x00\x00\x00", 5), size, both)},
      {"no definite length", absl::StrCat("\x30\x80", both, absl::string_view("\0\0", 2))},
      {"a length of 2^32 + its own",
       absl::StrCat(absl::string_view("\x30\x85\x01\x00\x00\x00", 6), size, both)},
      {"r with the long form",
       Sequence(absl::StrCat("\x02\x81", Length(n.r.size()), n.r, Integer(n.s)))},
      {"s with the long form",
       Sequence(absl::StrCat(Integer(n.r), "\x02\x81", Length(n.s.size()), n.s))},
      {"a zero before r", Der({zero + n.r, n.s})},
      {"a zero before s", Der({n.r, zero + n.s})},
      {"two zeros before both", Der({zero + zero + n.r, zero + zero + n.s})},
      {"r negative", Der({"\xff" + Fixed(n.r), n.s})},
      {"s negative", Der({n.r, "\xff" + Fixed(n.s)})},
      {"r without its sign byte", Der({std::string("\x80") + Fixed(n.r).substr(1), n.s})},
      {"r empty", Der({"", n.s})},
      {"s empty", Der({n.r, ""})},
      {"r = 0", Der({zero, n.s})},
      {"s = 0", Der({n.r, zero})},
      {"r = s = 0", Der({zero, zero})},
      {"r = n", Der({order, n.s})},
      {"s = n", Der({n.r, order})},
      {"r = s = n", Der({order, order})},
      {"r + n", Der({OverOrder(n.r, false), n.s})},
      {"s + n", Der({n.r, OverOrder(n.s, false)})},
      {"n - r", Der({OverOrder(n.r, true), n.s})},
      {"r = s = 1", Der({"\x01", "\x01"})},
      {"r = 0, s = 1", Der({zero, "\x01"})},
      {"r = n, s = 1", Der({order, "\x01"})},
      {"r and s exchanged", Der({n.s, n.r})},
      {"r twice", Der({n.r, n.r})},
      {"r a huge number", Der({zero + std::string(60, '\xff'), "\x01"})},
      {"a set", absl::StrCat("\x31", size, both)},
      {"r a bit string", Sequence(absl::StrCat("\x03", Length(n.r.size()), n.r, Integer(n.s)))},
      {"s an enumeration", Sequence(absl::StrCat(Integer(n.r), "\x0a", Length(n.s.size()), n.s))},
      {"side by side, as PKCS#11 and JWS have it", Fixed(n.r) + Fixed(n.s)},
      {"side by side, from the other end", Reversed(Fixed(n.r)) + Reversed(Fixed(n.s))},
      {"numbers as SSH writes them", std::string("\0\0\0", 3) + Length(n.r.size()) + n.r +
                                         std::string("\0\0\0", 3) + Length(n.s.size()) + n.s},
      {"base64", Base64Encode(good)},
      {"of the payload without its type", P256Key().Sign(kPayload)},
  };
  for (const Case& c : cases) EXPECT_THAT(judge(c.der), HasReason("bad-signature")) << c.name;
  EXPECT_GE(std::size(cases), 45u);
}

TEST(NegativeVectors, S9_P256AsNumbersOfSsh) {
  const std::string zero(1, '\0'), order = zero + Hex(kOrder);
  const std::string raw = P256Key().public_key().raw();
  auto pair = [](const std::string& r, const std::string& s) {
    std::string out;
    PutString(&out, r);
    PutString(&out, s);
    return out;
  };
  for (Under scheme : {Under::kSsh, Under::kSecurityKey}) {
    const std::string signed_bytes = SshToBeSigned(kConfig, kPayload);
    const SecurityKey key{P256Key()};
    const std::string der =
        P256Key().Sign(scheme == Under::kSsh ? signed_bytes : key.Assertion(signed_bytes));
    const Numbers n = NumbersOf(der);
    auto judge = [&](const std::string& value) {
      return Judge(scheme, Algorithm::kEcdsaP256, raw, value);
    };
    ASSERT_THAT(judge(pair(n.r, n.s)), HasReason(""));
    EXPECT_THAT(judge(pair(n.r, OverOrder(n.s, true))), HasReason(""));
    struct Case {
      const char* name;
      std::string value;
    };
    for (const Case& c : {
             Case{"nothing", ""},
             Case{"r alone", pair(n.r, n.s).substr(0, 4 + n.r.size())},
             Case{"a byte behind", pair(n.r, n.s) + zero},
             Case{"cut", pair(n.r, n.s).substr(0, 4 + n.r.size() + 4 + n.s.size() - 1)},
             Case{"a zero before r", pair(zero + n.r, n.s)},
             Case{"a zero before s", pair(n.r, zero + n.s)},
             Case{"r negative", pair("\xff" + Fixed(n.r), n.s)},
             Case{"r empty", pair("", n.s)},
             Case{"s empty", pair(n.r, "")},
             Case{"r = 0", pair(zero, n.s)},
             Case{"s = 0", pair(n.r, zero)},
             Case{"r = n", pair(order, n.s)},
             Case{"s = n", pair(n.r, order)},
             Case{"s + n", pair(n.r, OverOrder(n.s, false))},
             Case{"r = s = 1", pair("\x01", "\x01")},
             Case{"r and s exchanged", pair(n.s, n.r)},
             Case{"DER", der},
             Case{"side by side", Fixed(n.r) + Fixed(n.s)},
         }) {
      EXPECT_THAT(judge(c.value), HasReason("bad-signature")) << c.name;
    }
  }
}

TEST(NegativeVectors, S9_APolicyTakesP256InOneEncodingAndNoOtherCurve) {
  const std::string raw = P256Key().public_key().raw();
  const std::string x = raw.substr(1, 32), y = raw.substr(33);
  const std::string field = Hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
  auto point = [&](const std::string& bytes) {
    return PublicKey::Parse(SshKeyLine(Algorithm::kEcdsaP256, bytes)).status();
  };
  ASSERT_THAT(point(raw), HasReason(""));
  struct Case {
    const char* name;
    std::string bytes;
  };
  for (const Case& c : {
           Case{"nothing", ""},
           Case{"the point at infinity", std::string(1, '\0')},
           Case{"the point at infinity, padded", std::string(65, '\0')},
           Case{"compressed", (y.back() & 1 ? "\x03" : "\x02") + x},
           Case{"compressed, padded", (y.back() & 1 ? "\x03" : "\x02") + x + std::string(32, '\0')},
           Case{"hybrid", (y.back() & 1 ? "\x07" : "\x06") + x + y},
           Case{"hybrid, the other half", (y.back() & 1 ? "\x06" : "\x07") + x + y},
           Case{"x and y exchanged", "\x04" + y + x},
           Case{"off the curve", "\x04" + x + x},
           Case{"zero", std::string("\x04") + std::string(64, '\0')},
           Case{"x = p", "\x04" + field + y},
           Case{"y = p", "\x04" + x + field},
           Case{"all ones", "\x04" + std::string(64, '\xff')},
           Case{"one byte less", raw.substr(0, 64)},
           Case{"one byte more", raw + std::string(1, '\0')},
           Case{"an unknown form", "\x05" + x + y},
       }) {
    EXPECT_FALSE(point(c.bytes).ok()) << c.name;
  }
  // The same public key's bytes as SPKI of other curves: secp256k1, brainpoolP256r1, SM2.
  for (const char* prefix : {"3056301006072a8648ce3d020106052b8104000a034200",
                             "305a301406072a8648ce3d020106092b2403030208010107034200",
                             "305a301406072a8648ce3d020106082a811ccf5501822d034200"}) {
    EXPECT_FALSE(PublicKey::FromSpkiDer(Hex(prefix) + raw).ok()) << prefix;
  }
  // Ed25519's bytes under P-256's name and the reverse.
  EXPECT_FALSE(point(Key("alice").public_key().raw()).ok());
  EXPECT_FALSE(PublicKey::Parse(SshKeyLine(Algorithm::kEd25519, raw)).ok());
}

// Published with the protocol (secure-systems-lab/dsse, protocol.md): P-256, r and s side by side,
// which a document takes as DER.
TEST(DsseVector, ThePublishedOneVerifies) {
  auto key = PublicKey::Parse(
      "-----BEGIN PUBLIC KEY-----\n"
      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ805D3eqNZywjCI19lInBJOp7YMr\n"
      "CrzAH3CVTAOQ0jgMeCvVTiaRJaRPRDOv8UMs6U4SvKc6pnrIDOoSYI3fdA==\n"
      "-----END PUBLIC KEY-----\n");
  ASSERT_TRUE(key.ok()) << key.status();
  const std::string signature = Base64DecodeStrict(
                                    "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+"
                                    "O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
                                    .value();
  const std::string pae = Pae("http://example.com/HelloWorld", "hello world");
  EXPECT_EQ(pae, "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  EXPECT_TRUE(key->Verify(pae, EcdsaDer(signature)));
  EXPECT_FALSE(key->Verify(pae, signature));
  EXPECT_FALSE(key->Verify("hello world", EcdsaDer(signature)));
}

}  // namespace
}  // namespace basalt::sign
