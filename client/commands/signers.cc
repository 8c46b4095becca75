#include "client/commands/signers.h"

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "client/commands/child.h"
#include "client/context/files.h"
#include "client/context/passphrase.h"
#include "client/context/ssh_agent.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/detached.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/sshsig.h"

namespace basalt::client {
namespace {

// A person may have to find a card and type its number.
constexpr absl::Duration kSignCommandTimeout = absl::Minutes(5);
constexpr size_t kMaxSignCommandOutput = 64 << 10;
constexpr size_t kMaxSignatureFile = 64 << 10;
constexpr absl::string_view kSshKeygenPrefix = "ssh-keygen:";

absl::Status CommandFailed(const SigningOptions& options, absl::string_view what) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, "sign-command",
                    absl::StrCat("--sign-command `", options.sign_command, "`: ", what),
                    "it gets the bytes to sign on standard input, and writes the signature, raw or "
                    "in base64, on standard output");
}

absl::Status SignByCommand(const SigningOptions& options, v1::SignedDocument& document) {
  if (options.sign_public_key.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "sign-command",
                      "--sign-command needs --sign-public-key",
                      "the public half of the key with which it signs: PEM, OpenSSH or minisign");
  }
  absl::StatusOr<std::string> text = ReadFile(options.sign_public_key, kMaxSignatureFile);
  if (!text.ok()) return text.status();
  absl::StatusOr<sign::PublicKey> key = sign::PublicKey::Parse(*text);
  if (!key.ok()) return api::InFile(key.status(), options.sign_public_key);
  absl::StatusOr<std::string> signature = RunFilter(
      options.sign_command, sign::Pae(sign::PayloadType(document.type()), document.payload()),
      kSignCommandTimeout, kMaxSignCommandOutput);
  if (!signature.ok()) return CommandFailed(options, signature.status().message());
  if (sign::AddSignatureOf(document, *key, *signature)) return absl::OkStatus();
  absl::StatusOr<std::string> decoded = Base64DecodeStrict(
      absl::StrReplaceAll(absl::StripAsciiWhitespace(*signature), {{"\r", ""}, {"\n", ""}}));
  if (decoded.ok() && sign::AddSignatureOf(document, *key, *decoded)) return absl::OkStatus();
  return CommandFailed(
      options, absl::StrCat("the ", signature->size(), " bytes it wrote are no signature of ",
                            options.sign_public_key, " over this document"));
}

// As the shell takes it for one word.
std::string ShellWord(absl::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

constexpr absl::string_view kKeyHint =
    "--key takes the file of a private key; ssh-keygen:FILE where ssh-keygen shall open it "
    "(`--key ssh-keygen:~/.ssh/id_ed25519`, or FILE.pub when ssh-agent holds the key); "
    "ssh-agent:SHA256:... for a key of the agent, as `ssh-add -l` names it";

// ssh-keygen asks for a passphrase or a touch itself, on the terminal or with SSH_ASKPASS.
absl::Status SignBySshKeygen(absl::string_view key, v1::SignedDocument& document) {
  std::string path(key);
  const char* home = getenv("HOME");
  if (absl::StartsWith(path, "~/") && home != nullptr) path = absl::StrCat(home, path.substr(1));
  // Else ssh-keygen says so in its own words, and may hang on what is no file.
  if (!Exists(path) || IsDirectory(path)) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kNotFound, "no-such-file",
                   absl::StrCat("--key ", kSshKeygenPrefix, key, ": there is no file ", path),
                   kKeyHint),
        "file", path);
  }
  const std::string command = absl::StrCat(
      "ssh-keygen -q -Y sign -n ", sign::SshNamespace(document.type()), " -f ", ShellWord(path));
  absl::StatusOr<std::string> text =
      RunFilter(command, document.payload(), kSignCommandTimeout, kMaxSignCommandOutput);
  absl::StatusOr<v1::Signature> signature =
      text.ok() ? sign::ReadDetachedSignature(*text) : absl::StatusOr<v1::Signature>(text.status());
  if (!signature.ok()) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "ssh-keygen",
                      absl::StrCat("ssh-keygen made no signature with ", path, ": ",
                                   signature.status().message()),
                      "what it said stands above; without a terminal SSH_ASKPASS gives the "
                      "passphrase, or ssh-add the key and use --key ssh-agent:");
  }
  *document.add_signatures() = *std::move(signature);
  return absl::OkStatus();
}

}  // namespace

absl::Status AddSignatures(Session& session, const SigningOptions& options,
                           v1::SignedDocument& document) {
  std::vector<std::string> paths = options.keys;
  if (paths.empty() && options.sign_command.empty()) {
    absl::StatusOr<const Context*> context = session.context();
    if (!context.ok()) return context.status();
    paths.push_back((*context)->key);
  }
  if (options.sign_command.empty() && !options.sign_public_key.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "sign-command",
                      "--sign-public-key without --sign-command signs nothing",
                      "keys in files sign with --key");
  }
  for (absl::string_view path : paths) {
    if (absl::ConsumePrefix(&path, kAgentPrefix)) {
      if (absl::Status s = AddAgentSignature(path, document); !s.ok()) return s;
      continue;
    }
    if (absl::ConsumePrefix(&path, kSshKeygenPrefix)) {
      if (absl::Status s = SignBySshKeygen(path, document); !s.ok()) return s;
      continue;
    }
    absl::StatusOr<sign::PrivateKey> key = LoadKey(std::string(path), session.passphrase());
    if (!key.ok() && !options.keys.empty() && absl::IsNotFound(key.status())) {
      return api::WithDetail(api::Coded(key.status().code(), api::Reason(key.status()),
                                        absl::StrCat("--key: ", key.status().message()), kKeyHint),
                             "file", path);
    }
    if (!key.ok()) return key.status();
    sign::AddSignature(document, *key);
  }
  if (options.sign_command.empty()) return absl::OkStatus();
  return SignByCommand(options, document);
}

absl::Status AttachSignatures(const std::vector<std::string>& files, v1::SignedDocument& document) {
  for (const std::string& file : files) {
    absl::StatusOr<std::string> text = ReadFile(file, kMaxSignatureFile);
    if (!text.ok()) return text.status();
    absl::StatusOr<v1::Signature> signature = sign::ReadDetachedSignature(*text);
    if (!signature.ok()) return api::InFile(signature.status(), file);
    *document.add_signatures() = *std::move(signature);
  }
  return absl::OkStatus();
}

}  // namespace basalt::client
