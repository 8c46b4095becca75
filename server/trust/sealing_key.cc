#include "server/trust/sealing_key.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/vouching.h"

namespace basalt::trust {
namespace {

constexpr char kKeyFile[] = "state/sealing.key";
constexpr char kMediumFile[] = "state/medium.key";
constexpr char kDamagedFile[] = "state/sealing.key.damaged";
constexpr size_t kMaxKeyFile = 64 << 10;

bool FromOpenSsl(uint8_t* out, size_t size) { return RAND_bytes(out, static_cast<int>(size)) == 1; }

absl::Status Store(host::Vfs& vfs, const seal::Identity& key) {
  const seal::SecretBytes text = key.Text();
  std::string file =
      absl::StrCat("# public key: ", key.recipient().Text(), "\n", text.view(), "\n");
  absl::Status status = vfs.MakeDirs("state", 0700);
  if (status.ok()) status = vfs.Replace(kKeyFile, file, 0600);
  OPENSSL_cleanse(file.data(), file.size());
  return status.ok() ? status : api::Annotate(status, "storing the new sealing key");
}

}  // namespace

SealingKey::SealingKey(seal::Identity key, host::Vfs& vfs, const Identity& identity) {
  std::vector<seal::Identity> keys;
  keys.push_back(std::move(key));
  // One that cannot be read opens nothing, and what it would have opened is said where that is
  // tried.
  if (absl::StatusOr<std::string> text = vfs.Read(kMediumFile, kMaxKeyFile); text.ok()) {
    absl::StatusOr<std::vector<seal::Identity>> medium = seal::ParseIdentities(*text, kMediumFile);
    OPENSSL_cleanse(text->data(), text->size());
    if (medium.ok()) keys.push_back(std::move(medium->front()));
  }
  keys_ = std::make_shared<const std::vector<seal::Identity>>(std::move(keys));
  vouched_ = sign::VouchForRecipient(identity.key(), recipient());
}

absl::Status SealingKey::KeepMediumKey(host::Vfs& vfs, absl::string_view text) {
  absl::StatusOr<std::vector<seal::Identity>> keys = seal::ParseIdentities(text, "medium.key");
  if (!keys.ok()) return keys.status();
  absl::Status status = vfs.MakeDirs("state", 0700);
  return status.ok() ? vfs.Replace(kMediumFile, text, 0600) : status;
}

bool SealingKey::KeepsMediumKey(host::Vfs& vfs) { return vfs.Exists(kMediumFile); }

absl::Status SealingKey::RemoveMediumKey(host::Vfs& vfs) {
  if (!vfs.Exists(kMediumFile)) return absl::OkStatus();
  absl::Status status = vfs.Remove(kMediumFile);
  return status.ok() ? vfs.SyncDir("state") : status;
}

absl::StatusOr<SealingKey> SealingKey::Load(host::Vfs& vfs, const Identity& identity,
                                            seal::Random random) {
  absl::StatusOr<std::string> text = vfs.Read(kKeyFile, kMaxKeyFile);
  std::string damage;
  if (text.ok()) {
    absl::StatusOr<std::vector<seal::Identity>> keys = seal::ParseIdentities(*text, kKeyFile);
    if (keys.ok() && keys->size() == 1) {
      OPENSSL_cleanse(text->data(), text->size());
      return SealingKey(std::move(keys->front()), vfs, identity);
    }
    damage = keys.ok() ? "it holds more than one key" : std::string(keys.status().message());
    // Whoever has a way to repair it finds it; the bytes are as secret as they were.
    if (absl::Status kept = vfs.Replace(kDamagedFile, *text, 0600); !kept.ok()) {
      return api::Annotate(kept, "keeping the damaged sealing key");
    }
    OPENSSL_cleanse(text->data(), text->size());
  } else if (!absl::IsNotFound(text.status())) {
    // A disk that does not give it today may tomorrow: it is not replaced.
    return api::Coded(absl::StatusCode::kDataLoss, "sealing-key-unreadable",
                      absl::StrCat(kKeyFile, " cannot be read: ", text.status().message()),
                      "check the disk, then start noded again");
  }
  absl::StatusOr<seal::Identity> key = seal::Identity::Generate(random);
  if (!key.ok()) return key.status();
  if (absl::Status status = Store(vfs, *key); !status.ok()) return status;
  SealingKey made(*std::move(key), vfs, identity);
  if (!damage.empty()) {
    made.warning_ = absl::StrCat(kKeyFile, " could not be used (", damage,
                                 ") and a new key was made: secrets that were sealed for this node "
                                 "do not open any more; pin the node again (nodectl pin) and apply "
                                 "its config again");
  }
  return made;
}

absl::StatusOr<SealingKey> SealingKey::Load(host::Vfs& vfs, const Identity& identity) {
  return Load(vfs, identity, FromOpenSsl);
}

}  // namespace basalt::trust
