#include "server/trust/trust_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"

namespace basalt::trust {
namespace {

// The copies are written one after the other, so a cut or a dying block takes one of them at most.
// No checksum beside them: a chain proves itself by its signatures.
constexpr char kPrimary[] = "state/trust/chain.json";
constexpr char kBackup[] = "state/trust/chain.backup.json";
constexpr size_t kMaxChainFile = 8 << 20;

absl::StatusOr<sign::VerifiedChain> ReadChain(host::Vfs& vfs, absl::string_view path) {
  auto json = vfs.Read(path, kMaxChainFile);
  if (!json.ok()) return json.status();
  auto chain = sign::ChainFromJson(*json);
  if (!chain.ok()) return chain.status();
  return sign::VerifyChain(*chain, sign::ChainAge::kAccepted);
}

absl::Status Store(host::Vfs& vfs, const sign::VerifiedChain& chain) {
  const std::string json = sign::ChainToJson(chain.chain);
  for (const char* path : {kPrimary, kBackup}) {
    if (absl::Status status = vfs.Replace(path, json, 0600); !status.ok()) {
      return api::Annotate(status, absl::StrCat("storing the trust chain in ", path));
    }
  }
  return absl::OkStatus();
}

absl::Status Damaged(const absl::Status& primary, const absl::Status& backup) {
  return api::Coded(
      absl::StatusCode::kDataLoss, "trust-damaged",
      absl::StrCat("the stored trust chain cannot be used: ", kPrimary, ": ", primary.message(),
                   "; ", kBackup, ": ", backup.message()),
      absl::StrCat("put the owner's trust.json in the place of ", kPrimary,
                   " (any version from the stored one on); the node never falls back to its seed, "
                   "which may be older"));
}

}  // namespace

absl::StatusOr<TrustStore> TrustStore::Load(host::Vfs& vfs, const std::string& seed_json) {
  auto primary = ReadChain(vfs, kPrimary);
  auto backup = ReadChain(vfs, kBackup);
  if (primary.ok()) {
    // A cut between the two writes leaves the backup one version behind; a newer backup cannot
    // come from an update, but taking the longer chain costs nothing and never goes back.
    if (backup.ok()) {
      if (auto longer = sign::ExtendChain(*primary, backup->chain); longer.ok()) {
        primary = std::move(longer);
      }
    }
    TrustStore store(vfs, *std::move(primary));
    if (!backup.ok()) {
      store.warning_ = absl::StrCat(kBackup, " could not be used (", backup.status().message(),
                                    ") and is made anew");
    }
    if (!backup.ok() || backup->policy.version() != store.policy().version()) {
      std::string failure = store.Repair();
      if (!failure.empty()) absl::StrAppend(&store.warning_, "; ", failure);
    }
    return store;
  }
  if (backup.ok()) {
    TrustStore store(vfs, *std::move(backup));
    store.used_backup_ = true;
    store.warning_ =
        absl::StrCat(kPrimary, " cannot be used (", primary.status().message(),
                     "); the backup of it, version ", store.policy().version(), ", is in force");
    std::string failure = store.Repair();
    if (!failure.empty()) absl::StrAppend(&store.warning_, "; ", failure);
    return store;
  }
  if (!absl::IsNotFound(primary.status()) || !absl::IsNotFound(backup.status())) {
    return Damaged(primary.status(), backup.status());
  }

  if (seed_json.empty()) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "no-trust",
                      "this node trusts nobody yet: no trust chain is stored and none was given",
                      "start noded with --trust trust.json, as nodectl init wrote it");
  }
  auto chain = sign::ChainFromJson(seed_json);
  if (!chain.ok()) return api::Annotate(chain.status(), "the seed (--trust)");
  auto verified = sign::VerifyChain(*chain);
  if (!verified.ok()) return api::Annotate(verified.status(), "the seed (--trust)");
  if (absl::Status status = vfs.MakeDirs("state/trust", 0700); !status.ok()) return status;
  if (absl::Status status = Store(vfs, *verified); !status.ok()) return status;
  return TrustStore(vfs, *std::move(verified));
}

std::string TrustStore::Repair() {
  absl::Status status = Store(*vfs_, chain_);
  return status.ok() ? "" : absl::StrCat("the copies could not be repaired: ", status.message());
}

absl::StatusOr<bool> TrustStore::Update(const v1::TrustChain& chain) {
  auto next = sign::ExtendChain(chain_, chain);
  if (!next.ok()) return next.status();
  if (next->policy.version() == chain_.policy.version()) return false;
  if (absl::Status status = Store(*vfs_, *next); !status.ok()) return status;
  chain_ = *std::move(next);
  return true;
}

}  // namespace basalt::trust
