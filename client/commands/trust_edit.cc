#include "client/commands/trust_edit.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/trust_words.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/validate/validate.h"

namespace basalt::client {
namespace {

using Names = google::protobuf::RepeatedPtrField<std::string>;

absl::Status Refuse(absl::string_view reason, const std::string& what, const std::string& hint) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, reason, what, hint);
}

bool Has(const Names& list, absl::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

void Drop(Names* list, absl::string_view name) {
  list->erase(std::remove(list->begin(), list->end(), name), list->end());
}

absl::Status NoSuchKey(const v1::TrustPolicy& policy, const std::string& name) {
  std::vector<absl::string_view> known;
  for (const v1::TrustKey& key : policy.keys()) known.push_back(key.name());
  const std::string near = schema::Nearest(name, known);
  return api::Coded(absl::StatusCode::kNotFound, "unknown-key",
                    absl::StrCat("the trust policy has no key `", name, "`"),
                    near.empty() ? absl::StrCat("it has ", absl::StrJoin(known, ", "))
                                 : absl::StrCat("did you mean `", near, "`?"));
}

// There, and not revoked.
absl::Status CheckUsable(const v1::TrustPolicy& policy, const std::string& name) {
  if (FindKey(policy, name) == nullptr) return NoSuchKey(policy, name);
  if (!IsRevoked(policy, name)) return absl::OkStatus();
  return Refuse("revoked-key", absl::StrCat("key `", name, "` is revoked"),
                "a revoked key stays revoked; add a new one under another name");
}

int64_t Threshold(int64_t threshold) { return std::max<int64_t>(threshold, 1); }

}  // namespace

const v1::TrustKey* FindKey(const v1::TrustPolicy& policy, absl::string_view name) {
  for (const v1::TrustKey& key : policy.keys()) {
    if (key.name() == name) return &key;
  }
  return nullptr;
}

bool IsRevoked(const v1::TrustPolicy& policy, absl::string_view name) {
  return Has(policy.revoked(), name);
}

v1::TrustPolicy NextOf(const v1::TrustPolicy& current) {
  v1::TrustPolicy next = current;
  next.set_version(current.version() + 1);
  return next;
}

absl::Status AddKey(v1::TrustPolicy& policy, const std::string& name,
                    absl::string_view public_key) {
  auto key = sign::PublicKey::Parse(public_key);
  if (!key.ok()) return key.status();
  if (FindKey(policy, name) != nullptr) {
    return Refuse(
        "key-exists", absl::StrCat("the trust policy has a key `", name, "` already"),
        IsRevoked(policy, name)
            ? "it is revoked, and stays listed: choose another name"
            : absl::StrCat("choose another name, or replace it: nodectl trust rotate ", name));
  }
  for (const v1::TrustKey& known : policy.keys()) {
    auto other = sign::PublicKey::Parse(known.public_key());
    if (!other.ok() || other->raw() != key->raw()) continue;
    return Refuse("key-exists", absl::StrCat("it is the key `", known.name(), "` already"),
                  IsRevoked(policy, known.name()) ? "that key is revoked: make a new one"
                                                  : "one key has one name, and counts once");
  }
  v1::TrustKey& added = *policy.add_keys();
  added.set_name(name);
  absl::string_view text = absl::StripAsciiWhitespace(public_key);
  // The file of minisign has a comment above the line that is the key.
  if (absl::StartsWith(text, "untrusted comment:")) {
    text = absl::StripAsciiWhitespace(text.substr(text.find('\n')));
  }
  added.set_public_key(absl::StrCat(text, absl::StartsWith(text, "-----BEGIN") ? "\n" : ""));
  return absl::OkStatus();
}

absl::Status AddRoot(v1::TrustPolicy& policy, const std::string& name, int64_t threshold) {
  if (absl::Status s = CheckUsable(policy, name); !s.ok()) return s;
  if (!Has(policy.root().keys(), name)) policy.mutable_root()->add_keys(name);
  if (threshold > 0) policy.mutable_root()->set_threshold(threshold);
  return absl::OkStatus();
}

absl::Status RevokeKey(v1::TrustPolicy& policy, const std::string& name, int64_t root_threshold) {
  if (absl::Status s = CheckUsable(policy, name); !s.ok()) return s;
  if (root_threshold > 0) policy.mutable_root()->set_threshold(root_threshold);
  const std::string rotate =
      absl::StrCat("nodectl trust rotate ", name, " puts a new key into its place");
  const bool is_root = Has(policy.root().keys(), name);
  Drop(policy.mutable_root()->mutable_keys(), name);
  if (is_root && policy.root().keys_size() < Threshold(policy.root().threshold())) {
    return Refuse(
        "threshold-unmet",
        absl::StrCat("root wants ", Threshold(policy.root().threshold()),
                     Threshold(policy.root().threshold()) == 1 ? " signature" : " signatures",
                     ", and without `", name, "` there ",
                     policy.root().keys().empty()
                         ? "is no root key"
                         : absl::StrCat("is only ", absl::StrJoin(policy.root().keys(), ", ")),
                     ": nobody could ever sign a next version"),
        policy.root().keys_size() > 0
            ? absl::StrCat(rotate, "; --threshold ", policy.root().keys_size(),
                           " lowers what root wants")
            : rotate);
  }
  for (int i = 0; i < policy.grants_size(); ++i) {
    v1::Grant& grant = *policy.mutable_grants(i);
    if (!Has(grant.keys(), name)) continue;
    const std::string words = GrantWords(grant);
    Drop(grant.mutable_keys(), name);
    if (grant.keys_size() >= Threshold(grant.threshold())) continue;
    return Refuse(
        "threshold-unmet",
        absl::StrCat("grant ", i + 1, " (", words, ") could not be met without `", name, "`"),
        absl::StrCat(rotate, "; nodectl trust ungrant ", i + 1, " gives it up"));
  }
  policy.add_revoked(name);
  return absl::OkStatus();
}

absl::Status AddGrant(v1::TrustPolicy& policy, const GrantOptions& options) {
  v1::Grant grant;
  grant.set_for_(options.for_what);
  for (const std::string& name : options.keys) {
    if (absl::Status s = CheckUsable(policy, name); !s.ok()) return s;
    if (Has(policy.root().keys(), name)) {
      return Refuse(
          "root-in-grant",
          absl::StrCat("`", name, "` is a root key: it signs trust policies and nothing else"),
          "add a key of its own for the grant: nodectl trust add-key");
    }
    grant.add_keys(name);
  }
  grant.set_threshold(Threshold(options.threshold));
  for (const std::string& path : options.paths) grant.add_paths(path);
  for (const std::string& label : options.labels) {
    const size_t equals = label.find('=');
    if (equals == std::string::npos || equals == 0) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "usage",
                        absl::StrCat("--label ", label, " is not KEY=VALUE"), "--label site=lab");
    }
    (*grant.mutable_labels())[label.substr(0, equals)] = label.substr(equals + 1);
  }
  for (const std::string& verb : options.verbs) grant.add_verbs(verb);
  *policy.add_grants() = std::move(grant);
  return absl::OkStatus();
}

absl::Status RemoveGrant(v1::TrustPolicy& policy, int number) {
  if (number < 1 || number > policy.grants_size()) {
    return api::Coded(
        absl::StatusCode::kNotFound, "unknown-grant",
        absl::StrCat("there is no grant ", number, "; there are ", policy.grants_size()),
        "nodectl trust show numbers them");
  }
  policy.mutable_grants()->DeleteSubrange(number - 1, 1);
  return absl::OkStatus();
}

std::string NextName(const v1::TrustPolicy& policy, const std::string& name) {
  std::string base = name;
  int number = 1;
  if (const size_t dash = name.rfind('-'); dash != std::string::npos && dash > 0) {
    int last = 0;
    if (absl::SimpleAtoi(name.substr(dash + 1), &last) && last > 0 && last < 1000000) {
      base = name.substr(0, dash);
      number = last;
    }
  }
  std::string out;
  do {
    out = absl::StrCat(base, "-", ++number);
  } while (FindKey(policy, out) != nullptr);
  return out;
}

absl::Status RotateKey(v1::TrustPolicy& policy, const std::string& name,
                       const std::string& new_name, absl::string_view public_key) {
  if (absl::Status s = CheckUsable(policy, name); !s.ok()) return s;
  if (absl::Status s = AddKey(policy, new_name, public_key); !s.ok()) return s;
  auto replace = [&](Names* list) { std::replace(list->begin(), list->end(), name, new_name); };
  replace(policy.mutable_root()->mutable_keys());
  for (v1::Grant& grant : *policy.mutable_grants()) replace(grant.mutable_keys());
  policy.add_revoked(name);
  return absl::OkStatus();
}

absl::Status RaiseEpoch(v1::TrustPolicy& policy, int64_t epoch) {
  if (epoch == 0) epoch = policy.epoch() + 1;
  if (epoch <= policy.epoch()) {
    return Refuse("epoch-not-higher",
                  absl::StrCat("the epoch is ", policy.epoch(), ", and can only rise"),
                  absl::StrCat("nodectl trust epoch ", policy.epoch() + 1));
  }
  policy.set_epoch(epoch);
  return absl::OkStatus();
}

absl::Status CheckPolicy(const v1::TrustPolicy& policy) {
  validate::Findings findings = validate::Validate(policy);
  return findings.ok() ? absl::OkStatus() : api::Invalid(findings.errors);
}

}  // namespace basalt::client
