// nodectl trust show: the policy in words, and where its keys are.
#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/recovery_sheet.h"
#include "client/commands/trust_edit.h"
#include "client/commands/trust_store.h"
#include "client/commands/trust_words.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/next_policy.h"
#include "machineconfig/sign/sshsig.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

using Json = nlohmann::ordered_json;

Json Texts(const google::protobuf::RepeatedPtrField<std::string>& list) {
  Json out = Json::array();
  for (const std::string& text : list) out.push_back(text);
  return out;
}

// More are history that nobody reads on a screen, and each costs the check of all before it.
constexpr int kShownVersions = 20;

std::vector<std::string> Signers(const sign::NextPolicy& next) {
  std::vector<std::string> out = next.before.signed_by;
  for (const std::string& name : next.own.signed_by) {
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
  }
  return out;
}

// The newest versions, each with the root keys that signed it, of its own and the one before.
absl::StatusOr<Json> Versions(const v1::TrustChain& chain) {
  Json out = Json::array();
  const int from = std::max(0, chain.policies_size() - kShownVersions);
  for (int i = from; i < chain.policies_size(); ++i) {
    v1::TrustChain prefix;
    for (int k = 0; k < std::max(i, 1); ++k) *prefix.add_policies() = chain.policies(k);
    auto before = sign::VerifyChain(prefix, sign::ChainAge::kAccepted);
    if (!before.ok()) return before.status();
    std::vector<std::string> signers;
    int64_t epoch = before->policy.epoch();
    if (i == 0) {
      auto first = sign::Verify(chain.policies(0), v1::DOCUMENT_TYPE_TRUST_POLICY, before->policy);
      if (!first.ok()) return first.status();
      for (const sign::Signer& signer : first->signers()) signers.push_back(signer.name);
    } else {
      auto next = sign::CheckNext(*before, chain.policies(i), sign::ChainAge::kAccepted);
      if (!next.ok()) return next.status();
      signers = Signers(*next);
      epoch = next->policy.epoch();
    }
    out.push_back({{"version", i + 1},
                   {"epoch", epoch},
                   {"digest", sign::DocumentDigest(chain.policies(i)).ToString()},
                   {"signedBy", signers}});
  }
  return out;
}

Json Keys(const Context* context, const v1::TrustPolicy& policy) {
  Json out = Json::array();
  for (const v1::TrustKey& key : policy.keys()) {
    auto half = sign::PublicKey::Parse(key.public_key());
    if (!half.ok()) continue;  // ignoring: the chain was verified, every key is one
    Json one{{"name", key.name()},
             {"algorithm", AlgorithmWord(half->algorithm())},
             {"form", KeyForm(key.public_key())},
             {"id", half->id().Hex()},
             {"words", FingerprintWords(half->id())},
             {"sshFingerprint",
              sign::SshFingerprint(half->algorithm(), half->raw(), half->application())},
             {"revoked", IsRevoked(policy, key.name())}};
    if (std::optional<KeyFile> file = context ? FindKeyFile(*context, key) : std::nullopt) {
      one["file"] = file->path;
      one["fileChecked"] = file->certain;
    }
    one["may"] = KeyUses(policy, key.name());
    out.push_back(std::move(one));
  }
  return out;
}

Json Grants(const v1::TrustPolicy& policy) {
  Json out = Json::array();
  for (int i = 0; i < policy.grants_size(); ++i) {
    const v1::Grant& grant = policy.grants(i);
    Json one{{"number", i + 1},
             {"for", grant.for_()},
             {"keys", Texts(grant.keys())},
             {"threshold", grant.threshold()},
             {"words", GrantWords(grant)}};
    if (!grant.paths().empty()) one["paths"] = Texts(grant.paths());
    if (!grant.verbs().empty()) one["verbs"] = Texts(grant.verbs());
    // Sorted: a map of protobuf has no order.
    for (const auto& [key, value] :
         std::map<std::string, std::string>(grant.labels().begin(), grant.labels().end())) {
      one["labels"][key] = value;
    }
    out.push_back(std::move(one));
  }
  return out;
}

Json Next(const v1::TrustPolicy& current, const sign::NextPolicy& next, const std::string& file) {
  Json changes = Json::array();
  for (const PolicyChange& change : PolicyChanges(current, next.policy)) {
    changes.push_back(std::string(1, change.kind) + " " + change.what);
  }
  return {{"version", next.policy.version()},
          {"file", file},
          {"changes", changes},
          {"signedBy", Signers(next)},
          {"missing", MissingWords(next)},
          {"complete", next.complete()}};
}

std::string Joined(const Json& list) {
  std::vector<std::string> texts;
  for (const Json& text : list) texts.push_back(text.get<std::string>());
  return absl::StrJoin(texts, ", ");
}

void PrintText(Io& io, const v1::TrustPolicy& policy, const Json& shown) {
  io.out << Bold(io, absl::StrCat("cluster ", policy.cluster())) << ", epoch " << policy.epoch()
         << ", version " << policy.version() << "\n\nversions\n";
  for (const Json& version : shown["versions"]) {
    io.out << "  " << version["version"] << "  epoch " << version["epoch"] << ", signed by "
           << Escape(Joined(version["signedBy"])) << ", " << version["digest"].get<std::string>()
           << "\n";
  }
  io.out << "\nroot: " << Escape(RuleWords(policy.root().threshold(), policy.root().keys()))
         << " signs trust policies\n\nkeys\n";
  for (const Json& key : shown["keys"]) {
    io.out << "  " << Bold(io, Escape(key["name"].get<std::string>())) << "  "
           << key["algorithm"].get<std::string>() << " (" << key["form"].get<std::string>()
           << ")\n    fingerprint: " << key["id"].get<std::string>()
           << "\n    in words:    " << key["words"].get<std::string>()
           << "\n    ssh:         " << key["sshFingerprint"].get<std::string>() << "\n";
    if (key.contains("file")) {
      io.out << "    file:        " << Escape(key["file"].get<std::string>())
             << (key["fileChecked"].get<bool>() ? "" : " (by its name: it has a passphrase)")
             << "\n";
    }
    for (const Json& may : key["may"]) {
      io.out << "    may:         " << Escape(may.get<std::string>()) << "\n";
    }
  }
  io.out << "\ngrants\n";
  for (const Json& grant : shown["grants"]) {
    io.out << "  " << grant["number"] << "  " << Escape(grant["words"].get<std::string>()) << "\n";
  }
  if (shown["grants"].empty()) io.out << "  none: nobody can change anything\n";
  if (!policy.revoked().empty()) {
    io.out << "\nrevoked: " << Escape(absl::StrJoin(policy.revoked(), ", ")) << "\n";
  }
  io.out << "\nsecrets in the clear in signed configs: "
         << (policy.allow_plaintext_secrets() ? "accepted" : "refused") << "\n";
  if (shown.contains("next")) {
    const Json& next = shown["next"];
    io.out << "\n"
           << Yellow(io, absl::StrCat("version ", next["version"].get<int64_t>(), " ",
                                      next["complete"].get<bool>() ? "has its signatures"
                                                                   : "awaits signatures"))
           << ": " << Escape(next["file"].get<std::string>()) << "\n";
    for (const Json& change : next["changes"]) {
      io.out << "  " << Escape(change.get<std::string>()) << "\n";
    }
    if (!next["signedBy"].empty()) {
      io.out << "  signed by " << Escape(Joined(next["signedBy"])) << "\n";
    }
    for (const Json& missing : next["missing"]) {
      io.out << "  missing: " << Escape(missing.get<std::string>()) << "\n";
    }
    if (next["complete"].get<bool>()) {
      io.out << "  keep it: nodectl trust adopt -f " << Escape(next["file"].get<std::string>())
             << "\n";
    }
  }
}

}  // namespace

absl::StatusOr<int> RunTrustShow(Session& session, const TrustShowOptions& options) {
  Io& io = session.io();
  absl::StatusOr<const Context*> context = session.context();
  absl::StatusOr<sign::VerifiedChain> chain = sign::VerifiedChain{};
  std::optional<v1::SignedDocument> pending;
  std::string pending_file;
  if (!options.file.empty()) {
    absl::StatusOr<v1::TrustChain> read = ReadChain(options.file);
    if (!read.ok()) return read.status();
    chain = sign::VerifyChain(*read, sign::ChainAge::kAccepted);
    if (!chain.ok() && read->policies_size() == 1) {
      // One version that is to follow ours: our chain, and it as the next.
      pending = read->policies(0);
      pending_file = options.file;
    } else if (!chain.ok()) {
      return api::InFile(chain.status(), options.file);
    }
  }
  if (options.file.empty() || pending) {
    if (!context.ok()) return context.status();
    absl::StatusOr<const sign::VerifiedChain*> own = session.trust();
    if (!own.ok()) return own.status();
    chain = **own;
  }
  if (options.file.empty()) {
    absl::StatusOr<std::optional<v1::SignedDocument>> waiting = PendingNext(session);
    if (!waiting.ok()) return waiting.status();
    pending = *std::move(waiting);
    pending_file = NextFile(**context);
  }
  const v1::TrustPolicy& policy = chain->policy;
  Json shown{
      {"cluster", policy.cluster()}, {"epoch", policy.epoch()}, {"version", policy.version()}};
  absl::StatusOr<Json> versions = Versions(chain->chain);
  if (!versions.ok()) return versions.status();
  shown["versions"] = *versions;
  shown["root"] = {{"keys", Texts(policy.root().keys())}, {"threshold", policy.root().threshold()}};
  shown["keys"] = Keys(context.ok() ? *context : nullptr, policy);
  shown["grants"] = Grants(policy);
  shown["revoked"] = Texts(policy.revoked());
  shown["allowPlaintextSecrets"] = policy.allow_plaintext_secrets();
  if (pending) {
    absl::StatusOr<sign::NextPolicy> next = sign::CheckNext(*chain, *pending);
    if (!next.ok()) return api::InFile(next.status(), pending_file);
    shown["next"] = Next(policy, *next, pending_file);
  }
  if (io.json()) {
    io.out << shown.dump(2, ' ', true) << "\n";
  } else if (io.format == Format::kYaml) {
    io.out << JsonToYaml(shown.dump());
  } else if (io.format == Format::kName) {
    for (const v1::TrustKey& key : policy.keys()) io.out << Escape(key.name()) << "\n";
  } else {
    PrintText(io, policy, shown);
  }
  return 0;
}

absl::StatusOr<int> RunTrustSheet(Session& session, const SheetOptions& options) {
  Io& io = session.io();
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  absl::StatusOr<std::string> sheet = RecoverySheet(
      **context, (*trust)->policy, {.with_secrets = options.with_secrets, .now = absl::Now()});
  if (!sheet.ok()) return sheet.status();
  if (options.to.empty() || options.to == "-") {
    if (options.with_secrets) MakeOutputPrivate(io);
    io.out << (io.out_terminal ? Escape(*sheet, true) : *sheet);
    return 0;
  }
  absl::Status written =
      WriteFileAtomically(options.to, *sheet, options.with_secrets ? 0600 : 0644);
  if (!written.ok()) return written;
  io.err << "made " << options.to << (options.with_secrets ? ": it holds secrets" : "") << "\n";
  return 0;
}

}  // namespace basalt::client
