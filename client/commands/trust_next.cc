#include "client/commands/trust_next.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/signers.h"
#include "client/commands/trust_edit.h"
#include "client/commands/trust_store.h"
#include "client/commands/trust_words.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/minisign.h"
#include "machineconfig/sign/sshsig.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

absl::Status RefusePending(Session& session, const std::string& file) {
  absl::StatusOr<std::optional<v1::SignedDocument>> pending = PendingNext(session);
  if (!pending.ok()) return pending.status();
  if (!*pending) return absl::OkStatus();
  return api::Coded(
      absl::StatusCode::kFailedPrecondition, "pending-policy",
      absl::StrCat(file, " is a next version that awaits signatures"),
      absl::StrCat("nodectl trust show -f ", file, " tells whose; remove the file to give it up"));
}

// Files of root keys that lie here, one after the other, until enough have signed.
absl::Status SignWithFiles(Session& session, const Context& context,
                           const sign::VerifiedChain& current, v1::SignedDocument& document) {
  const int before = document.signatures_size();
  std::set<std::string> tried;
  for (bool again = true; again;) {
    again = false;
    absl::StatusOr<sign::NextPolicy> next = sign::CheckNext(current, document);
    if (!next.ok()) return next.status();
    const std::pair<const sign::RootProgress&, const v1::TrustPolicy&> rules[] = {
        {next->before, current.policy}, {next->own, next->policy}};
    for (const auto& [root, policy] : rules) {
      for (const std::string& name : root.open) {
        if (root.met() || again || !tried.insert(name).second) continue;
        const v1::TrustKey* key = FindKey(policy, name);
        std::optional<KeyFile> file = key ? FindKeyFile(context, *key) : std::nullopt;
        if (!file) continue;
        SigningOptions one;
        one.keys = {file->path};
        if (absl::Status s = AddSignatures(session, one, document); !s.ok()) return s;
        again = true;
      }
    }
  }
  if (document.signatures_size() > before) return absl::OkStatus();
  return api::Coded(
      absl::StatusCode::kFailedPrecondition, "no-root-key",
      absl::StrCat("no file of a root key (", absl::StrJoin(current.policy.root().keys(), ", "),
                   ") lies in ", DirectoryOf(context.key)),
      "--root-key FILE or ssh-agent:..., --sign-command, or --payload-only and sign it elsewhere");
}

nlohmann::ordered_json ChangesJson(const std::vector<PolicyChange>& changes) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const PolicyChange& change : changes) {
    out.push_back({{"kind", change.kind == '+'   ? "add"
                            : change.kind == '-' ? "remove"
                                                 : "change"},
                   {"what", change.what}});
  }
  return out;
}

class Maker {
 public:
  Maker(Session& session, const TrustEditOptions& options, const NextVersion& next)
      : session_(session), io_(session.io()), options_(options), next_(next) {}

  absl::StatusOr<Outcome> Run() {
    absl::StatusOr<const Context*> context = session_.context();
    if (!context.ok()) return context.status();
    context_ = *context;
    absl::StatusOr<const sign::VerifiedChain*> trust = session_.trust();
    if (!trust.ok()) return trust.status();
    current_ = *trust;
    if (absl::Status s = CheckPolicy(next_.policy); !s.ok()) return s;
    const std::vector<PolicyChange> changes =
        PolicyChanges(current_->policy, schema::Resolve(next_.policy));
    report_["cluster"] = next_.policy.cluster();
    report_["from"] = current_->policy.version();
    report_["version"] = next_.policy.version();
    report_["epoch"] = next_.policy.epoch();
    report_["changes"] = ChangesJson(changes);
    if (!Structured() && !options_.payload_only) {
      io_.out << Bold(io_, absl::StrCat("trust policy of ", next_.policy.cluster(), ", version ",
                                        current_->policy.version(), " -> ", next_.policy.version()))
              << "\n"
              << PolicyDiffText(io_, changes);
    }
    if (changes.empty() || options_.dry_run) {
      report_["dryRun"] = options_.dry_run;
      if (!Structured() && options_.dry_run) io_.out << "dry run: nothing was signed\n";
      PrintReport();
      return Outcome{};
    }
    if (absl::Status s = RefusePending(session_, NextFile(*context_)); !s.ok()) return s;
    return Make();
  }

 private:
  bool Structured() const { return io_.json() || io_.format == Format::kYaml; }

  void PrintReport() {
    if (io_.json()) io_.out << report_.dump(-1, ' ', true) << "\n";
    if (io_.format == Format::kYaml) io_.out << JsonToYaml(report_.dump());
  }

  absl::StatusOr<Outcome> Make() {
    v1::SignedDocument document;
    document.set_type(v1::DOCUMENT_TYPE_TRUST_POLICY);
    document.set_payload(PolicyText(next_.policy));
    if (options_.payload_only) {
      if (absl::Status s = WriteNewFiles(); !s.ok()) return s;
      return WritePayload(document);
    }
    for (const sign::PrivateKey& key : next_.signers) sign::AddSignature(document, key);
    absl::Status signed_it = AddRootSignatures(session_, options_.signing, document);
    // A new root that is at hand signs; the old one may be elsewhere.
    if (!signed_it.ok() &&
        (api::Reason(signed_it) != "no-root-key" || document.signatures().empty())) {
      return signed_it;
    }
    absl::StatusOr<sign::NextPolicy> checked = sign::CheckNext(*current_, document);
    if (!checked.ok()) return checked.status();
    report_["complete"] = checked->complete();
    if (absl::Status s = WriteNewFiles(); !s.ok()) return s;
    return checked->complete() ? Keep(document) : Leave(document, *checked);
  }

  // Not before everything that can fail by a person's mistake has been done, and before the policy
  // that needs them is anywhere.
  absl::Status WriteNewFiles() {
    for (const auto& [path, text] : next_.new_files) {
      if (absl::Status s = WriteNewFile(path, text, 0600); !s.ok()) return s;
      io_.err << "made " << path << "\n";
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Outcome> WritePayload(const v1::SignedDocument& document) {
    if (options_.to.empty() || options_.to == "-") {
      io_.out << document.payload();
    } else if (absl::Status s = WriteFileAtomically(options_.to, document.payload(), 0644);
               !s.ok()) {
      return s;
    }
    io_.err << "to sign: ssh-keygen -Y sign -n " << sign::SshNamespace(document.type())
            << " -f KEY FILE, or minisign -S -t " << sign::MinisignComment(document.type())
            << " -m FILE, or nodectl sign -f FILE --key KEY -o trust.next.json; then nodectl sign "
               "-f FILE --attach SIGNATURE -o trust.next.json\n";
    return Outcome{};
  }

  absl::StatusOr<Outcome> Keep(const v1::SignedDocument& document) {
    v1::TrustChain update;
    *update.add_policies() = document;
    absl::StatusOr<sign::VerifiedChain> kept = Adopt(session_, update);
    if (!kept.ok()) return kept.status();
    report_["file"] = context_->trust;
    if (!Structured()) {
      io_.out << context_->trust << " has version " << next_.policy.version() << "\n";
      PrintDelivery(session_, next_.policy.version());
    }
    PrintReport();
    return Outcome{.complete = true};
  }

  absl::StatusOr<Outcome> Leave(const v1::SignedDocument& document,
                                const sign::NextPolicy& checked) {
    const std::string file = options_.to.empty() ? NextFile(*context_) : options_.to;
    absl::Status written = WriteFileAtomically(file, sign::ToDsseJson(document), 0644);
    if (!written.ok()) return written;
    const std::vector<std::string> missing = MissingWords(checked);
    report_["file"] = file;
    report_["missing"] = missing;
    if (!Structured()) {
      io_.out << file << " awaits signatures: " << absl::StrJoin(missing, "; ") << "\n"
              << "  each of them: nodectl sign -f " << file << " --key KEY -o " << file << "\n"
              << "  then:         nodectl trust adopt -f " << file << "\n";
    }
    PrintReport();
    return Outcome{};
  }

  Session& session_;
  Io& io_;
  const TrustEditOptions& options_;
  const NextVersion& next_;
  const Context* context_ = nullptr;
  const sign::VerifiedChain* current_ = nullptr;
  nlohmann::ordered_json report_;
};

}  // namespace

absl::StatusOr<Outcome> MakeNext(Session& session, const TrustEditOptions& options,
                                 const NextVersion& next) {
  return Maker(session, options, next).Run();
}

absl::Status AddRootSignatures(Session& session, const SigningOptions& options,
                               v1::SignedDocument& document) {
  if (!options.keys.empty() || !options.sign_command.empty()) {
    return AddSignatures(session, options, document);
  }
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  return SignWithFiles(session, **context, **trust, document);
}

void PrintDelivery(Session& session, int64_t version) {
  absl::StatusOr<const Inventory*> inventory = session.inventory();
  // Ignoring: without an inventory there is no node to name.
  if (!inventory.ok() || (*inventory)->nodes().empty()) return;
  std::string words;
  for (const InventoryNode& node : (*inventory)->nodes()) {
    absl::StrAppend(&words, " -n ", node.name);
  }
  session.io().out << "The nodes do not have version " << version << " yet: nodectl trust apply"
                   << words << "\n";
}

}  // namespace basalt::client
