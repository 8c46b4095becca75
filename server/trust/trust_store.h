// The trust chain on disk. The seed (--trust) is read only when no chain is stored. A new chain
// takes effect at once and is never reverted. Two copies, each proven by its own signatures:
// state/trust/chain.json and chain.backup.json. Loop thread only.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "machineconfig/sign/policy.h"
#include "server/host/vfs.h"

namespace basalt::trust {

class TrustStore {
 public:
  // `seed_json`: contents of the --trust file, "" for none. Reasons: no-trust (nothing stored and
  // no seed), trust-damaged (DataLoss; the stored chain does not verify and its backup neither:
  // never replaced by the seed).
  static absl::StatusOr<TrustStore> Load(host::Vfs& vfs, const std::string& seed_json);

  const sign::VerifiedChain& chain() const { return chain_; }
  const v1::TrustPolicy& policy() const { return chain_.policy; }
  // Verifies, stores durably, then takes effect. True: it was new. When storing fails the old chain
  // stays in force, although the new one may be found on disk at the next start: it is signed.
  absl::StatusOr<bool> Update(const v1::TrustChain& chain);

  // Load found the first copy damaged or missing and took the second.
  bool used_backup() const { return used_backup_; }
  // What a person should know about the copies; empty when both are good.
  const std::string& warning() const { return warning_; }

 private:
  TrustStore(host::Vfs& vfs, sign::VerifiedChain chain) : vfs_(&vfs), chain_(std::move(chain)) {}
  std::string Repair();  // writes both copies anew; "" or why not
  host::Vfs* vfs_;
  sign::VerifiedChain chain_;
  bool used_backup_ = false;
  std::string warning_;
};

}  // namespace basalt::trust
