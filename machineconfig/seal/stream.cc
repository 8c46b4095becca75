#include "machineconfig/seal/stream.h"

#include <algorithm>

#include "api/coded_status.h"
#include "machineconfig/seal/limits.h"
#include "machineconfig/seal/primitives.h"

namespace basalt::seal {
namespace {

constexpr size_t kChunk = 64 << 10;

Nonce ChunkNonce(uint32_t number, bool last) {
  // 11 bytes of a big-endian counter (four of them are plenty for 256 KiB) and the flag.
  Nonce out{};
  for (int i = 0; i < 4; ++i) out[10 - i] = static_cast<uint8_t>(number >> (8 * i));
  out[11] = last ? 1 : 0;
  return out;
}

absl::Status Bad(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-age-payload",
                    absl::StrCat("the payload of the age file is damaged: ", what),
                    "seal the value again");
}

}  // namespace

std::string SealPayload(absl::string_view file_key, absl::string_view nonce,
                        absl::string_view plaintext) {
  const SecretBytes key = Hkdf(file_key, nonce, "payload");
  std::string out(nonce);
  // An empty plaintext is one empty chunk; any other ends with a chunk that is not empty.
  uint32_t number = 0;
  do {
    const absl::string_view chunk = plaintext.substr(0, kChunk);
    plaintext.remove_prefix(chunk.size());
    AeadSeal(key, ChunkNonce(number++, plaintext.empty()), chunk, out);
  } while (!plaintext.empty());
  return out;
}

absl::StatusOr<SecretBytes> OpenPayload(absl::string_view file_key, absl::string_view payload) {
  if (payload.size() < kPayloadNonce + kTagSize) return Bad("it is cut off");
  const SecretBytes key = Hkdf(file_key, payload.substr(0, kPayloadNonce), "payload");
  payload.remove_prefix(kPayloadNonce);
  const size_t chunks = (payload.size() + kChunk + kTagSize - 1) / (kChunk + kTagSize);
  if (payload.size() < chunks * kTagSize) return Bad("it is cut off");
  const size_t size = payload.size() - chunks * kTagSize;
  if (size > kMaxPlaintext) return TooLarge("what the age file holds", kMaxPlaintext);
  SecretBytes out(size);
  size_t at = 0;
  for (uint32_t number = 0; number < chunks; ++number) {
    const absl::string_view chunk = payload.substr(0, kChunk + kTagSize);
    payload.remove_prefix(chunk.size());
    if (chunk.size() == kTagSize && number > 0) return Bad("its last chunk is empty");
    if (!AeadOpen(key, ChunkNonce(number, payload.empty()), chunk, out.data() + at)) {
      return Bad("it was changed, cut off or lengthened");
    }
    at += chunk.size() - kTagSize;
  }
  return out;
}

}  // namespace basalt::seal
