#include "client/commands/sealing.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/recipients.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/seal/config.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/decode.h"

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
      if (!one.ok() && where[0] == '-') return api::Annotate(one.status(), where);  // a flag
      if (!one.ok()) return api::InFile(one.status(), where);
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

absl::Status OpenSealed(Session& session, const std::vector<std::string>& identity_files,
                        const Input& input, Document& document) {
  if (document.is_signed || !schema::HasSealedSecrets(document.config)) return absl::OkStatus();
  absl::StatusOr<std::vector<seal::Identity>> identities = LoadIdentities(session, identity_files);
  if (!identities.ok()) return api::InFile(identities.status(), document.file);
  v1::MachineConfig again;
  const yaml::SourceMap source = yaml::Decode(input.text, input.file, again).source;
  std::vector<api::Violation> wrong = seal::OpenSecrets(document.config, *identities);
  if (!wrong.empty()) {
    for (api::Violation& violation : wrong) {
      violation.file = input.file;
      auto at = source.find(violation.path);
      if (at == source.end()) continue;
      violation.line = at->second.line;
      violation.column = at->second.column;
    }
    std::sort(wrong.begin(), wrong.end(),
              [](const api::Violation& a, const api::Violation& b) { return a.line < b.line; });
    return api::Invalid(wrong);
  }
  // What a token may look like could not be judged while it was closed.
  validate::Findings findings =
      validate::Validate(document.config, validate::Stage::kSource, source, input.file);
  if (!findings.ok()) return api::Invalid(findings.errors);
  return absl::OkStatus();
}

absl::Status OpenSealedIfAble(Session& session, const std::vector<std::string>& identity_files,
                              const Input& input, Document& document) {
  if (identity_files.empty() && !document.is_signed) {
    absl::StatusOr<const Context*> context = session.context();
    if (!context.ok()) return context.status();
    if (!Exists((*context)->identity)) {
      if (schema::HasSealedSecrets(document.config)) {
        PrintWarning(session.io(),
                     absl::StrCat(document.file, ": its secrets stay sealed and are not compared: ",
                                  (*context)->identity, " is not there"));
      }
      return absl::OkStatus();
    }
  }
  return OpenSealed(session, identity_files, input, document);
}

bool OpenForComparison(Session& session, const std::vector<std::string>& identity_files,
                       v1::MachineConfig& config) {
  if (!schema::HasSealedSecrets(config)) return true;
  absl::StatusOr<std::vector<seal::Identity>> identities = LoadIdentities(session, identity_files);
  return identities.ok() && seal::OpenSecrets(config, *identities).empty();
}

absl::Status SealForNode(Session& session, const std::string& file, const InventoryNode* node,
                         const std::optional<v1::HelloReply>& hello, bool allow_plaintext,
                         v1::MachineConfig& config) {
  std::vector<std::string> clear = schema::PlaintextSecrets(config);
  if (clear.empty()) return absl::OkStatus();
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  const std::string& name = config.metadata().name();
  std::string recipient;
  if (node != nullptr) {
    absl::StatusOr<std::string> known = RecipientOf(session, *node, hello);
    if (!known.ok()) return known.status();
    recipient = *known;
  }
  if (!recipient.empty()) {
    absl::StatusOr<std::vector<seal::Recipient>> recipients = RecipientsFor(session, recipient);
    if (!recipients.ok()) return recipients.status();
    absl::Status sealed = seal::SealSecrets(config, *recipients, RandomBytes);
    if (!sealed.ok()) return api::InFile(sealed, file);
    clear = schema::PlaintextSecrets(config);
    if (clear.empty()) return absl::OkStatus();
  }
  const std::string paths = absl::StrJoin(clear, ", ");
  const bool forbidden = !sign::CheckPlaintext((*trust)->policy, config).ok();
  if (!forbidden && allow_plaintext) {
    PrintWarning(session.io(), absl::StrCat(file, ": signed in the clear: ", paths));
    return absl::OkStatus();
  }
  const std::string pin = absl::StrCat(
      "nodectl pin ", name, node == nullptr ? " --node HOST:PORT --fingerprint FINGERPRINT" : "");
  if (recipient.empty()) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kFailedPrecondition, "no-recipient",
                   absl::StrCat(file, " holds secrets, and nothing says whom those of ", name,
                                " are sealed to: ", paths),
                   absl::StrCat(pin, " asks the node and records it",
                                forbidden ? "; the trust policy accepts sealed secrets alone"
                                          : "; or --allow-plaintext signs them in the clear")),
        "file", file);
  }
  return api::Coded(
      absl::StatusCode::kFailedPrecondition,
      forbidden ? "plaintext-forbidden" : "plaintext-secrets",
      absl::StrCat(file, " holds secrets where they cannot be sealed: ", paths),
      forbidden ? "the trust policy accepts sealed secrets alone: use the fields of their own, "
                  "which take !sealed (nodectl explain k3s), or set allowPlaintextSecrets"
                : "use the fields of their own, which take !sealed (nodectl explain k3s); or "
                  "--allow-plaintext signs them as they are");
}

}  // namespace basalt::client
