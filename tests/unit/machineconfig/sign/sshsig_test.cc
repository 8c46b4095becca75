#include "machineconfig/sign/sshsig.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/sign/detached.h"
#include "tests/unit/machineconfig/sign/schemes_testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

constexpr auto kConfig = v1::DOCUMENT_TYPE_MACHINE_CONFIG;
constexpr absl::string_view kPayload = "kind: MachineConfig\n";

v1::TrustPolicy PolicyWithP256() {
  v1::TrustPolicy policy = Policy();
  AddKey(policy, "token", P256Key().public_key());
  return policy;
}

std::string Str(absl::string_view text) {
  std::string out;
  PutString(&out, text);
  return out;
}

// A blob in its parts, each of them open to change.
struct Parts {
  std::string magic = "SSHSIG";
  uint32_t version = 1;
  std::string key;
  std::string name_space = "basalt-machineconfig@v1";
  std::string reserved;
  std::string hash = "sha512";
  std::string inner;
  std::string behind;

  std::string Blob() const {
    std::string out = magic;
    PutUint32(&out, version);
    return absl::StrCat(out, Str(key), Str(name_space), Str(reserved), Str(hash), Str(inner),
                        behind);
  }
};

Parts PartsOf(const PrivateKey& key) {
  const std::string made = MakeSshSignature(key, kConfig, kPayload);
  absl::string_view blob = made;
  blob.remove_prefix(10);
  absl::string_view part[5];
  for (absl::string_view& p : part) EXPECT_TRUE(TakeString(&blob, &p));
  Parts out;
  out.key = std::string(part[0]);
  out.inner = std::string(part[4]);
  EXPECT_EQ(out.Blob(), made);
  return out;
}

absl::Status CheckBlob(const std::string& blob) {
  v1::SignedDocument document = SignedBy({}, kPayload);
  v1::Signature* signature = document.add_signatures();
  signature->set_scheme(v1::SIGNATURE_SCHEME_SSHSIG);
  signature->set_signature(blob);
  return Verify(document, kConfig, PolicyWithP256()).status();
}

TEST(SshSig, BothAlgorithmsAreGoodInTheirOwnNamespace) {
  for (const PrivateKey* key : {&Key("alice"), &P256Key()}) {
    EXPECT_THAT(CheckBlob(PartsOf(*key).Blob()), HasReason(""));
    auto parsed = ParseSshSignature(PartsOf(*key).Blob());
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed->name_space, "basalt-machineconfig@v1");
    EXPECT_EQ(parsed->key_raw, key->public_key().raw());
  }
}

TEST(SshSig, S9_WhatIsNotExactlyOneIsRefused) {
  const Parts ed = PartsOf(Key("alice"));
  const Parts ec = PartsOf(P256Key());
  struct Case {
    const char* what;
    std::string blob;
    const char* reason;
    const char* says;
  };
  std::vector<Case> cases;
  auto add = [&](const char* what, const Parts& from, auto change, const char* reason,
                 const char* says) {
    Parts parts = from;
    change(parts);
    cases.push_back({what, parts.Blob(), reason, says});
  };
  add(
      "magic", ed, [](Parts& p) { p.magic = "SSHSIh"; }, "bad-signature", "begin with SSHSIG");
  add(
      "version 0", ed, [](Parts& p) { p.version = 0; }, "unknown-scheme", "version 0");
  add(
      "version 2", ed, [](Parts& p) { p.version = 2; }, "unknown-scheme", "version 2");
  add(
      "behind", ed, [](Parts& p) { p.behind = "x"; }, "bad-signature", "behind its end");
  add(
      "reserved", ed, [](Parts& p) { p.reserved = "x"; }, "unknown-scheme", "reserved");
  add(
      "hash", ed, [](Parts& p) { p.hash = "sha1"; }, "unknown-scheme", "`sha1`");
  add(
      "other hash than signed", ed, [](Parts& p) { p.hash = "sha256"; }, "bad-signature",
      "`alice`");
  add(
      "other type", ed, [](Parts& p) { p.name_space = "basalt-action@v1"; }, "bad-signature",
      "`basalt-action@v1`, and must be `basalt-machineconfig@v1`");
  add(
      "git", ed, [](Parts& p) { p.name_space = "git"; }, "bad-signature", "`git`");
  add(
      "no namespace", ed, [](Parts& p) { p.name_space = ""; }, "bad-signature", "namespace");
  add(
      "a namespace with an end in it", ed, [](Parts& p) { p.name_space += std::string("\0x", 2); },
      "bad-signature", "\\x00");
  add(
      "rsa", ed, [](Parts& p) { p.key = Str("ssh-rsa") + Str("e") + Str("n"); }, "unknown-scheme",
      "`ssh-rsa`");
  add(
      "a long rsa", ed,
      [](Parts& p) { p.key = Str("ssh-rsa") + Str("\1\0\1") + Str(std::string(1030, 'n')); },
      "unknown-scheme", "`ssh-rsa`");
  add(
      "hardware key", ed,
      [](Parts& p) { p.key = Str("sk-ssh-ed25519@openssh.com") + Str("k") + Str("ssh:"); },
      "bad-signature", "wrong length");
  add(
      "certificate of a hardware key", ed,
      [](Parts& p) { p.key = Str("sk-ssh-ed25519-cert-v01@openssh.com") + Str("k"); },
      "unknown-scheme", "`sk-ssh-ed25519-cert-v01@openssh.com`");
  add(
      "certificate", ed, [](Parts& p) { p.key = Str("ssh-ed25519-cert-v01@openssh.com"); },
      "unknown-scheme", "cert");
  add(
      "P-384", ed,
      [](Parts& p) { p.key = Str("ecdsa-sha2-nistp384") + Str("nistp384") + Str("k"); },
      "unknown-scheme", "nistp384");
  add(
      "wrong curve", ec,
      [](Parts& p) {
        p.key = absl::StrReplaceAll(p.key, {{Str("nistp256"), Str("nistp384")}});
      },
      "bad-signature", "another curve");
  add(
      "key with bytes behind", ed, [](Parts& p) { p.key += "x"; }, "bad-signature", "wrong length");
  add(
      "short key", ed, [](Parts& p) { p.key = Str("ssh-ed25519") + Str("short"); }, "bad-signature",
      "wrong length");
  add(
      "empty key", ed, [](Parts& p) { p.key = ""; }, "bad-signature", "cut off");
  add(
      "compressed point", ec,
      [](Parts& p) {
        p.key = Str("ecdsa-sha2-nistp256") + Str("nistp256") + Str("\2" + std::string(32, 'x'));
      },
      "bad-signature", "wrong length");
  add(
      "inner of another type", ed, [&](Parts& p) { p.inner = ec.inner; }, "bad-signature",
      "its key is of type ssh-ed25519");
  add(
      "rsa inside", ed, [](Parts& p) { p.inner = Str("rsa-sha2-512") + Str("x"); }, "bad-signature",
      "rsa-sha2-512");
  add(
      "inner with bytes behind", ed, [](Parts& p) { p.inner += "x"; }, "bad-signature",
      "behind its end");
  add(
      "empty inner", ed, [](Parts& p) { p.inner = ""; }, "bad-signature", "cut off");
  add(
      "63 bytes", ed, [](Parts& p) { p.inner = Str("ssh-ed25519") + Str(std::string(63, 'x')); },
      "bad-signature", "64 bytes");
  add(
      "a stranger's", PartsOf(Key("mallory")), [](Parts&) {}, "bad-signature", "SSH key SHA256:");
  cases.push_back({"too long", std::string(5000, 'x'), "bad-signature", "longer"});
  cases.push_back({"empty", "", "bad-signature", "begin with SSHSIG"});
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const absl::Status status = CheckBlob(c.blob);
    EXPECT_THAT(status, HasReason(c.reason));
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.says));
  }
}

TEST(SshSig, EveryPrefixIsRefused) {
  const std::string blob = PartsOf(P256Key()).Blob();
  for (size_t size = 0; size < blob.size(); ++size) {
    EXPECT_FALSE(ParseSshSignature(blob.substr(0, size)).ok()) << size;
  }
}

TEST(SshSig, S9_AnotherEncodingOfTheSameEd25519SignatureIsRefused) {
  Parts parts = PartsOf(Key("alice"));
  const std::string raw = parts.inner.substr(parts.inner.size() - 64);
  parts.inner = Str("ssh-ed25519") + Str(raw);
  EXPECT_THAT(CheckBlob(parts.Blob()), HasReason(""));
  parts.inner = Str("ssh-ed25519") + Str(WithOtherS(raw));
  EXPECT_THAT(CheckBlob(parts.Blob()), HasReason("bad-signature"));
}

TEST(SshSig, S9_AKeyOfSmallOrderSignsNothing) {
  // The neutral element as key and as R, and S = 0: fits every message where nobody looks.
  const std::string neutral = std::string("\1", 1) + std::string(31, '\0');
  Parts parts;
  parts.key = Str("ssh-ed25519") + Str(neutral);
  parts.inner = Str("ssh-ed25519") + Str(neutral + std::string(32, '\0'));
  EXPECT_THAT(CheckBlob(parts.Blob()), HasReason("bad-signature"));
  v1::TrustPolicy policy = Policy();
  v1::TrustKey* weak = policy.add_keys();
  weak->set_name("weak");
  weak->set_public_key("ssh-ed25519 " + Base64Encode(parts.key));
  v1::SignedDocument document = SignedBy({}, kPayload);
  v1::Signature* signature = document.add_signatures();
  signature->set_scheme(v1::SIGNATURE_SCHEME_SSHSIG);
  signature->set_signature(parts.Blob());
  EXPECT_THAT(Verify(document, kConfig, policy).status(), HasReason("invalid-policy"));
}

// r and s of a P-256 signature as two SSH numbers, without their lengths.
std::pair<std::string, std::string> Numbers(const Parts& parts) {
  absl::string_view in = parts.inner, type, both, r, s;
  EXPECT_TRUE(TakeString(&in, &type) && TakeString(&in, &both));
  EXPECT_TRUE(TakeString(&both, &r) && TakeString(&both, &s));
  return {std::string(r), std::string(s)};
}

TEST(SshSig, S9_P256NumbersHaveOneForm) {
  Parts parts = PartsOf(P256Key());
  const auto [r, s] = Numbers(parts);
  // 2^256 - 1, more than the order of the group.
  const std::string huge = std::string(1, '\0') + std::string(32, '\xff');
  const std::string zero(1, '\0');
  auto status = [&](const std::string& a, const std::string& b, const std::string& behind = "") {
    parts.inner = Str("ecdsa-sha2-nistp256") + Str(Str(a) + Str(b) + behind);
    return CheckBlob(parts.Blob());
  };
  EXPECT_THAT(status(r, s), HasReason(""));
  for (const std::string& bad : {std::string(), zero, zero + r, zero + s, huge, "\xff" + r,
                                 std::string(1, '\x80'), std::string(34, '\x7f')}) {
    EXPECT_THAT(status(bad, s), HasReason("bad-signature")) << bad.size();
    EXPECT_THAT(status(r, bad), HasReason("bad-signature")) << bad.size();
  }
  EXPECT_THAT(status(r, s, zero), HasReason("bad-signature"));
  EXPECT_THAT(status(s, r), HasReason("bad-signature"));
  // The DER of the other schemes is not the form of this one.
  parts.inner = Str("ecdsa-sha2-nistp256") + Str(P256Key().Sign("x"));
  EXPECT_THAT(CheckBlob(parts.Blob()), HasReason("bad-signature"));
}

TEST(SshSig, ArmorHasOneForm) {
  const std::string blob = PartsOf(Key("alice")).Blob();
  const std::string good = ArmorSshSignature(blob);
  auto back = UnarmorSshSignature(good);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, blob);
  EXPECT_EQ(UnarmorSshSignature(good.substr(0, good.size() - 1)).value_or(""), blob);
  EXPECT_EQ(UnarmorSshSignature(absl::StrReplaceAll(good, {{"\n", "\r\n"}})).value_or(""), blob);
  const size_t second = good.find('\n') + 1;
  auto with = [&](size_t at, const char* text) {
    std::string out = good;
    return out.insert(at, text);
  };
  for (const std::string& bad :
       {std::string(), std::string("\n"), " " + good, "x\n" + good, good + "\n", good + "x",
        with(second, " "), with(second, "\n"), with(second + 5, " "), with(second + 5, "="),
        with(second, "Comment: x\n"), good + good, std::string(1 << 20, 'A'),
        absl::StrReplaceAll(good, {{"SSH SIGNATURE", "PGP SIGNATURE"}}),
        std::string("-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n"),
        absl::StrCat("-----BEGIN SSH SIGNATURE-----\n", Base64Encode(blob),
                     "\n-----END SSH SIGNATURE-----\n")}) {
    EXPECT_THAT(UnarmorSshSignature(bad).status(), HasReason("bad-signature")) << bad;
  }
}

TEST(SshSig, AFileIsRecognisedByItsFirstLine) {
  const std::string blob = PartsOf(Key("alice")).Blob();
  auto read = ReadDetachedSignature(ArmorSshSignature(blob));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->scheme(), v1::SIGNATURE_SCHEME_SSHSIG);
  EXPECT_EQ(read->signature(), blob);
  EXPECT_EQ(DetachedText(*read), ArmorSshSignature(blob));
  EXPECT_THAT(ReadDetachedSignature("-----BEGIN PGP SIGNATURE-----\n").status(),
              HasReason("unknown-scheme"));
  Parts rsa;
  rsa.key = Str("ssh-rsa");
  EXPECT_THAT(ReadDetachedSignature(ArmorSshSignature(rsa.Blob())).status(),
              HasReason("unknown-scheme"));
}

}  // namespace
}  // namespace basalt::sign
