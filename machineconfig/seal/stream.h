// The payload of an age file: STREAM, chunks of 64 KiB, each sealed under its number and whether it
// is the last. Private to machineconfig/seal but for the fuzz target. Pure, thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/seal/secret_bytes.h"

namespace basalt::seal {

inline constexpr size_t kPayloadNonce = 16;

// `nonce` (16 bytes, never used twice) and the chunks.
std::string SealPayload(absl::string_view file_key, absl::string_view nonce,
                        absl::string_view plaintext);

// All of it or nothing: a reordered, cut, lengthened or changed payload is
// InvalidArgument/"bad-age-payload", one above 256 KiB "too-large".
absl::StatusOr<SecretBytes> OpenPayload(absl::string_view file_key, absl::string_view payload);

}  // namespace basalt::seal
