#include "client/context/context.h"

#include <stdlib.h>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/context/files.h"
#include "client/context/flat_yaml.h"

namespace basalt::client {

std::string Context::SignedFile(absl::string_view node, int64_t generation) const {
  return JoinPath(JoinPath(signed_directory, node), absl::StrCat(generation, ".json"));
}

absl::StatusOr<Context> LoadContext(const std::string& flag) {
  std::string path = flag;
  if (path.empty()) {
    const char* env = getenv("NODECTL_CONTEXT");
    if (env != nullptr) path = env;
  }
  if (path.empty()) {
    return api::Coded(absl::StatusCode::kNotFound, "no-context",
                      "no context: nothing says where keys, trust and inventory are",
                      "export NODECTL_CONTEXT=DIR/context.yaml, give --context, or make one with "
                      "`nodectl init DIR --cluster NAME`");
  }
  if (IsDirectory(path)) path = JoinPath(path, "context.yaml");  // what `nodectl init` made
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) {
    return api::Coded(text.status().code(), api::Reason(text.status()), text.status().message(),
                      "NODECTL_CONTEXT or --context name it; `nodectl init DIR --cluster NAME` "
                      "makes a new one");
  }
  absl::StatusOr<FlatFile> file = ReadFlatYaml(*text, path, "recipients", ListOf::kTexts);
  if (!file.ok()) return file.status();

  Context out;
  out.path = path;
  out.directory = DirectoryOf(path);
  struct Known {
    const char* key;
    std::string* value;
    const char* fallback;
  };
  const Known paths[] = {
      {"inventory", &out.inventory, "inventory.yaml"},
      {"trust", &out.trust, "trust.json"},
      {"secrets", &out.secrets, "secrets.yaml"},
      {"key", &out.key, "keys/config.key"},
      {"ca", &out.ca, "ca/ca.crt"},
      {"certificate", &out.certificate, "ca/admin.crt"},
      {"certificateKey", &out.certificate_key, "ca/admin.key"},
      {"signed", &out.signed_directory, "signed"},
      {"identity", &out.identity, "keys/secrets.key"},
  };
  for (const Known& known : paths) {
    const std::string* value = file->top.Find(known.key);
    *known.value = JoinPath(out.directory, value == nullptr ? known.fallback : *value);
  }
  std::vector<api::Violation> errors;
  for (const FlatEntry& entry : file->top.entries) {
    bool known = entry.key == "cluster";
    for (const Known& k : paths) known = known || entry.key == k.key;
    if (!known) {
      errors.push_back({.reason = "unknown-field",
                        .file = path,
                        .line = entry.line,
                        .column = 1,
                        .path = entry.key,
                        .message = "unknown field of a context"});
    }
  }
  if (!errors.empty()) return api::Invalid(errors);
  const std::string* cluster = file->top.Find("cluster");
  if (cluster == nullptr || cluster->empty()) {
    return api::Invalid({{.reason = "required",
                          .file = path,
                          .line = 1,
                          .column = 1,
                          .path = "cluster",
                          .message = "a context names its cluster"}});
  }
  out.cluster = *cluster;
  for (const FlatEntry& recipient : file->texts) out.recipients.push_back(recipient.value);
  return out;
}

std::string NewContextText(absl::string_view cluster, absl::string_view recipient) {
  return absl::StrCat(
      "# Where nodectl finds what belongs to this cluster. Paths are relative to this file.\n"
      "cluster: ",
      QuoteYaml(cluster),
      "\n"
      "inventory: inventory.yaml\n"
      "trust: trust.json\n"
      "secrets: secrets.yaml\n"
      "# Signs configs when --key is not given.\n"
      "key: keys/config.key\n"
      "# What nodectl shows to nodes, and the authority whose nodes it believes.\n"
      "ca: ca/ca.crt\n"
      "certificate: ca/admin.crt\n"
      "certificateKey: ca/admin.key\n"
      "# Copies of what was signed, for `nodectl rollback`. Their secrets are sealed to the node "
      "and to\n"
      "# the recipients below.\n"
      "signed: signed\n"
      "# Whom `nodectl seal` seals secrets to, a line for each person who may open them; and the\n"
      "# identity that opens them here.\n"
      "recipients:\n  - ",
      recipient,
      "\n"
      "identity: keys/secrets.key\n");
}

}  // namespace basalt::client
