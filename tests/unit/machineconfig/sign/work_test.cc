// What a refusal costs, counted and not timed: whoever may learn nothing from an answer must not
// learn it from the work behind it. The linker puts the counters in front of OpenSSL's check of a
// signature and of yaml-cpp's reading of a document (--wrap).
#include <openssl/evp.h>

#include <string>
#include <vector>

#include "machineconfig/validate/validate.h"
#include "tests/unit/machineconfig/sign/security_key_testing.h"

namespace {
int checks = 0;  // of a signature
int reads = 0;   // of YAML
}  // namespace

extern "C" {
int __real_EVP_DigestVerify(EVP_MD_CTX*, const unsigned char*, size_t, const unsigned char*,
                            size_t);
int __wrap_EVP_DigestVerify(EVP_MD_CTX* ctx, const unsigned char* sig, size_t sig_size,
                            const unsigned char* message, size_t size) {
  ++checks;
  return __real_EVP_DigestVerify(ctx, sig, sig_size, message, size);
}
// YAML::Parser::HandleNextDocument(YAML::EventHandler&)
bool __real__ZN4YAML6Parser18HandleNextDocumentERNS_12EventHandlerE(void* parser, void* handler);
bool __wrap__ZN4YAML6Parser18HandleNextDocumentERNS_12EventHandlerE(void* parser, void* handler) {
  ++reads;
  return __real__ZN4YAML6Parser18HandleNextDocumentERNS_12EventHandlerE(parser, handler);
}
}

namespace basalt::sign {
namespace {

constexpr auto kConfig = v1::DOCUMENT_TYPE_MACHINE_CONFIG;
constexpr absl::string_view kPayload = "kind: MachineConfig\n";
constexpr absl::string_view kGarbage = "\xff{[&a [*a, !!x \t";

struct Work {
  int checks;
  int reads;
  bool operator==(const Work&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Work& w) {
  return out << w.checks << " checks, " << w.reads << " reads";
}

Work WorkOf(const v1::SignedDocument& document, const v1::TrustPolicy& policy,
            absl::string_view reason) {
  checks = reads = 0;
  EXPECT_THAT(Verify(document, kConfig, policy).status(), HasReason(std::string(reason)));
  return {checks, reads};
}

enum class How { kDsse, kDsseWithoutId, kSsh, kMinisign };
void AddAs(How how, v1::SignedDocument& document, const PrivateKey& key) {
  switch (how) {
    case How::kDsse:
      return AddSignature(document, key);
    case How::kDsseWithoutId:
      AddSignature(document, key);
      return document.mutable_signatures(0)->clear_key_id();
    case How::kSsh:
      return AddSsh(document, key);
    case How::kMinisign:
      return AddMinisign(document, key);
  }
}

// Signed by a key of the policy over another body, by a stranger over this body, with the same over
// bytes that are no YAML at all: one cost, and nothing is read.
TEST(Work, S18_ABadKeyCostsWhatABadBodyCosts) {
  for (How how : {How::kDsse, How::kDsseWithoutId, How::kSsh, How::kMinisign}) {
    std::vector<Work> all;
    for (absl::string_view payload : {kPayload, kGarbage}) {
      v1::SignedDocument other = SignedBy({}, "another body");
      AddAs(how, other, Key("alice"));
      other.set_payload(std::string(payload));
      all.push_back(WorkOf(other, Policy(), "bad-signature"));
      v1::SignedDocument stranger = SignedBy({}, payload);
      AddAs(how, stranger, Key("mallory"));
      all.push_back(WorkOf(stranger, Policy(), "bad-signature"));
      v1::SignedDocument both = SignedBy({}, "another body");
      AddAs(how, both, Key("mallory"));
      both.set_payload(std::string(payload));
      all.push_back(WorkOf(both, Policy(), "bad-signature"));
    }
    for (const Work& work : all) {
      EXPECT_EQ(work, all[0]) << static_cast<int>(how);
      EXPECT_GT(work.checks, 0);
      EXPECT_EQ(work.reads, 0);
    }
  }
}

TEST(Work, S18_TheSameForP256AndForSecurityKeys) {
  v1::TrustPolicy policy = Policy();
  AddKey(policy, "token", P256Key().public_key());
  v1::TrustKey* device = policy.add_keys();
  device->set_name("device");
  device->set_public_key(PublicKeyText(SecurityKey{Key("dave")}.public_key()));
  auto ssh = [](const std::string& blob, absl::string_view payload) {
    v1::SignedDocument document = SignedBy({}, payload);
    v1::Signature* made = document.add_signatures();
    made->set_scheme(v1::SIGNATURE_SCHEME_SSHSIG);
    made->set_signature(blob);
    return document;
  };
  const Work known = WorkOf(ssh(SecurityKey{Key("dave")}.Blob(kConfig, "another"), kPayload),
                            policy, "bad-signature");
  EXPECT_EQ(known, (Work{1, 0}));
  EXPECT_EQ(WorkOf(ssh(SecurityKey{Key("mallory")}.Blob(kConfig, kPayload), kPayload), policy,
                   "bad-signature"),
            known);
  EXPECT_EQ(WorkOf(ssh(SecurityKey{Key("dave"), "ssh:other"}.Blob(kConfig, kPayload), kPayload),
                   policy, "bad-signature"),
            known);
  v1::SignedDocument p256 = SignedBy({}, "another body");
  AddSignature(p256, P256Key());
  p256.set_payload(std::string(kPayload));
  const Work with_id = WorkOf(p256, policy, "bad-signature");
  p256.mutable_signatures(0)->set_key_id(std::string(32, 'x'));
  EXPECT_EQ(WorkOf(p256, policy, "bad-signature"), with_id);
}

TEST(Work, S18_ASetIsReadOnlyOnceItsSignaturesHavePassed) {
  NewSet made = MakeSet("home", {kPayload, "other"});
  AddSignature(made.set, Key("alice"));
  const v1::SignedDocument good = MemberOf(made.set, made.proofs[0], kPayload);
  checks = reads = 0;
  ASSERT_TRUE(validate::LoadConfigSet(made.set.payload(), "").ok());
  const Work the_set_alone{1, reads};
  EXPECT_GT(reads, 0);
  EXPECT_EQ(WorkOf(good, Policy(), ""), the_set_alone);
  v1::SignedDocument garbage = good;
  garbage.mutable_set_proof()->set_set_payload(std::string(kGarbage));
  EXPECT_EQ(WorkOf(garbage, Policy(), "bad-signature"), (Work{1, 0}));
  v1::SignedDocument stranger = good;
  stranger.clear_signatures();
  AddSignature(stranger, Key("mallory"));
  EXPECT_EQ(WorkOf(stranger, Policy(), "bad-signature"), (Work{1, 0}));
  // The file itself is never read here, also when the proof does not hold.
  v1::SignedDocument swapped = good;
  swapped.set_payload(std::string(kGarbage));
  EXPECT_EQ(WorkOf(swapped, Policy(), "bad-proof"), the_set_alone);
}

TEST(Work, TheMostThatAStrangerCanHaveComputedIsKeysTimesSignatures) {
  v1::SignedDocument many = SignedBy({}, kPayload);
  for (int i = 0; i < kMaxSignatures; ++i) {
    AddSignature(many, Key("mallory"));
    many.mutable_signatures(i)->clear_key_id();
  }
  // The first that is nobody's ends it.
  EXPECT_EQ(WorkOf(many, Policy(), "bad-signature").checks, Policy().keys_size());
}

}  // namespace
}  // namespace basalt::sign
