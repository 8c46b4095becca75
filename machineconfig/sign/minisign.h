// Signatures as `minisign -S` makes them (https://jedisct1.github.io/minisign/), in the prehashed
// form: Ed25519 over BLAKE2b-512 of the payload, and once more over that signature and the trusted
// comment, which says of which type the payload is. Pure, thread-safe.
// Reasons: bad-signature (not in this form, damaged), unknown-scheme (the old form without a hash).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/document.pb.h"
#include "machineconfig/sign/keys.h"

namespace basalt::sign {

inline constexpr size_t kMaxMinisignText = 4096;

// "basalt-machineconfig@v1": the whole trusted comment.
std::string MinisignComment(v1::DocumentType type);

struct MinisignSignature {
  std::string trusted_comment;
  std::string signature;         // 64 bytes, over the hash
  std::string global_signature;  // 64 bytes, over `signature` and the comment
};
// The four lines of a .minisig file. The untrusted comment and minisign's own key number are read
// and forgotten: nothing signs them.
absl::StatusOr<MinisignSignature> ParseMinisignSignature(absl::string_view text);

// BLAKE2b-512.
std::string MinisignHash(absl::string_view message);

// kComment: the key signed the message, but not this comment.
enum class MinisignCheck { kGood, kNotThisKey, kComment };
MinisignCheck CheckMinisignSignature(const MinisignSignature& signature, const PublicKey& key,
                                     absl::string_view hash);

}  // namespace basalt::sign
