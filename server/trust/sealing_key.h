// The node's sealing key: an X25519 key that secrets for this node are sealed to. Another one than
// the identity, made at the first start, kept beside it, never shown; the identity vouches for its
// public half. Immutable after Load; thread-safe.
#pragma once

#include <memory>
#include <string>

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

  absl::Span<const seal::Identity> keys() const { return {key_.get(), 1}; }
  std::string recipient() const { return key_->recipient().Text(); }
  const v1::VouchedRecipient& vouched() const { return vouched_; }
  // What a person should know: the stored key was damaged and replaced. Empty when all is well.
  const std::string& warning() const { return warning_; }

 private:
  SealingKey(seal::Identity key, const Identity& identity);
  std::shared_ptr<const seal::Identity> key_;
  v1::VouchedRecipient vouched_;
  std::string warning_;
};

}  // namespace basalt::trust
