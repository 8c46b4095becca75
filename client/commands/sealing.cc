#include "client/commands/sealing.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/context/files.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::client {
namespace {

constexpr size_t kMaxKeyFile = 64 << 10;

}  // namespace

bool RandomBytes(uint8_t* out, size_t size) { return RAND_bytes(out, static_cast<int>(size)) == 1; }

absl::StatusOr<std::vector<seal::Recipient>> LoadRecipients(Session& session,
                                                            const std::vector<std::string>& texts,
                                                            const std::vector<std::string>& files) {
  std::vector<seal::Recipient> out;
  auto add = [&out](const std::vector<std::string>& all, const std::string& where) {
    for (const std::string& text : all) {
      absl::StatusOr<seal::Recipient> one = seal::Recipient::Parse(text);
      if (!one.ok()) return api::Annotate(one.status(), where);
      out.push_back(*std::move(one));
    }
    return absl::OkStatus();
  };
  if (absl::Status s = add(texts, "--recipient"); !s.ok()) return s;
  for (const std::string& file : files) {
    absl::StatusOr<std::string> text = ReadFile(file, kMaxKeyFile);
    if (!text.ok()) return text.status();
    absl::StatusOr<std::vector<seal::Recipient>> all = seal::ParseRecipients(*text, file);
    if (!all.ok()) return all.status();
    for (seal::Recipient& one : *all) out.push_back(std::move(one));
  }
  if (!texts.empty() || !files.empty()) return out;
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  if (absl::Status s = add((*context)->recipients, (*context)->path); !s.ok()) return s;
  if (out.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "no-recipients",
                      absl::StrCat((*context)->path, " lists no recipients"),
                      absl::StrCat("`age-keygen -o ", (*context)->identity,
                                   "` makes an identity; put its public key there as\n"
                                   "recipients:\n  - age1..."));
  }
  return out;
}

absl::StatusOr<std::vector<seal::Identity>> LoadIdentities(Session& session,
                                                           const std::vector<std::string>& files) {
  std::vector<std::string> paths = files;
  if (paths.empty()) {
    absl::StatusOr<const Context*> context = session.context();
    if (!context.ok()) return context.status();
    paths.push_back((*context)->identity);
  }
  std::vector<seal::Identity> out;
  for (const std::string& path : paths) {
    absl::StatusOr<std::string> text = ReadFile(path, kMaxKeyFile);
    if (!text.ok()) {
      return api::Coded(text.status().code(), api::Reason(text.status()), text.status().message(),
                        "--identity FILE names what opens sealed secrets");
    }
    absl::StatusOr<std::vector<seal::Identity>> all = seal::ParseIdentities(*text, path);
    OPENSSL_cleanse(text->data(), text->size());
    if (!all.ok()) return all.status();
    for (seal::Identity& one : *all) out.push_back(std::move(one));
  }
  return out;
}

absl::Status CheckSecretValue(absl::string_view value) {
  if (value.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "empty-value", "the value is empty");
  }
  // What a config can hold is what is written and read back.
  v1::MachineConfig config, again;
  config.mutable_k3s()->mutable_token()->set_plain(std::string(value));
  if (yaml::Decode(yaml::Emit(config), "", again).ok() && again.k3s().token().plain() == value) {
    return absl::OkStatus();
  }
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-value",
                    "a config cannot hold the value: it is not UTF-8, or has characters that "
                    "nobody sees",
                    "encode it, e.g. with base64, if its reader can decode it");
}

seal::FieldContext FieldOf(const v1::MachineConfig& config, const std::string& path) {
  return {.cluster = config.metadata().cluster(), .name = config.metadata().name(), .path = path};
}

absl::Status OpenSealed(Session& session, const std::vector<std::string>& identity_files,
                        Input& input, Document& document) {
  if (document.is_signed || SealedSecrets(document.config).empty()) return absl::OkStatus();
  absl::StatusOr<std::vector<seal::Identity>> identities = LoadIdentities(session, identity_files);
  if (!identities.ok()) return api::Annotate(identities.status(), document.file);
  v1::MachineConfig again;
  const yaml::SourceMap source = yaml::Decode(input.text, input.file, again).source;
  std::vector<api::Violation> wrong;
  VisitSecrets(document.config, [&](const std::string& path, v1::Secret& secret) {
    if (!secret.has_sealed()) return;
    absl::StatusOr<seal::SecretBytes> value =
        seal::OpenField(FieldOf(document.config, path), secret.sealed(), *identities);
    const absl::Status status = value.ok() ? CheckSecretValue(value->view()) : value.status();
    if (status.ok()) return secret.set_plain(std::string(value->view()));
    auto at = source.find(path);
    const yaml::Position position = at == source.end() ? yaml::Position{} : at->second;
    wrong.push_back({.reason = api::Reason(status),
                     .file = input.file,
                     .line = position.line,
                     .column = position.column,
                     .path = path,
                     .message = std::string(status.message()),
                     .hint = api::Hint(status)});
  });
  if (!wrong.empty()) {
    std::sort(wrong.begin(), wrong.end(),
              [](const api::Violation& a, const api::Violation& b) { return a.line < b.line; });
    return api::Invalid(wrong);
  }
  input.text = yaml::Emit(document.config);
  return absl::OkStatus();
}

absl::Status RefuseSealed(const Document& document, bool allow_plaintext) {
  if (document.is_signed || allow_plaintext) return absl::OkStatus();
  const std::vector<std::string> paths = SealedSecrets(document.config);
  if (paths.empty()) return absl::OkStatus();
  return api::Coded(
      absl::StatusCode::kFailedPrecondition, "sealed-unsupported",
      absl::StrCat(document.file, " holds sealed secrets, which nodes cannot open yet: ",
                   absl::StrJoin(paths, ", ")),
      "--allow-plaintext opens them with your identity and signs them in the clear; "
      "whoever reads the signed file reads them");
}

}  // namespace basalt::client
