#include "client/commands/recovery_sheet.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "client/commands/trust_edit.h"
#include "client/commands/trust_store.h"
#include "client/commands/trust_words.h"
#include "client/context/files.h"
#include "client/context/inventory.h"
#include "machineconfig/sign/openssh_key.h"
#include "machineconfig/sign/x509.h"

namespace basalt::client {
namespace {

constexpr size_t kWidth = 80;
constexpr absl::string_view kIndent = "            ";

// "  lost      text" with the text wrapped below itself.
std::string Item(absl::string_view word, absl::string_view text) {
  std::string out =
      absl::StrCat("  ", word, std::string(10 - std::min<size_t>(10, word.size()), ' '));
  size_t column = kIndent.size();
  bool first = true;
  for (absl::string_view piece : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!first && column + 1 + piece.size() > kWidth) {
      absl::StrAppend(&out, "\n", kIndent);
      column = kIndent.size();
      first = true;
    }
    if (!first) {
      out += ' ';
      ++column;
    }
    absl::StrAppend(&out, piece);
    column += piece.size();
    first = false;
  }
  return out + "\n";
}

std::string Print(const Digest& digest) {
  const std::string hex = digest.Hex();
  return absl::StrCat(Item("known by", hex), Item("in words", FingerprintWords(digest)));
}

// What protects what is in the file beside its mode.
enum class Protection { kUnknown, kNone, kPassphrase, kSealed };
Protection ProtectionOf(absl::string_view text) {
  if (absl::StrContains(text, "BEGIN AGE ENCRYPTED FILE")) return Protection::kSealed;
  if (sign::LooksLikeOpenSshKey(text)) {
    return api::Reason(sign::ReadOpenSshKey(text).status()) == "passphrase-needed"
               ? Protection::kPassphrase
               : Protection::kNone;
  }
  if (absl::StrContains(text, "BEGIN ENCRYPTED PRIVATE KEY")) return Protection::kPassphrase;
  return absl::StrContains(text, "PRIVATE KEY") || absl::StrContains(text, "AGE-SECRET-KEY")
             ? Protection::kNone
             : Protection::kUnknown;
}

std::string Where(const std::string& file) {
  if (!Exists(file)) return absl::StrCat(file, " (not on this machine)");
  absl::StatusOr<std::string> text = ReadFile(file, 64 << 10);
  switch (text.ok() ? ProtectionOf(*text) : Protection::kUnknown) {
    case Protection::kNone:
      return absl::StrCat(file, ", without a passphrase");
    case Protection::kPassphrase:
      return absl::StrCat(file, ", encrypted with its passphrase");
    case Protection::kSealed:
      return absl::StrCat(file, ", sealed: opens with the key of SEALED SECRETS");
    case Protection::kUnknown:
      break;
  }
  return file;
}

struct Fate {
  absl::string_view lost, stolen;
};

// In the words of the table in machineconfig/README.md.
Fate FateOf(const v1::TrustPolicy& policy, const std::string& name) {
  auto has = [&](const auto& keys) {
    return std::find(keys.begin(), keys.end(), name) != keys.end();
  };
  if (has(policy.root().keys())) {
    return {
        "Nodes and configs go on. Without enough root keys no key can be added or revoked any "
        "more. Enough others left: nodectl trust rotate. Otherwise: wipe each node and install "
        "it with the trust.json of a new nodectl init.",
        "With enough of them somebody else owns the cluster. At once: nodectl trust rotate, "
        "then nodectl trust apply to every node; who is first wins. Two root keys in two "
        "places and --threshold 2 make that harder."};
  }
  for (const v1::Grant& grant : policy.grants()) {
    if (grant.for_() == "machineconfig" && has(grant.keys())) {
      return {
          "Nodes go on; nothing new can be signed with it. nodectl trust rotate puts a new key "
          "in its place: that needs root.",
          "Whoever reaches a node can change it, as far as the grant goes. nodectl trust "
          "rotate, then nodectl trust apply to every node: from then on it is refused."};
    }
  }
  for (const v1::Grant& grant : policy.grants()) {
    if (has(grant.keys())) {
      return {
          "What it signs cannot be signed any more until nodectl trust rotate puts a new key in "
          "its place.",
          "nodectl trust rotate, then nodectl trust apply to every node."};
    }
  }
  return {"It is in no use.", "nodectl trust revoke-key."};
}

std::string TrustKeys(const Context& context, const v1::TrustPolicy& policy) {
  std::string out;
  for (const v1::TrustKey& key : policy.keys()) {
    if (IsRevoked(policy, key.name())) continue;
    auto half = sign::PublicKey::Parse(key.public_key());
    if (!half.ok()) continue;  // ignoring: the chain was verified, every key is one
    absl::StrAppend(&out, "\nKEY ", key.name(), " (", AlgorithmWord(half->algorithm()), ")\n",
                    Print(half->id()));
    for (const std::string& use : KeyUses(policy, key.name())) {
      absl::StrAppend(&out, Item("may", use));
    }
    const std::optional<KeyFile> file = FindKeyFile(context, key);
    const Fate fate = FateOf(policy, key.name());
    absl::StrAppend(&out,
                    Item("lies in", file ? Where(file->path)
                                         : "not on this machine; write down where: "
                                           "..............................."),
                    Item("lost", fate.lost), Item("stolen", fate.stolen));
  }
  return out;
}

std::string Authority(const Context& context) {
  std::string out = "\nCLIENT AUTHORITY (certificates of people and pipelines)\n";
  absl::StatusOr<std::string> pem = ReadFile(context.ca);
  auto info =
      pem.ok() ? sign::ReadCertificate(*pem) : absl::StatusOr<sign::CertificateInfo>(pem.status());
  if (info.ok()) {
    absl::StrAppend(
        &out, Print(info->spki),
        Item("until", absl::FormatTime("%Y-%m-%d", info->not_after, absl::UTCTimeZone())));
  }
  const std::string key = JoinPath(DirectoryOf(context.ca), "ca.key");
  return absl::StrCat(
      out, Item("lies in", Where(key)),
      Item("lost",
           "Certificates that exist work until they end; no new ones. A new authority goes "
           "into api.clientCas of a signed config: that needs the config key only."),
      Item("stolen",
           "Somebody can read every node and fetch a kubeconfig, which is root where K3s "
           "runs. Replace it in api.clientCas of every node."),
      "\nADMIN CERTIFICATE (what nodectl shows to nodes)\n",
      Item("lies in", Where(context.certificate_key)),
      Item("lost", "The authority issues another."),
      Item("stolen",
           "As for the authority, but api.deniedFingerprints of a signed config is "
           "enough."));
}

std::string Secrets(const Context& context) {
  return absl::StrCat(
      "\nSEALED SECRETS\n", Item("known by", absl::StrJoin(context.recipients, " ")),
      Item("lies in", Where(context.identity)),
      Item("lost",
           "Sealed values of files cannot be opened: restore it, open them as another "
           "recipient, or set new ones. Nodes go on."),
      Item("stolen",
           "Every secret that was ever sealed to it can be read: new secrets, and a new "
           "key."),
      "\nTOKENS OF THE CLUSTER\n", Item("lies in", Where(context.secrets)),
      Item("lost",
           "The signed configs in signed/ hold them, sealed too, and each server has its own in "
           "data/k3s/server/token."),
      Item("stolen",
           "With the server token and the network one can join as a server: cluster-admin. "
           "New tokens: k3s token rotate, then new configs."));
}

std::string Nodes(const Context& context) {
  absl::StatusOr<Inventory> inventory = Inventory::Load(context.inventory);
  if (!inventory.ok() || inventory->nodes().empty()) {
    return "\nNODES\n  none yet; print a new sheet when there are: nodectl trust sheet\n";
  }
  std::string out = "\nNODES\n";
  for (const InventoryNode& node : inventory->nodes()) {
    absl::StrAppend(&out, "  ", node.name, "  ", node.endpoint, "\n", "    ",
                    node.fingerprint.empty() ? "not pinned" : node.fingerprint, "\n");
  }
  return out;
}

bool AnyPassphrase(const Context& context, const v1::TrustPolicy& policy) {
  std::vector<std::string> files = {JoinPath(DirectoryOf(context.ca), "ca.key"),
                                    context.certificate_key};
  for (const v1::TrustKey& key : policy.keys()) {
    if (auto file = FindKeyFile(context, key)) files.push_back(file->path);
  }
  return std::any_of(files.begin(), files.end(), [](const std::string& file) {
    absl::StatusOr<std::string> text = ReadFile(file, 64 << 10);
    return text.ok() && ProtectionOf(*text) == Protection::kPassphrase;
  });
}

std::string Restore(const Context& context, const v1::TrustPolicy& policy) {
  return absl::StrCat(
      "\nTO RESTORE\n"
      "  1. Install nodectl on a machine that you trust.\n"
      "  2. Put the directory back from your copy, or each file from the list above;\n"
      "     what is secret gets mode 0600.\n"
      "  3. export NODECTL_CONTEXT=",
      AbsolutePath(context.path),
      "\n"
      "  4. nodectl trust show      the fingerprints are those of this sheet\n"
      "  5. nodectl status          the nodes answer; they never needed this directory\n"
      "\nKEEP\n"
      "  The directory twice, in two places, one of them without a network. The root\n"
      "  key on a medium of its own.",
      AnyPassphrase(context, policy) ? " The passphrase on a paper of its own, not on this\n"
                                       "  one: without it the encrypted keys are lost.\n"
                                     : " No key has a passphrase: who has a copy has\n"
                                       "  the keys.\n",
      "  After nodectl trust rotate or a new node: nodectl trust sheet, and print anew.\n");
}

// As they lie there: what is encrypted stays so.
std::string Contents(const Context& context, const v1::TrustPolicy& policy) {
  std::vector<std::string> files;
  for (const v1::TrustKey& key : policy.keys()) {
    if (IsRevoked(policy, key.name())) continue;
    if (auto file = FindKeyFile(context, key)) files.push_back(file->path);
  }
  for (const std::string& file : {JoinPath(DirectoryOf(context.ca), "ca.key"),
                                  context.certificate_key, context.identity, context.secrets}) {
    if (Exists(file)) files.push_back(file);
  }
  std::string out = "\nTHE SECRETS\n";
  for (const std::string& file : files) {
    absl::StatusOr<std::string> text = ReadFile(file, 64 << 10);
    absl::StrAppend(&out, "\n--- ", file, "\n",
                    text.ok() ? *text : absl::StrCat("cannot be read: ", text.status().message()));
    if (out.back() != '\n') out += '\n';
  }
  return out;
}

}  // namespace

absl::StatusOr<std::string> RecoverySheet(const Context& context, const v1::TrustPolicy& policy,
                                          const SheetOptionsOf& options) {
  return absl::StrCat(
      "RECOVERY SHEET of the Basalt cluster ", policy.cluster(), "\n",
      absl::FormatTime("%Y-%m-%d", options.now, absl::UTCTimeZone()), ", trust policy version ",
      policy.version(), ", epoch ", policy.epoch(), "\n\n",
      options.with_secrets
          ? "THIS PAGE HOLDS SECRETS. Print it on a printer that keeps nothing, lock it\n"
            "away, and delete the file.\n"
          : "This page holds no secrets. Print it and keep it away from the machine that it\n"
            "is about: it tells what is missing when that machine is gone.\n",
      TrustKeys(context, policy), Authority(context), Secrets(context), Nodes(context),
      Restore(context, policy), options.with_secrets ? Contents(context, policy) : "");
}

}  // namespace basalt::client
