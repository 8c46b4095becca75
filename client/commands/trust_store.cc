#include "client/commands/trust_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/openssh_key.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::client {
namespace {

// One nodectl at a time writes below a directory, until it is destroyed.
class DirectoryLock {
 public:
  // Waits for the other. Ignoring a failure: on a file system without locks the chain is still
  // compared before it is written.
  explicit DirectoryLock(const std::string& directory)
      : fd_(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    while (fd_ >= 0 && flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~DirectoryLock() {
    if (fd_ >= 0) close(fd_);
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  const int fd_;
};

bool IsChain(absl::string_view text) {
  return absl::StartsWith(absl::StripLeadingAsciiWhitespace(text), "[");
}

// Is what stands in trust.yaml one of the versions, so that nothing of a person's is lost?
bool IsOurs(const std::string& text, const v1::TrustChain& chain) {
  for (const v1::SignedDocument& version : chain.policies()) {
    if (version.payload() == text) return true;
  }
  return false;
}

absl::Status KeepText(Session& session, const Context& context, const v1::TrustChain& chain) {
  const std::string file = PolicyFile(context);
  const std::string& text = chain.policies(chain.policies_size() - 1).payload();
  if (Exists(file)) {
    absl::StatusOr<std::string> old = ReadFile(file);
    if (!old.ok()) return old.status();
    if (*old == text) return absl::OkStatus();
    if (!IsOurs(*old, chain)) {
      PrintWarning(session.io(),
                   absl::StrCat(file,
                                " was edited and is left as it is; the policy in force "
                                "stands in ",
                                context.trust, ": nodectl trust show -o yaml"));
      return absl::OkStatus();
    }
  }
  return Exists(file) ? EditFileAtomically(file, text) : WriteNewFile(file, text, 0644);
}

}  // namespace

std::string NextFile(const Context& context) {
  return JoinPath(DirectoryOf(context.trust), "trust.next.json");
}

std::string PolicyFile(const Context& context) {
  return JoinPath(DirectoryOf(context.trust), "trust.yaml");
}

absl::StatusOr<v1::TrustPolicy> CurrentPolicy(Session& session) {
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  const auto& versions = (*trust)->chain.policies();
  return validate::LoadAcceptedTrustPolicy(versions[versions.size() - 1].payload());
}

std::string PolicyText(const v1::TrustPolicy& policy) {
  return absl::StrCat(
      "# Who may sign what in this cluster. trust.json is what nodes are given: this text, signed "
      "by\n"
      "# root keys. `nodectl trust` makes the next version; `nodectl trust show` tells it in "
      "words.\n",
      yaml::Emit(policy));
}

absl::StatusOr<std::optional<v1::SignedDocument>> PendingNext(Session& session) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  const std::string file = NextFile(**context);
  if (!Exists(file)) return std::nullopt;
  absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return text.status();
  absl::StatusOr<v1::SignedDocument> next = sign::FromDsseJson(*text);
  if (!next.ok()) return api::InFile(next.status(), file);
  absl::StatusOr<v1::TrustPolicy> policy = validate::LoadAcceptedTrustPolicy(next->payload());
  if (!policy.ok()) return api::InFile(policy.status(), file);
  if (policy->version() <= (*trust)->policy.version()) return std::nullopt;
  return *std::move(next);
}

absl::StatusOr<v1::TrustChain> ReadChain(const std::string& file) {
  absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return text.status();
  if (IsChain(*text)) {
    absl::StatusOr<v1::TrustChain> chain = sign::ChainFromJson(*text);
    if (!chain.ok()) return api::InFile(chain.status(), file);
    return chain;
  }
  absl::StatusOr<v1::SignedDocument> version = sign::FromDsseJson(*text);
  if (!version.ok()) return api::InFile(version.status(), file);
  v1::TrustChain chain;
  *chain.add_policies() = *std::move(version);
  return chain;
}

absl::StatusOr<sign::VerifiedChain> Adopt(Session& session, const v1::TrustChain& update) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  absl::StatusOr<sign::VerifiedChain> next = sign::ExtendChain(**trust, update);
  if (!next.ok()) return next.status();
  if (next->policy.version() == (*trust)->policy.version()) return next;
  // Another nodectl may have been quicker: what it wrote must not become a fork, which no node that
  // has the other branch would ever follow.
  const DirectoryLock lock(DirectoryOf((*context)->trust));
  absl::StatusOr<v1::TrustChain> now = ReadChain((*context)->trust);
  if (!now.ok()) return now.status();
  if (now->policies_size() != (*trust)->chain.policies_size()) {
    return api::Coded(
        absl::StatusCode::kAborted, "changed-meanwhile",
        absl::StrCat((*context)->trust, " was changed meanwhile; nothing was written"),
        "nodectl trust show, then once more");
  }
  absl::Status written = EditFileAtomically((*context)->trust, sign::ChainToJson(next->chain));
  if (!written.ok()) return written;
  if (absl::Status s = KeepText(session, **context, next->chain); !s.ok()) return s;
  absl::StatusOr<std::optional<v1::SignedDocument>> pending = PendingNext(session);
  // It was this version, or another one of the same number that can follow no more.
  if (pending.ok() && *pending) {
    absl::StatusOr<v1::TrustPolicy> policy =
        validate::LoadAcceptedTrustPolicy((*pending)->payload());
    if (policy.ok() && policy->version() <= next->policy.version()) {
      if (absl::Status s = RemoveFile(NextFile(**context)); !s.ok()) return s;
    }
  }
  return next;
}

std::optional<KeyFile> FindKeyFile(const Context& context, const v1::TrustKey& key) {
  const std::string path = JoinPath(DirectoryOf(context.key), key.name() + ".key");
  if (!Exists(path)) return std::nullopt;
  absl::StatusOr<std::string> text = ReadFile(path, 64 << 10);
  // Ignoring: a file that cannot be read is none that could sign.
  if (!text.ok()) return std::nullopt;
  absl::StatusOr<sign::PrivateKey> half = sign::LooksLikeOpenSshKey(*text)
                                              ? sign::ReadOpenSshKey(*text)
                                              : sign::PrivateKey::FromPem(*text);
  if (!half.ok()) {
    if (api::Reason(half.status()) != "passphrase-needed") return std::nullopt;
    return KeyFile{path, false};
  }
  absl::StatusOr<sign::PublicKey> known = sign::PublicKey::Parse(key.public_key());
  if (!known.ok() || known->raw() != half->public_key().raw()) return std::nullopt;
  return KeyFile{path, true};
}

}  // namespace basalt::client
