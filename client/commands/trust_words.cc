#include "client/commands/trust_words.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace basalt::client {
namespace {

using Names = google::protobuf::RepeatedPtrField<std::string>;

bool Has(const Names& list, absl::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

std::string Labels(const v1::Grant& grant) {
  std::vector<std::string> out;
  for (const auto& [key, value] : grant.labels()) out.push_back(absl::StrCat(key, "=", value));
  std::sort(out.begin(), out.end());
  return absl::StrJoin(out, ", ");
}

// Equal words, equal grants: the words hold every field.
std::multiset<std::string> Grants(const v1::TrustPolicy& policy) {
  std::multiset<std::string> out;
  for (const v1::Grant& grant : policy.grants()) out.insert(GrantWords(grant));
  return out;
}

std::string KeyLine(const v1::TrustKey& key) {
  auto parsed = sign::PublicKey::Parse(key.public_key());
  if (!parsed.ok()) return key.name();
  // The id is that of the key pair: that it lies on a security key, which wants a touch, is more.
  return absl::StrCat(key.name(), ": ", AlgorithmWord(parsed->algorithm()), " ", parsed->id().Hex(),
                      parsed->application().empty()
                          ? ""
                          : absl::StrCat(" on a security key (", parsed->application(), ")"));
}

}  // namespace

std::string RuleWords(int64_t threshold, const Names& keys) {
  threshold = std::max<int64_t>(threshold, 1);
  if (threshold == 1 && keys.size() == 1) return keys[0];
  return absl::StrCat(threshold, " of ", keys.empty() ? "nobody" : absl::StrJoin(keys, ", "));
}

std::string GrantWords(const v1::Grant& grant) {
  std::string out = RuleWords(grant.threshold(), grant.keys());
  const std::string& what = grant.for_();
  if (what == "machineconfig") {
    absl::StrAppend(&out, " may change ",
                    grant.paths().empty() ? "everything" : absl::StrJoin(grant.paths(), ", "),
                    " in machine configs");
    if (!grant.labels().empty()) absl::StrAppend(&out, " of nodes with ", Labels(grant));
    return out;
  }
  if (what == "action" || what == "breakglass") {
    absl::StrAppend(&out, " may order ",
                    grant.verbs().empty() ? "every action" : absl::StrJoin(grant.verbs(), ", "));
    if (what == "breakglass") out += " in an emergency";
    return out;
  }
  return absl::StrCat(out, " may sign ", what, "s");
}

std::vector<std::string> KeyUses(const v1::TrustPolicy& policy, const std::string& name) {
  if (Has(policy.revoked(), name)) return {"revoked: nothing it signs is accepted"};
  std::vector<std::string> out;
  if (Has(policy.root().keys(), name)) {
    out.push_back(absl::StrCat("signs trust policies (root: ",
                               RuleWords(policy.root().threshold(), policy.root().keys()), ")"));
  }
  for (int i = 0; i < policy.grants_size(); ++i) {
    if (!Has(policy.grants(i).keys(), name)) continue;
    out.push_back(absl::StrCat("grant ", i + 1, ": ", GrantWords(policy.grants(i))));
  }
  if (out.empty()) out.push_back("nothing: no grant names it");
  return out;
}

std::string AlgorithmWord(sign::Algorithm algorithm) {
  return algorithm == sign::Algorithm::kEd25519 ? "ed25519" : "ecdsa-p256";
}

std::string KeyForm(const std::string& public_key) {
  if (absl::StrContains(public_key, "-----BEGIN")) return "pem";
  for (absl::string_view word : {"ssh-", "ecdsa-", "sk-"}) {
    if (absl::StartsWith(public_key, word)) return "openssh";
  }
  return "minisign";
}

std::string FingerprintWords(const Digest& digest) {
  constexpr absl::string_view kConsonants = "bdfghjklmnprstvz", kVowels = "aiou";
  std::vector<std::string> words;
  for (int i = 0; i < 16; i += 2) {
    const unsigned n = (digest.bytes[i] << 8) | digest.bytes[i + 1];
    words.push_back({kConsonants[n >> 12], kVowels[(n >> 10) & 3], kConsonants[(n >> 6) & 15],
                     kVowels[(n >> 4) & 3], kConsonants[n & 15]});
  }
  return absl::StrJoin(words, "-");
}

std::vector<PolicyChange> PolicyChanges(const v1::TrustPolicy& from, const v1::TrustPolicy& to) {
  std::vector<PolicyChange> out;
  auto add = [&](char kind, std::string what) { out.push_back({kind, std::move(what)}); };
  if (from.cluster() != to.cluster()) {
    add('~', absl::StrCat("cluster: ", from.cluster(), " -> ", to.cluster()));
  }
  if (from.epoch() != to.epoch()) {
    add('~', absl::StrCat("epoch: ", from.epoch(), " -> ", to.epoch(),
                          ": generations start anew, configs are signed for it from now on"));
  }
  std::map<std::string, std::string> before, after;
  for (const v1::TrustKey& key : from.keys()) before[key.name()] = KeyLine(key);
  for (const v1::TrustKey& key : to.keys()) after[key.name()] = KeyLine(key);
  for (const auto& [name, line] : before) {
    auto it = after.find(name);
    if (it == after.end()) add('-', absl::StrCat("key ", line));
    if (it != after.end() && it->second != line) {
      add('~', absl::StrCat("key ", line, " -> ", it->second));
    }
  }
  for (const auto& [name, line] : after) {
    if (before.count(name) == 0) add('+', absl::StrCat("key ", line));
  }
  for (const std::string& name : to.revoked()) {
    if (!Has(from.revoked(), name)) add('-', absl::StrCat("key ", name, " is revoked"));
  }
  for (const std::string& name : from.revoked()) {
    if (!Has(to.revoked(), name)) add('+', absl::StrCat("key ", name, " is trusted again"));
  }
  const std::string old_root = RuleWords(from.root().threshold(), from.root().keys());
  const std::string new_root = RuleWords(to.root().threshold(), to.root().keys());
  if (old_root != new_root) add('~', absl::StrCat("root: ", old_root, " -> ", new_root));
  const std::multiset<std::string> old_grants = Grants(from), new_grants = Grants(to);
  std::vector<std::string> gone, fresh;
  std::set_difference(old_grants.begin(), old_grants.end(), new_grants.begin(), new_grants.end(),
                      std::back_inserter(gone));
  std::set_difference(new_grants.begin(), new_grants.end(), old_grants.begin(), old_grants.end(),
                      std::back_inserter(fresh));
  for (const std::string& words : gone) add('-', absl::StrCat("grant: ", words));
  for (const std::string& words : fresh) add('+', absl::StrCat("grant: ", words));
  if (from.allow_plaintext_secrets() != to.allow_plaintext_secrets()) {
    add('~', absl::StrCat("allowPlaintextSecrets: ",
                          from.allow_plaintext_secrets() ? "true -> false" : "false -> true"));
  }
  return out;
}

std::string PolicyDiffText(const Io& io, const std::vector<PolicyChange>& changes) {
  if (changes.empty()) return "  nothing would change\n";
  std::string out;
  for (const PolicyChange& change : changes) {
    const std::string line = absl::StrCat(std::string(1, change.kind), " ", Escape(change.what));
    absl::StrAppend(&out, "  ",
                    change.kind == '+'   ? Green(io, line)
                    : change.kind == '-' ? Red(io, line)
                                         : Yellow(io, line),
                    "\n");
  }
  return out;
}

std::vector<std::string> MissingWords(const sign::NextPolicy& next) {
  std::vector<std::string> out;
  auto add = [&](const sign::RootProgress& root, int64_t version) {
    if (root.met()) return;
    out.push_back(absl::StrCat(root.need - root.have, " more of ", absl::StrJoin(root.open, ", "),
                               " (root of version ", version, ")"));
  };
  const int64_t version = next.policy.version();
  add(next.before, version - 1);
  add(next.own, version);
  // Mostly they are the same people.
  if (out.size() == 2 && next.before.open == next.own.open &&
      next.before.need - next.before.have == next.own.need - next.own.have) {
    out = {absl::StrCat(next.own.need - next.own.have, " more of ",
                        absl::StrJoin(next.own.open, ", "), " (root)")};
  }
  return out;
}

}  // namespace basalt::client
