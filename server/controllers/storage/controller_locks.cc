// Encrypted partitions: what noded-unlock is told. It has the keys; noded has a passphrase of the
// config while it hands that over.
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/controllers/storage/controller_impl.h"
#include "server/unlock/layout.h"

namespace basalt::storage {
namespace {

constexpr absl::Duration kLockLimit = absl::Minutes(3);  // Argon2 on a slow board
constexpr size_t kSaltSize = 16;

const char* KeyWord(v1::KeySource key) {
  return key == v1::KEY_SOURCE_NODE         ? "node"
         : key == v1::KEY_SOURCE_PASSPHRASE ? "passphrase"
                                            : "state";
}

absl::Status Judge(absl::string_view what, const absl::StatusOr<ToolResult>& result) {
  if (!result.ok()) return api::Annotate(result.status(), what);
  if (result->exit_code == unlock::kExitDone) return absl::OkStatus();
  std::string said(absl::StripAsciiWhitespace(result->output));
  said = said.substr(said.rfind('\n') + 1);
  const std::string message = absl::StrCat(what, ": ", said);
  if (result->exit_code == unlock::kExitLocked) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "disk-locked", message,
                      "it is left alone; the passphrase that it was made with opens it, as "
                      "encryption.passphrase");
  }
  if (result->exit_code == unlock::kExitDamaged) {
    return api::Coded(
        absl::StatusCode::kDataLoss, "disk-locked", message,
        "both copies of its LUKS2 header are damaged, or it is of another kind: it is "
        "left alone");
  }
  return api::Coded(absl::StatusCode::kFailedPrecondition, "tool-failed", message,
                    "its output is in the log");
}

}  // namespace

void ControllerImpl::Lock(const VolumePlan& volume, const char* verb, Next next) {
  if (!volume.encrypted()) return next(absl::OkStatus());
  std::vector<std::string> argv = {unlock::kProgram, verb,     "--device",
                                   volume.device,    "--name", volume.mapped_name()};
  if (absl::string_view(verb) == "format") {
    argv.insert(argv.end(), {"--key", KeyWord(volume.key)});
  }
  if (volume.key != v1::KEY_SOURCE_NODE) {
    argv.insert(argv.end(), {"--state-key", deps_.vfs.Absolute(kStateKeyPath), "--make-state-key"});
  }
  std::string secret = secrets_.Of(volume.name);
  if (!secret.empty()) argv.insert(argv.end(), {"--passphrase-fd", "3"});
  const bool made = absl::string_view(verb) == "format" && !secret.empty();
  const std::string digest =
      made ? DigestOf(absl::BytesToHexString(deps_.random.Bytes(kSaltSize)), secret) : "";
  parts_.tools->Run(std::move(argv), std::move(secret), kLockLimit,
                    [this, volume, verb = std::string(verb), digest,
                     next = std::move(next)](absl::StatusOr<ToolResult> result) {
                      absl::Status status = Judge(absl::StrCat(verb, " ", volume.device), result);
                      if (status.ok() && !digest.empty()) {
                        Applied applied = LoadApplied(deps_.vfs);
                        applied[volume.name] = digest;
                        status = StoreApplied(deps_.vfs, applied);
                      }
                      next(std::move(status));
                    });
}

void ControllerImpl::CloseAll(std::vector<std::string> names, Next next) {
  if (names.empty()) return next(absl::OkStatus());
  const std::string name = names.back();
  names.pop_back();
  parts_.tools->Run(
      {unlock::kProgram, "close", "--name", name}, "", kLockLimit,
      [this, names = std::move(names), next = std::move(next)](const absl::StatusOr<ToolResult>&) {
        // Ignoring what fails: it is in use still, and the condition says so.
        CloseAll(names, next);
      });
}

void ControllerImpl::DoPassphrases(uint64_t epoch, std::deque<Passphrase> rest, engine::Done done) {
  if (rest.empty()) return DoSwap(epoch, std::move(done));
  const Passphrase one = rest.front();
  rest.pop_front();
  std::string secret = secrets_.Of(one.from);
  std::vector<std::string> argv = {unlock::kProgram, "passphrase",
                                   "--device",       one.device,
                                   "--state-key",    deps_.vfs.Absolute(kStateKeyPath)};
  if (!secret.empty()) argv.insert(argv.end(), {"--passphrase-fd", "3"});
  const std::string digest =
      secret.empty() ? "" : DigestOf(absl::BytesToHexString(deps_.random.Bytes(kSaltSize)), secret);
  Next next = Guarded(epoch, done, [this, epoch, rest = std::move(rest), done] {
    DoPassphrases(epoch, rest, done);
  });
  parts_.tools->Run(std::move(argv), std::move(secret), kLockLimit,
                    [this, one, digest, next = std::move(next)](absl::StatusOr<ToolResult> result) {
                      absl::Status status =
                          Judge(absl::StrCat("the passphrase of ", one.name), result);
                      if (status.ok()) {
                        Applied applied = LoadApplied(deps_.vfs);
                        applied.erase(one.name);
                        if (!digest.empty()) applied[one.name] = digest;
                        status = StoreApplied(deps_.vfs, applied);
                      }
                      next(std::move(status));
                    });
}

}  // namespace basalt::storage
