// Which grants of a policy cover which changes.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "machineconfig/sign/key_ring.h"
#include "machineconfig/sign/policy.h"

namespace basalt::sign {
namespace {

// `path`: what may not change, when it is one path.
absl::Status Denied(absl::string_view reason, absl::string_view what, absl::string_view hint,
                    const std::vector<Signer>& signers, absl::string_view path = "") {
  const std::string names = absl::StrJoin(
      signers, "\n", [](std::string* out, const Signer& s) { absl::StrAppend(out, s.name); });
  const absl::Status status = api::Coded(absl::StatusCode::kPermissionDenied, reason, what, hint);
  return api::WithDetail(api::WithDetail(status, "path", path), "signedBy", names);
}

bool Signed(const KnownKey& key, const std::vector<Signer>& signers) {
  return std::any_of(signers.begin(), signers.end(),
                     [&](const Signer& s) { return s.id == key.key.id(); });
}

// Who of `keys` signed (or did not), each name and each public key once. Revoked ones do not count:
// Verify has refused them already, and a policy that came later may revoke more.
std::vector<std::string> Those(bool who_signed, const KeyRing& ring,
                               const google::protobuf::RepeatedPtrField<std::string>& keys,
                               const std::vector<Signer>& signers) {
  std::vector<std::string> out;
  for (const KnownKey& known : ring.keys()) {
    if (known.revoked || std::find(keys.begin(), keys.end(), known.name) == keys.end()) continue;
    if (Signed(known, signers) == who_signed) out.push_back(known.name);
  }
  return out;
}

template <typename Rule>
int64_t Threshold(const Rule& rule) {
  return rule.has_threshold() ? std::max<int64_t>(rule.threshold(), 1) : 1;
}

template <typename Rule>
bool Met(const KeyRing& ring, const Rule& rule, const std::vector<Signer>& signers) {
  return static_cast<int64_t>(Those(true, ring, rule.keys(), signers).size()) >= Threshold(rule);
}

// "1 more of bob, carol": what a grant lacks.
std::string Lacks(const KeyRing& ring, const v1::Grant& grant, const std::vector<Signer>& signers) {
  const auto have = static_cast<int64_t>(Those(true, ring, grant.keys(), signers).size());
  return absl::StrCat(Threshold(grant) - have, " more of ",
                      absl::StrJoin(Those(false, ring, grant.keys(), signers), ", "));
}

// "k3s.config" covers itself, "k3s.config.disable" and "k3s.config[disable]", not "k3s.configX".
bool Covers(absl::string_view granted, absl::string_view path) {
  if (!absl::StartsWith(path, granted)) return false;
  return path.size() == granted.size() || path[granted.size()] == '.' ||
         path[granted.size()] == '[';
}

bool CoversPath(const v1::Grant& grant, absl::string_view path) {
  if (grant.paths().empty()) return true;
  return std::any_of(grant.paths().begin(), grant.paths().end(),
                     [&](const std::string& granted) { return Covers(granted, path); });
}

bool HoldsLabels(const v1::Grant& grant, const v1::MachineConfig& config) {
  const auto& labels = config.metadata().labels();
  return std::all_of(grant.labels().begin(), grant.labels().end(), [&](const auto& wanted) {
    auto it = labels.find(wanted.first);
    return it != labels.end() && it->second == wanted.second;
  });
}

// A grant with labels looks at the node before and after: whoever may change only `site: lab`
// nodes must not be able to relabel another node into reach, nor one of theirs out of it.
bool InScope(const v1::Grant& grant, const v1::MachineConfig* from, const v1::MachineConfig& to) {
  return (from == nullptr || HoldsLabels(grant, *from)) && HoldsLabels(grant, to);
}

std::string Describe(const v1::Grant& grant) {
  std::string out = absl::StrCat(Threshold(grant), " of ", absl::StrJoin(grant.keys(), ", "));
  if (!grant.paths().empty()) {
    absl::StrAppend(&out, " for ", absl::StrJoin(grant.paths(), ", "));
  }
  if (!grant.labels().empty()) {
    std::vector<std::string> labels;
    for (const auto& [key, value] : grant.labels()) labels.push_back(absl::StrCat(key, "=", value));
    std::sort(labels.begin(), labels.end());
    absl::StrAppend(&out, " on ", absl::StrJoin(labels, ", "));
  }
  return out;
}

// "1 of config; or 2 of alice, bob for k3s": any one of them is enough.
std::string Any(const std::vector<const v1::Grant*>& grants) {
  return absl::StrJoin(grants, "; or ", [](std::string* out, const v1::Grant* grant) {
    absl::StrAppend(out, Describe(*grant));
  });
}

// A line for each of `grants`.
std::string AllLack(const KeyRing& ring, const std::vector<const v1::Grant*>& grants,
                    const std::vector<Signer>& signers) {
  return absl::StrJoin(grants, "\n", [&](std::string* out, const v1::Grant* grant) {
    absl::StrAppend(out, Lacks(ring, *grant, signers));
  });
}

std::string Names(const std::vector<Signer>& signers) {
  return absl::StrJoin(signers, ", ", [](std::string* out, const Signer& s) {
    absl::StrAppend(out, "`", s.name, "`");
  });
}

// None of `grants` is met. "missing" has a line for each.
absl::Status TooFew(const KeyRing& ring, const std::vector<const v1::Grant*>& grants,
                    absl::string_view what, const std::vector<Signer>& signers) {
  if (grants.empty()) {
    return Denied("too-few-signers", absl::StrCat("the trust policy grants ", what, " to nobody"),
                  "add a grant to the trust policy and sign it with the root keys", signers);
  }
  const absl::Status status =
      Denied("too-few-signers",
             absl::StrCat("signed by ", Names(signers), ", which meets no grant for ", what),
             absl::StrCat("needed: ", Any(grants)), signers);
  return api::WithDetail(status, "missing", AllLack(ring, grants, signers));
}

std::vector<const v1::Grant*> GrantsFor(const v1::TrustPolicy& policy, absl::string_view what) {
  std::vector<const v1::Grant*> out;
  for (const v1::Grant& grant : policy.grants()) {
    if (absl::string_view(grant.for_()) == what) out.push_back(&grant);
  }
  return out;
}

absl::Status NotCovered(const KeyRing& ring, const diff::Change& change,
                        const std::vector<const v1::Grant*>& all,
                        const std::vector<const v1::Grant*>& met,
                        const std::vector<Signer>& signers, const v1::MachineConfig* from,
                        const v1::MachineConfig& to) {
  // The nearest miss decides what is said: a label scope, then a threshold, then the path.
  for (const v1::Grant* grant : met) {
    if (CoversPath(*grant, change.path) && !InScope(*grant, from, to)) {
      return Denied("label-scope",
                    absl::StrCat(change.path, ": the grant (", Describe(*grant),
                                 ") is for other nodes; its labels must hold before and after"),
                    "have it signed by keys whose grant covers this node", signers, change.path);
    }
  }
  std::vector<const v1::Grant*> able;  // would cover it, and lack signers
  for (const v1::Grant* grant : all) {
    if (std::find(met.begin(), met.end(), grant) == met.end() && CoversPath(*grant, change.path) &&
        InScope(*grant, from, to)) {
      able.push_back(grant);
    }
  }
  if (!able.empty()) {
    return api::WithDetail(
        Denied("too-few-signers",
               absl::StrCat(change.path, ": signed by ", Names(signers), "; needed: ", Any(able),
                            ". Signers of several grants are not added up"),
               "have the missing keys sign the same file: nodectl sign --key", signers,
               change.path),
        "missing", AllLack(ring, able, signers));
  }
  return Denied("path-not-granted",
                absl::StrCat(change.path, " may not be changed by ", Names(signers)),
                "have it signed by keys whose grant covers the path, or leave the path as it is",
                signers, change.path);
}

}  // namespace

absl::Status AuthorizeConfig(const v1::TrustPolicy& policy, const std::vector<Signer>& signers,
                             const std::vector<diff::Change>& changes,
                             const v1::MachineConfig* from, const v1::MachineConfig& to) {
  auto ring = KeyRing::Of(policy);
  if (!ring.ok()) return ring.status();
  const std::vector<const v1::Grant*> all = GrantsFor(policy, "machineconfig");
  std::vector<const v1::Grant*> met;
  for (const v1::Grant* grant : all) {
    if (Met(*ring, *grant, signers)) met.push_back(grant);
  }
  if (met.empty()) return TooFew(*ring, all, "machine configs", signers);

  std::vector<diff::Change> to_cover;
  for (const diff::Change& change : changes) {
    // Admit asks for the epoch of the trust policy: root chose it, the signer has no choice.
    if (diff::IsFreePath(change.path) || change.path == "metadata.epoch") continue;
    to_cover.push_back(change);
  }
  // Consent is given by the generation that uses it. Where the last one consented to the same,
  // metadata.allow is no change, and whoever may not write it must not live on that.
  if (from != nullptr && UsesConsent(*from, to)) to_cover.push_back({.path = "metadata.allow"});
  for (const diff::Change& change : to_cover) {
    bool covered = std::any_of(met.begin(), met.end(), [&](const v1::Grant* grant) {
      return CoversPath(*grant, change.path) && InScope(*grant, from, to);
    });
    if (!covered) return NotCovered(*ring, change, all, met, signers, from, to);
  }
  // Nothing but free metadata: still only for nodes that a met grant reaches.
  bool reachable = std::any_of(met.begin(), met.end(),
                               [&](const v1::Grant* grant) { return InScope(*grant, from, to); });
  if (!reachable) {
    return Denied("label-scope",
                  absl::StrCat("the grants of ", Names(signers), " (", Any(met),
                               ") are for nodes with other labels"),
                  "have it signed by keys whose grant covers this node", signers);
  }
  return absl::OkStatus();
}

absl::Status AuthorizeAction(const v1::TrustPolicy& policy, const std::vector<Signer>& signers,
                             const v1::Action& action) {
  auto ring = KeyRing::Of(policy);
  if (!ring.ok()) return ring.status();
  std::vector<const v1::Grant*> able;
  for (const v1::Grant& grant : policy.grants()) {
    const auto& verbs = grant.verbs();
    bool listed = std::find(verbs.begin(), verbs.end(), action.verb()) != verbs.end();
    // An action has no labels that a scope could be held against: such a grant covers none.
    if (!grant.labels().empty()) continue;
    // An empty list means every verb for `action`, none for `breakglass`.
    if ((grant.for_() == "action" && (verbs.empty() || listed)) ||
        (grant.for_() == "breakglass" && listed)) {
      able.push_back(&grant);
    }
  }
  for (const v1::Grant* grant : able) {
    if (Met(*ring, *grant, signers)) return absl::OkStatus();
  }
  return TooFew(*ring, able, absl::StrCat("action `", action.verb(), "`"), signers);
}

absl::Status AuthorizeImage(const v1::TrustPolicy& policy, const std::vector<Signer>& signers,
                            const v1::MachineConfig& node) {
  auto ring = KeyRing::Of(policy);
  if (!ring.ok()) return ring.status();
  const std::vector<const v1::Grant*> all = GrantsFor(policy, "image");
  bool met = false;
  for (const v1::Grant* grant : all) {
    if (!Met(*ring, *grant, signers)) continue;
    if (HoldsLabels(*grant, node)) return absl::OkStatus();
    met = true;
  }
  if (met) {
    return Denied("label-scope",
                  absl::StrCat("the grants for images of ", Names(signers),
                               " are for nodes with other labels"),
                  "have the image signed by keys whose grant covers this node", signers);
  }
  return TooFew(*ring, all, "images", signers);
}

bool SignedByRoot(const v1::TrustPolicy& policy, const std::vector<Signer>& signers) {
  auto ring = KeyRing::Of(policy);
  return ring.ok() && Met(*ring, policy.root(), signers);
}

}  // namespace basalt::sign
