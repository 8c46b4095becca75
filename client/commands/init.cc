// nodectl init: keys, trust, certificates, tokens and an inventory for a new cluster, once.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/coded_status.h"
#include "client/commands/cluster_secrets.h"
#include "client/commands/commands.h"
#include "client/commands/recovery_sheet.h"
#include "client/commands/sealing.h"
#include "client/commands/tokens.h"
#include "client/context/context.h"
#include "client/context/files.h"
#include "client/context/flat_yaml.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/seal/keys.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/x509.h"
#include "machineconfig/validate/validate.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

constexpr absl::Duration kSkew = absl::Minutes(5);
constexpr absl::Duration kYear = absl::Hours(24 * 365);

struct NewFile {
  std::string path;
  std::string text;
  mode_t mode = 0644;
};

std::string Indented(absl::string_view pem) {
  return absl::StrCat(
      "      ",
      absl::StrReplaceAll(pem.substr(0, pem.find_last_not_of('\n') + 1), {{"\n", "\n      "}}),
      "\n");
}

std::string PolicyText(const std::string& cluster, const sign::PrivateKey& root,
                       const sign::PrivateKey& config, const sign::PrivateKey& image) {
  std::string out = absl::StrCat(
      "# Who may sign what in this cluster. trust.json is what nodes are given: this text, signed "
      "by\n"
      "# root keys. `nodectl trust` makes the next version; `nodectl trust show` tells it in "
      "words.\n"
      "apiVersion: basalt/v1\nkind: TrustPolicy\ncluster: ",
      cluster, "\nepoch: 1\nversion: 1\nkeys:\n");
  const std::pair<const char*, const sign::PrivateKey&> keys[] = {
      {"root", root}, {"config", config}, {"image", image}};
  for (const auto& [name, key] : keys) {
    absl::StrAppend(&out, "  - name: ", name, "\n    publicKey: |\n",
                    Indented(key.public_key().Pem()));
  }
  absl::StrAppend(&out,
                  "root:\n  keys: [root]\n  threshold: 1\n"
                  "grants:\n"
                  "  - for: machineconfig\n    keys: [config]\n    threshold: 1\n"
                  "  - for: action\n    keys: [config]\n    threshold: 1\n"
                  "  - for: image\n    keys: [image]\n    threshold: 1\n"
                  "# Nodes accept configs only when their secrets are sealed.\n"
                  "allowPlaintextSecrets: false\n");
  return out;
}

// New tokens, sealed: the file may stand in Git from the first day on.
absl::StatusOr<std::string> SecretsText(const std::string& cluster,
                                        const seal::Recipient& recipient) {
  std::string text = NewClusterSecretsText(cluster);
  for (const std::string& name : ClusterSecretNames()) {
    absl::StatusOr<seal::SecretBytes> token = NewToken();
    if (!token.ok()) return token.status();
    absl::StatusOr<std::string> armored =
        seal::SealField(ClusterSecretField(cluster, name), token->view(), {recipient}, RandomBytes);
    if (!armored.ok()) return armored.status();
    absl::StatusOr<std::string> edited = PutClusterSecret(text, "secrets.yaml", name, *armored);
    if (!edited.ok()) return edited.status();
    text = *std::move(edited);
  }
  return text;
}

absl::Status CheckCluster(const std::string& cluster) {
  bool good =
      !cluster.empty() && cluster.size() <= 63 && cluster.front() != '-' && cluster.back() != '-';
  for (char c : cluster) {
    good = good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-');
  }
  if (good) return absl::OkStatus();
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-cluster",
                    absl::StrCat("'", cluster, "' cannot name a cluster"),
                    "lower-case letters, digits and dashes, at most 63: --cluster home");
}

absl::StatusOr<std::vector<NewFile>> Contents(const std::string& cluster,
                                              const std::string& passphrase) {
  const sign::PrivateKey root = sign::PrivateKey::GenerateEd25519();
  const sign::PrivateKey config = sign::PrivateKey::GenerateEd25519();
  const sign::PrivateKey image = sign::PrivateKey::GenerateEd25519();
  const sign::PrivateKey ca = sign::PrivateKey::GenerateEd25519();
  const sign::PrivateKey admin = sign::PrivateKey::GenerateEd25519();
  const absl::Time now = absl::Now();

  const std::string policy = PolicyText(cluster, root, config, image);
  absl::StatusOr<v1::TrustPolicy> read = validate::LoadTrustPolicy(policy, "trust.yaml");
  if (!read.ok()) return read.status();
  v1::TrustChain chain;
  *chain.add_policies() = sign::Sign(v1::DOCUMENT_TYPE_TRUST_POLICY, policy, {&root});
  absl::StatusOr<sign::VerifiedChain> verified = sign::VerifyChain(chain);
  if (!verified.ok()) return verified.status();

  absl::StatusOr<std::string> ca_pem =
      sign::SelfSign({.common_name = absl::StrCat("basalt ", cluster, " client authority"),
                      .is_ca = true,
                      .not_before = now - kSkew,
                      .not_after = now + 10 * kYear},
                     ca);
  if (!ca_pem.ok()) return ca_pem.status();
  absl::StatusOr<std::string> admin_pem =
      sign::Issue({.common_name = "admin",
                   .organizations = {absl::StrCat("basalt:", cluster, ":admin")},
                   .client_auth = true,
                   .not_before = now - kSkew,
                   .not_after = now + kYear},
                  admin.public_key(), *ca_pem, ca);
  if (!admin_pem.ok()) return admin_pem.status();

  absl::StatusOr<seal::Identity> identity = seal::Identity::Generate(RandomBytes);
  if (!identity.ok()) return identity.status();
  const std::string recipient = identity->recipient().Text();
  absl::StatusOr<std::string> secrets = SecretsText(cluster, identity->recipient());
  if (!secrets.ok()) return secrets.status();

  return std::vector<NewFile>{
      {".gitignore",
       "# What is secret. Everything else here is public and belongs into Git.\n"
       "/keys/\n/ca/*.key\n/signed/\n/recovery-secrets.txt\n",
       0644},
      {"keys/root.key", root.Pem(passphrase), 0600},
      {"keys/config.key", config.Pem(passphrase), 0600},
      {"keys/image.key", image.Pem(passphrase), 0600},
      // In the form of age-keygen, which knows no passphrase that we could read.
      {"keys/secrets.key",
       absl::StrCat("# Opens the sealed secrets of cluster ", cluster, ": keep it secret.\n",
                    "# public key: ", recipient, "\n", identity->Text().view(), "\n"),
       0600},
      {"trust.yaml", policy, 0644},
      {"trust.json", sign::ChainToJson(chain), 0644},
      {"ca/ca.crt", *ca_pem, 0644},
      {"ca/ca.key", ca.Pem(passphrase), 0600},
      {"ca/admin.crt", *admin_pem, 0644},
      // Without a passphrase: it only reads and delivers, and every call needs it.
      {"ca/admin.key", admin.Pem(), 0600},
      {"secrets.yaml", *secrets, 0644},
      {"inventory.yaml", NewInventoryText(), 0644},
      // Last: with it the directory is complete.
      {"context.yaml", NewContextText(cluster, recipient), 0644},
  };
}

// What is printed and locked away, made of the files as they lie there now.
absl::StatusOr<std::vector<NewFile>> Sheets(const InitOptions& options) {
  absl::StatusOr<Context> context = LoadContext(JoinPath(options.directory, "context.yaml"));
  if (!context.ok()) return context.status();
  absl::StatusOr<std::string> json = ReadFile(context->trust);
  if (!json.ok()) return json.status();
  absl::StatusOr<v1::TrustChain> chain = sign::ChainFromJson(*json);
  if (!chain.ok()) return chain.status();
  absl::StatusOr<sign::VerifiedChain> trust = sign::VerifyChain(*chain);
  if (!trust.ok()) return trust.status();
  std::vector<NewFile> out;
  for (bool with_secrets : {false, true}) {
    if (with_secrets && !options.with_secrets) continue;
    absl::StatusOr<std::string> sheet =
        RecoverySheet(*context, trust->policy, {.with_secrets = with_secrets, .now = absl::Now()});
    if (!sheet.ok()) return sheet.status();
    out.push_back({with_secrets ? "recovery-secrets.txt" : "recovery.txt", *sheet,
                   static_cast<mode_t>(with_secrets ? 0600 : 0644)});
  }
  return out;
}

void PrintNextSteps(Io& io, const InitOptions& options, const std::vector<NewFile>& files) {
  if (io.json() || io.format == Format::kYaml) {
    nlohmann::ordered_json out;
    out["directory"] = options.directory;
    out["cluster"] = options.cluster;
    out["context"] = JoinPath(options.directory, "context.yaml");
    for (const NewFile& file : files) out["files"].push_back(file.path);
    io.out << (io.json() ? out.dump() + "\n" : JsonToYaml(out.dump()));
    return;
  }
  io.out << "Made " << options.directory << " for cluster " << options.cluster << ":\n";
  for (const NewFile& file : files) {
    io.out << "  " << file.path << (file.mode == 0600 ? "  (secret)" : "") << "\n";
  }
  io.out << "Keep keys/root.key away from this machine: it is needed to change who may sign.\n"
         << "Print " << JoinPath(options.directory, "recovery.txt")
         << ": what each key is for, what losing it means, how to restore. "
         << (options.with_secrets
                 ? "recovery-secrets.txt holds the keys\nthemselves: print it, lock it away, and "
                   "delete it.\n"
                 : "With the keys\nthemselves, to lock away: nodectl trust sheet --with-secrets\n")
         << "Next:\n  export NODECTL_CONTEXT="
         << AbsolutePath(JoinPath(options.directory, "context.yaml"))
         << "\n  noded serve --platform sandbox --root NODE-DIR --listen 127.0.0.1:0 --trust "
         << JoinPath(options.directory, "trust.json")
         << "\n  nodectl pin n1 --node HOST:PORT --fingerprint FINGERPRINT\n"
         << "  nodectl gen config --name n1 --role server > n1.yaml\n";
}

}  // namespace

absl::StatusOr<int> RunInit(Session& session, const InitOptions& options) {
  if (absl::Status s = CheckCluster(options.cluster); !s.ok()) return s;
  if (Exists(options.directory) &&
      (!IsDirectory(options.directory) || !IsEmptyDirectory(options.directory))) {
    return api::Coded(
        absl::StatusCode::kAlreadyExists, "not-empty",
        absl::StrCat(options.directory, " exists and is not empty; nothing was changed"),
        "choose another directory: keys that exist are never overwritten");
  }
  std::string passphrase;
  if (!options.no_passphrase) {
    absl::StatusOr<std::string> chosen = NewPassphrase(session.passphrase());
    if (!chosen.ok()) return chosen.status();
    passphrase = *chosen;
  }
  absl::StatusOr<std::vector<NewFile>> files = Contents(options.cluster, passphrase);
  if (!files.ok()) return files.status();
  for (const char* directory : {"", "keys", "ca"}) {
    const std::string path =
        *directory == '\0' ? options.directory : JoinPath(options.directory, directory);
    mode_t mode = absl::string_view(directory) == "keys" ? 0700 : 0755;
    if (absl::Status s = MakeDirectory(path, mode); !s.ok()) return s;
  }
  for (const NewFile& file : *files) {
    absl::Status s = WriteNewFile(JoinPath(options.directory, file.path), file.text, file.mode);
    if (!s.ok()) return s;
  }
  absl::StatusOr<std::vector<NewFile>> sheets = Sheets(options);
  if (!sheets.ok()) return sheets.status();
  for (const NewFile& file : *sheets) {
    absl::Status s = WriteNewFile(JoinPath(options.directory, file.path), file.text, file.mode);
    if (!s.ok()) return s;
    files->push_back(file);
  }
  if (options.no_passphrase) {
    PrintWarning(session.io(), "the keys have no passphrase: only file permissions protect them");
  }
  PrintNextSteps(session.io(), options, *files);
  return 0;
}

}  // namespace basalt::client
