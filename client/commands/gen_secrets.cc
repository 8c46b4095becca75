// nodectl gen secrets: the tokens of a cluster, made, rotated and sealed anew.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/cluster_secrets.h"
#include "client/commands/commands.h"
#include "client/commands/sealing.h"
#include "client/commands/tokens.h"
#include "client/context/files.h"
#include "client/context/flat_yaml.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/yaml/decode.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

struct Change {
  std::string name;
  seal::SecretBytes value;
  const char* what = "";
};

// What is missing, what shall be rotated, what is to be sealed anew.
absl::StatusOr<std::vector<Change>> Changes(Session& session, const GenSecretsOptions& options,
                                            const std::string& file,
                                            const std::vector<ClusterSecret>& present) {
  std::vector<Change> out;
  for (const ClusterSecret& secret : present) {
    const bool rotate = std::find(options.rotate.begin(), options.rotate.end(), secret.name) !=
                        options.rotate.end();
    if (secret.text.empty() || rotate) {
      absl::StatusOr<seal::SecretBytes> token = NewToken();
      if (!token.ok()) return token.status();
      out.push_back({secret.name, *std::move(token), secret.text.empty() ? "made" : "rotated"});
    } else if (options.reseal) {
      absl::StatusOr<seal::SecretBytes> value = OpenClusterSecret(session, file, secret);
      if (!value.ok()) return value.status();
      out.push_back({secret.name, *std::move(value), "kept"});
    }
  }
  return out;
}

// Easily mistaken for it: a config, whose tokens are fields. Nothing is written into such a file.
absl::Status CheckIsSecrets(const std::string& text, const std::string& file) {
  const yaml::Header header = yaml::PeekHeader(text);
  std::string found = header.kind;
  if (found.empty()) {
    absl::StatusOr<FlatFile> flat = ReadFlatYaml(text, file);
    if (!flat.ok()) return absl::OkStatus();  // said with its lines when it is read
    for (const FlatEntry& entry : flat->top.entries) {
      const auto& known = ClusterSecretNames();
      if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
      found = absl::StrCat("file with `", entry.key, "`");
      break;
    }
  }
  if (found.empty()) return absl::OkStatus();
  const bool config = header.kind == "MachineConfig";
  return api::WithDetail(
      api::Coded(absl::StatusCode::kInvalidArgument, "not-secrets",
                 absl::StrCat(file, " is a ", found, ", not the tokens of a cluster (`server`, ",
                              "`agent`); nothing was changed"),
                 config ? absl::StrCat("without -f it is secrets.yaml of the context; one token of "
                                       "this config is replaced by `nodectl seal -f ",
                                       file, " k3s.token`")
                        : "without -f it is secrets.yaml of the context"),
      "file", file);
}

nlohmann::ordered_json Json(const std::string& file, const std::vector<Change>& changes,
                            size_t recipients) {
  nlohmann::ordered_json out{{"file", file}, {"secrets", nlohmann::ordered_json::array()}};
  for (const Change& change : changes) {
    out["secrets"].push_back({{"name", change.name},
                              {"what", change.what},
                              {"sealed", recipients > 0},
                              {"recipients", recipients}});
  }
  return out;
}

void Print(Io& io, const nlohmann::ordered_json& out) {
  if (io.json()) io.out << out.dump() << "\n";
  if (io.format == Format::kYaml) io.out << JsonToYaml(out.dump());
}

void SayWhatFollows(Io& io, const GenSecretsOptions& options) {
  for (const std::string& name : options.rotate) {
    if (name == "server") {
      PrintWarning(io,
                   "K3s keeps the server token that its datastore was made with: on the servers of "
                   "a cluster that exists rotate it with `k3s token rotate`, and keep the old one "
                   "for old snapshots");
    } else {
      PrintWarning(io,
                   "configs that were made before still hold the old agent token: change "
                   "k3s.agentToken in that of every server first, then in those of the agents");
    }
  }
}

}  // namespace

absl::StatusOr<int> RunGenSecrets(Session& session, const GenSecretsOptions& options) {
  Io& io = session.io();
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  const std::string file = options.file.empty() ? (*context)->secrets : options.file;
  const bool is_new = !Exists(file);
  std::string text = NewClusterSecretsText((*context)->cluster);
  if (!is_new) {
    absl::StatusOr<std::string> old = ReadFile(file);
    if (!old.ok()) return old.status();
    text = *std::move(old);
    if (absl::Status s = CheckIsSecrets(text, file); !s.ok()) return s;
  }
  absl::StatusOr<std::vector<ClusterSecret>> present = ReadClusterSecrets(text, file);
  if (!present.ok()) return present.status();
  absl::StatusOr<std::vector<Change>> changes = Changes(session, options, file, *present);
  if (!changes.ok()) return changes.status();
  if (changes->empty()) {
    io.err << file << ": nothing is missing\n";
    for (const ClusterSecret& secret : *present) {
      if (secret.sealed || options.plain) continue;
      io.err << "  " << secret.name << " stands in the clear: --reseal seals it\n";
    }
    Print(io, Json(file, {}, 0));
    return 0;
  }
  std::vector<seal::Recipient> recipients;
  if (!options.plain) {
    absl::StatusOr<std::vector<seal::Recipient>> all = LoadRecipients(session, {}, {});
    if (!all.ok()) return all.status();
    recipients = *std::move(all);
  }
  for (const Change& change : *changes) {
    std::string value(change.value.view());
    if (!options.plain) {
      absl::StatusOr<std::string> armored = seal::SealField(
          ClusterSecretField((*context)->cluster, change.name), value, recipients, RandomBytes);
      if (!armored.ok()) return armored.status();
      value = *std::move(armored);
    }
    absl::StatusOr<std::string> edited = PutClusterSecret(text, file, change.name, value);
    if (!edited.ok()) return edited.status();
    text = *std::move(edited);
  }
  absl::Status written = is_new ? WriteNewFile(file, text, 0600) : EditFileAtomically(file, text);
  if (!written.ok()) return written;
  for (const Change& change : *changes) {
    io.err << change.name << ": " << change.what << ", ";
    if (options.plain) {
      io.err << "in the clear";
    } else {
      io.err << "sealed to " << recipients.size()
             << (recipients.size() == 1 ? " recipient" : " recipients");
    }
    io.err << ": " << file << "\n";
  }
  SayWhatFollows(io, options);
  Print(io, Json(file, *changes, recipients.size()));
  return 0;
}

}  // namespace basalt::client
