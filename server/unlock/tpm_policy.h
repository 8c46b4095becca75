// The policies of sealed secrets, as bytes: what the TPM computes too. Pure.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "server/unlock/status.h"

namespace basalt::unlock {

inline constexpr size_t kPcrSize = 32;  // of the SHA-256 bank

std::string Sha256Of(absl::string_view bytes);

// TPM2_PolicyPCR on top of a policy: values of the PCRs of `mask` (bit n: PCR n), joined.
std::string PolicyPcr(absl::string_view policy, uint32_t mask, absl::string_view values);
// TPM2_PolicyAuthorize: whatever policy was signed by the key of that name.
std::string PolicyAuthorize(absl::string_view key_name);

// What of `signatures` is for the PCR 11 policy `wanted` by that key. NotFound.
struct PcrSignature {
  std::string policy;     // digest
  std::string signature;  // as the key makes it
};
// `signatures` is JSON from outside. `fingerprint`: lower-hex SHA-256 of the key's DER. NotFound:
// nothing there is about PCR 11 in the state that `pcr11` says.
StatusOr<PcrSignature> FindSignature(absl::string_view signatures, absl::string_view fingerprint,
                                     absl::string_view pcr11);

}  // namespace basalt::unlock
