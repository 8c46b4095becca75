// The node's sealing key: an X25519 key that secrets for this node are sealed to. Another one than
// the identity, made at the first start, kept beside it, never shown; the identity vouches for its
// public half. Immutable after Load; thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "basalt/v1/document.pb.h"
#include "machineconfig/seal/keys.h"
#include "server/host/vfs.h"
#include "server/trust/identity.h"

namespace basalt::trust {

class SealingKey {
 public:
  // Reads state/sealing.key, or makes it (durably, before anything shows it). One that is there but
  // is damaged is kept beside as state/sealing.key.damaged and a new one is made: the node serves
  // and obeys without it, and nobody could remove the file by hand on a machine without a shell.
  // `random` is given by tests. DataLoss/"sealing-key-unreadable"; errors of storing a new one.
  static absl::StatusOr<SealingKey> Load(host::Vfs& vfs, const Identity& identity,
                                         seal::Random random);
  static absl::StatusOr<SealingKey> Load(host::Vfs& vfs, const Identity& identity);

  // The one-time key of the boot medium, to which a first config may be sealed: kept as
  // state/medium.key, so that what is in force opens after a restart when the medium holds it no
  // more. Before Load. InvalidArgument "bad-identity" and the like, those of storing.
  static absl::Status KeepMediumKey(host::Vfs& vfs, absl::string_view text);
  static bool KeepsMediumKey(host::Vfs& vfs);
  // From the disk; in memory it stays until the next start.
  static absl::Status RemoveMediumKey(host::Vfs& vfs);

  // Everything that opens secrets for this node: its own key, and that of the medium it was started
  // from as long as it is kept.
  absl::Span<const seal::Identity> keys() const { return *keys_; }
  absl::Span<const seal::Identity> own_keys() const { return {keys_->data(), 1}; }
  bool has_medium_key() const { return keys_->size() > 1; }
  std::string recipient() const { return keys_->front().recipient().Text(); }
  const v1::VouchedRecipient& vouched() const { return vouched_; }
  // What a person should know: the stored key was damaged and replaced. Empty when all is well.
  const std::string& warning() const { return warning_; }

 private:
  SealingKey(seal::Identity key, host::Vfs& vfs, const Identity& identity);
  std::shared_ptr<const std::vector<seal::Identity>> keys_;  // its own first
  v1::VouchedRecipient vouched_;
  std::string warning_;
};

}  // namespace basalt::trust
