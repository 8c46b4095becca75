// The texts of a DSSE envelope as they stand in its JSON, before any of them is decoded. Private to
// machineconfig/sign. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::sign {

struct SignatureText {
  std::optional<std::string> keyid, scheme, sig;
};
// What an envelope of a set carries beside the set: one file and the proof that it belongs there.
struct MemberText {
  std::optional<std::string> payload, payload_type;
  std::optional<uint64_t> index;
  std::optional<std::vector<std::string>> path;
};
struct EnvelopeText {
  std::optional<std::string> payload, payload_type;
  std::optional<std::vector<SignatureText>> signatures, detached;
  std::optional<MemberText> member;
};

// Signatures in a form of their own (SSHSIG, minisign) are none of DSSE's: another reader would
// take them for broken ones. They stand in a list of ours, which is there only when it is needed,
// so that a document with DSSE signatures alone is an envelope like everybody's.
inline constexpr absl::string_view kDetachedField = "detachedSignatures";
// Of a set the envelope is that of the ConfigSet, which another reader of DSSE can verify; the file
// stands beside it.
inline constexpr absl::string_view kMemberField = "member";

absl::Status BadEnvelope(absl::string_view reason, absl::string_view what);

// One envelope, or with `chain` an array of them. Exactly the known fields, each at most once;
// which of them must be there is asked later. Reasons: bad-envelope, too-many-signatures,
// too-large.
absl::StatusOr<std::vector<EnvelopeText>> ReadEnvelopes(absl::string_view json, bool chain);

}  // namespace basalt::sign
