#include "machineconfig/sign/next_policy.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/sign/key_ring.h"
#include "machineconfig/validate/validate.h"

namespace basalt::sign {
namespace {

absl::Status Broken(absl::string_view what, absl::string_view hint) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "broken-chain", what, hint);
}

RootProgress Progress(const v1::TrustPolicy& policy, const KeyRing& ring,
                      const std::vector<const KnownKey*>& signers) {
  RootProgress out;
  out.need = static_cast<int>(std::max<int64_t>(policy.root().threshold(), 1));
  for (const std::string& name : policy.root().keys()) {
    const KnownKey* root = ring.ByName(name);
    if (root == nullptr || root->revoked) continue;
    const bool has_signed = std::any_of(signers.begin(), signers.end(), [&](const KnownKey* s) {
      return s->key.raw() == root->key.raw();
    });
    (has_signed ? out.signed_by : out.open).push_back(name);
  }
  out.have = static_cast<int>(out.signed_by.size());
  return out;
}

absl::Status Follows(const v1::TrustPolicy& before, const v1::TrustPolicy& policy) {
  if (policy.version() != before.version() + 1) {
    return Broken(
        absl::StrCat("the policy says version ", policy.version(), "; the next one after version ",
                     before.version(), " is ", before.version() + 1),
        absl::StrCat("write `version: ", before.version() + 1, "`"));
  }
  if (policy.cluster() != before.cluster()) {
    return Broken(absl::StrCat("the policy is of cluster `", policy.cluster(),
                               "`, its predecessor of `", before.cluster(), "`"),
                  "a chain never crosses clusters");
  }
  if (policy.epoch() < before.epoch()) {
    return Broken(
        absl::StrCat("the policy lowers the epoch from ", before.epoch(), " to ", policy.epoch()),
        absl::StrCat("write `epoch: ", before.epoch(), "`"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NextPolicy> CheckNext(const VerifiedChain& current, const v1::SignedDocument& next,
                                     ChainAge age) {
  // Without signatures only the rest of the shape is there to be checked.
  const bool is_signed = next.signatures_size() > 0;
  if (is_signed || next.type() != v1::DOCUMENT_TYPE_TRUST_POLICY ||
      next.payload().size() > kMaxPayload) {
    absl::Status shape = CheckShape(next, v1::DOCUMENT_TYPE_TRUST_POLICY);
    if (!shape.ok()) return shape;
  }
  auto policy = age == ChainAge::kNew ? validate::LoadTrustPolicy(next.payload(), "")
                                      : validate::LoadAcceptedTrustPolicy(next.payload());
  if (!policy.ok()) return policy.status();
  NextPolicy out{.policy = schema::Resolve(*std::move(policy))};
  if (absl::Status s = Follows(current.policy, out.policy); !s.ok()) return s;
  auto before = KeyRing::Of(current.policy);
  if (!before.ok()) return before.status();
  auto own = KeyRing::Of(out.policy);
  if (!own.ok()) return own.status();

  std::vector<const KnownKey*> signers;
  KeyRing both = *own;
  both.Merge(*before);
  if (is_signed) {
    auto found = both.Match(next);
    if (!found.ok()) return found.status();
    signers = *std::move(found);
  }
  for (const KnownKey* signer : signers) {
    const KnownKey* old = before->ByRaw(signer->key.raw());
    // Retired by this very version it may still sign it; retired before, it may not.
    if (old != nullptr ? old->revoked : signer->revoked) {
      return RevokedKey(old != nullptr ? *old : *signer);
    }
  }
  out.before = Progress(current.policy, *before, signers);
  out.own = Progress(out.policy, *own, signers);
  return out;
}

}  // namespace basalt::sign
