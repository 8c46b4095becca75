// Trust chains: each policy signed by the root of its predecessor and by its own.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/sign/key_ring.h"
#include "machineconfig/sign/policy.h"
#include "machineconfig/validate/validate.h"

namespace basalt::sign {
namespace {

// Years of weekly rotation; what is longer is an attack on whoever checks it.
constexpr int kMaxChain = 1024;

absl::Status Broken(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "broken-chain", what,
                    "use the trust.json that nodectl trust wrote, unchanged");
}

std::string At(int64_t version) { return absl::StrCat("trust policy version ", version); }

bool Has(const google::protobuf::RepeatedPtrField<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

// The rules between fields. `ring` has already refused a public key that stands under two names,
// so comparing names here compares keys.
absl::Status CheckPolicy(const v1::TrustPolicy& policy, const KeyRing& ring) {
  int live_roots = 0;
  for (const std::string& name : policy.root().keys()) {
    const KnownKey* key = ring.ByName(name);
    if (key == nullptr) return InvalidPolicy(absl::StrCat("root: no key is named `", name, "`"));
    live_roots += key->revoked ? 0 : 1;
  }
  if (live_roots < policy.root().threshold()) {
    return InvalidPolicy(
        "root: fewer keys that are not revoked than its threshold: nobody could "
        "ever sign a next version");
  }
  for (int i = 0; i < policy.grants_size(); ++i) {
    const v1::Grant& grant = policy.grants(i);
    for (const std::string& name : grant.keys()) {
      if (ring.ByName(name) == nullptr) {
        return InvalidPolicy(absl::StrCat("grants[", i, "]: no key is named `", name, "`"));
      }
      if (Has(policy.root().keys(), name)) {
        return InvalidPolicy(absl::StrCat("grants[", i, "]: key `", name,
                                          "` is a root key; root shares no key with a grant"));
      }
    }
    if (grant.threshold() > grant.keys_size()) {
      return InvalidPolicy(
          absl::StrCat("grants[", i, "]: its threshold is larger than the number of its keys"));
    }
  }
  return absl::OkStatus();
}

struct Link {
  v1::TrustPolicy policy;
  KeyRing ring;
};

// Rules that came with a later release count for the version that is new, not for its history: or a
// node could not be given the chain that others have.
enum class Rules { kOfToday, kOfItsDay };

absl::StatusOr<Link> LoadLink(const v1::SignedDocument& document, int64_t version, Rules rules) {
  auto policy = rules == Rules::kOfToday ? validate::LoadTrustPolicy(document.payload(), "")
                                         : validate::LoadAcceptedTrustPolicy(document.payload());
  if (!policy.ok()) return api::Annotate(policy.status(), At(version));
  Link out{.policy = schema::Resolve(*std::move(policy))};
  auto ring = KeyRing::Of(out.policy);
  if (!ring.ok()) return api::Annotate(ring.status(), At(version));
  out.ring = *std::move(ring);
  if (absl::Status status = CheckPolicy(out.policy, out.ring); !status.ok()) {
    return api::Annotate(status, At(version));
  }
  if (out.policy.version() != version) {
    return Broken(absl::StrCat(At(version), " says that it is version ", out.policy.version()));
  }
  return out;
}

// Enough of `keys` for the root of `link`? Revoked keys of that policy do not count.
absl::Status RootMet(const Link& link, const std::vector<const KnownKey*>& keys, int64_t version) {
  int count = 0;
  for (const KnownKey* signer : keys) {
    const KnownKey* own = link.ring.ByRaw(signer->key.raw());
    count += own != nullptr && !own->revoked && Has(link.policy.root().keys(), own->name);
  }
  if (count >= std::max<int64_t>(link.policy.root().threshold(), 1)) return absl::OkStatus();
  return api::Coded(
      absl::StatusCode::kPermissionDenied, "too-few-signers",
      absl::StrCat(At(version), " is signed by ", count, " of the ", link.policy.root().threshold(),
                   " root keys that version ", link.policy.version(), " asks for"),
      "a new version needs the root keys of the version before and its own");
}

absl::Status Shape(const v1::SignedDocument& document, int64_t version) {
  return api::Annotate(CheckShape(document, v1::DOCUMENT_TYPE_TRUST_POLICY), At(version));
}

absl::StatusOr<Link> FirstLink(const v1::SignedDocument& document, Rules rules) {
  if (absl::Status status = Shape(document, 1); !status.ok()) return status;
  auto link = LoadLink(document, 1, rules);
  if (!link.ok()) return link.status();
  auto keys = link->ring.Match(document);
  if (!keys.ok()) return api::Annotate(keys.status(), At(1));
  for (const KnownKey* key : *keys) {
    if (key->revoked) return api::Annotate(RevokedKey(*key), At(1));
  }
  if (absl::Status status = RootMet(*link, *keys, 1); !status.ok()) return status;
  return link;
}

absl::StatusOr<Link> NextLink(const Link& before, const v1::SignedDocument& document, Rules rules) {
  const int64_t version = before.policy.version() + 1;
  if (absl::Status status = Shape(document, version); !status.ok()) return status;
  // The old root first: until it has spoken, the new bytes are nobody's and are not parsed.
  const std::vector<const KnownKey*> known = before.ring.MatchKnown(document);
  for (const KnownKey* key : known) {
    if (key->revoked) return api::Annotate(RevokedKey(*key), At(version));
  }
  if (known.empty()) {
    // None of ours: let Match say why, or call it unknown.
    auto none = before.ring.Match(document);
    return api::Annotate(none.status(), At(version));
  }
  if (absl::Status status = RootMet(before, known, version); !status.ok()) return status;

  auto link = LoadLink(document, version, rules);
  if (!link.ok()) return link.status();
  if (link->policy.cluster() != before.policy.cluster()) {
    return Broken(absl::StrCat(At(version), " is of cluster `", link->policy.cluster(),
                               "`, its predecessor of `", before.policy.cluster(), "`"));
  }
  if (link->policy.epoch() < before.policy.epoch()) {
    return Broken(absl::StrCat(At(version), " lowers the epoch from ", before.policy.epoch(),
                               " to ", link->policy.epoch()));
  }
  KeyRing both = link->ring;
  both.Merge(before.ring);
  auto keys = both.Match(document);
  if (!keys.ok()) return api::Annotate(keys.status(), At(version));
  // A key that this very version revokes may still sign it, as a root of the version before: that
  // is how it is retired. It counts for the old root only.
  if (absl::Status status = RootMet(*link, *keys, version); !status.ok()) return status;
  return link;
}

absl::Status CheckLength(int size) {
  if (size <= kMaxChain) return absl::OkStatus();
  return api::Coded(absl::StatusCode::kInvalidArgument, "too-large",
                    absl::StrCat("the chain has ", size, " versions; at most ", kMaxChain),
                    "start a new chain");
}

}  // namespace

absl::StatusOr<VerifiedChain> VerifyChain(const v1::TrustChain& chain, ChainAge age) {
  if (chain.policies().empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "empty-chain",
                      "the trust chain has no policy",
                      "use the trust.json that nodectl init wrote");
  }
  if (absl::Status status = CheckLength(chain.policies_size()); !status.ok()) return status;
  auto rules = [&](int i) {
    return age == ChainAge::kNew && i + 1 == chain.policies_size() ? Rules::kOfToday
                                                                   : Rules::kOfItsDay;
  };
  auto link = FirstLink(chain.policies(0), rules(0));
  for (int i = 1; link.ok() && i < chain.policies_size(); ++i) {
    link = NextLink(*link, chain.policies(i), rules(i));
  }
  if (!link.ok()) return link.status();
  return VerifiedChain{.chain = chain,
                       .policy = std::move(link->policy),
                       .first = DocumentDigest(chain.policies(0))};
}

absl::StatusOr<VerifiedChain> ExtendChain(const VerifiedChain& current,
                                          const v1::TrustChain& update) {
  if (update.policies().empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "empty-chain",
                      "the trust chain has no policy",
                      "use the trust.json that nodectl init wrote");
  }
  if (absl::Status status = CheckLength(update.policies_size()); !status.ok()) return status;
  auto foreign = [&](absl::string_view what) {
    return api::Coded(
        absl::StatusCode::kPermissionDenied, "foreign-chain",
        absl::StrCat(what, "; this node's chain starts with ", current.first.ToString()),
        "a node keeps the trust it was installed with: use that owner's trust.json, "
        "or wipe the node");
  };

  const auto& stored = current.chain.policies();
  // Where the update's first version stands in the stored chain; at its end when it is new.
  const Digest head = DocumentDigest(update.policies(0));
  int start = 0;
  while (start < stored.size() && DocumentDigest(stored[start]) != head) ++start;
  int next = 0;  // of the update: the first one that is not stored
  for (; next < update.policies_size() && start + next < stored.size(); ++next) {
    if (DocumentDigest(update.policies(next)) != DocumentDigest(stored[start + next])) {
      return foreign(
          absl::StrCat("the chain differs from the stored one at version ", start + next + 1));
    }
  }
  if (start + next < stored.size()) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "older-chain",
                      absl::StrCat("the chain ends with version ", start + next,
                                   "; the node already has version ", stored.size()),
                      "use the newest trust.json");
  }
  if (next == update.policies_size()) return current;

  auto ring = KeyRing::Of(current.policy);
  if (!ring.ok()) return ring.status();
  Link link{.policy = current.policy, .ring = *std::move(ring)};
  // Before any signature is tried: only their number bounds what a stranger can have this node
  // compute.
  if (absl::Status status = Shape(update.policies(next), current.policy.version() + 1);
      !status.ok()) {
    return status;
  }
  if (next == 0 && link.ring.MatchKnown(update.policies(0)).empty()) {
    // Not one signature of ours. A keyid that names one of our keys means a document that was
    // changed on the way; without one it is somebody else's chain.
    bool claims = false;
    for (const v1::Signature& signature : update.policies(0).signatures()) {
      for (const KnownKey& key : link.ring.keys()) {
        claims |= key.Is(signature.key_id());
      }
    }
    if (!claims) return foreign("the chain is signed by none of this node's trusted keys");
  }
  VerifiedChain out = current;
  if (absl::Status status = CheckLength(stored.size() + update.policies_size() - next);
      !status.ok()) {
    return status;
  }
  for (; next < update.policies_size(); ++next) {
    auto following =
        NextLink(link, update.policies(next),
                 next + 1 == update.policies_size() ? Rules::kOfToday : Rules::kOfItsDay);
    if (!following.ok()) return following.status();
    link = *std::move(following);
    *out.chain.add_policies() = update.policies(next);
  }
  out.policy = std::move(link.policy);
  return out;
}

}  // namespace basalt::sign
