// Payloads of age files from outside, under a key that the corpus knows. What opens is the one
// sealing of what it holds; a sealing that is changed at one byte does not open.
#include <cstdint>
#include <cstdlib>

#include "machineconfig/seal/limits.h"
#include "machineconfig/seal/stream.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt::seal;
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const absl::string_view key = "YELLOW SUBMARINE";
  if (auto opened = OpenPayload(key, bytes); opened.ok()) {
    if (SealPayload(key, bytes.substr(0, kPayloadNonce), opened->view()) != bytes) std::abort();
  }
  if (size < 4 || size - 4 > kMaxPlaintext) return 0;
  std::string sealed = SealPayload(key, "sixteen bytes!!!", bytes.substr(4));
  auto opened = OpenPayload(key, sealed);
  if (!opened.ok() || opened->view() != bytes.substr(4)) std::abort();
  const size_t at = (data[0] | data[1] << 8 | data[2] << 16) % sealed.size();
  if (data[3] == 0) {
    sealed.resize(at);  // cut off
  } else {
    sealed[at] = static_cast<char>(sealed[at] ^ data[3]);
  }
  if (OpenPayload(key, sealed).ok()) std::abort();
  return 0;
}
