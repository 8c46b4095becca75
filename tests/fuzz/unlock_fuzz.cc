// The header of an encrypted partition and the signatures beside a kernel image: bytes of a disk.
// What is accepted can be changed and written, and is read the same then.
#include <openssl/evp.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "server/unlock/keyslot.h"
#include "server/unlock/luks_header.h"
#include "server/unlock/tpm_policy.h"

namespace {

using namespace basalt::unlock;

void Must(bool holds) {
  if (!holds) std::abort();
}

// Sums are made right, or no mutation would get past them.
void Sum(std::string* bytes, size_t at) {
  std::fill_n(bytes->begin() + static_cast<std::ptrdiff_t>(at) + 448, 64, '\0');
  bytes->replace(at + 448, 32, Sha256Of(bytes->substr(at, kHeaderSize)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const uint8_t how = data[0];
  const std::string input(reinterpret_cast<const char*>(data + 1), size - 1);
  if ((how & 1) != 0) {
    (void)FindSignature(input, "abcd", std::string(32, '\x11'));
    return 0;
  }
  std::string bytes = input;
  if ((how & 2) != 0) {
    // Only the JSON part.
    Header header;
    header.json = input.substr(0, 12000);
    auto rendered = RenderHeader(header, std::string(128, 'r'));
    if (!rendered.ok()) return 0;
    bytes = *rendered;
  } else {
    bytes.resize(kBothHeaders, '\0');
    Sum(&bytes, 0);
    Sum(&bytes, kHeaderSize);
  }
  auto header = ParseHeader(bytes);
  if (!header.ok()) return 0;
  (void)KeyText(*header);
  auto number = FreeKeyslot(*header);
  if (!number.ok()) return 0;
  auto with = WithKey(*header, *number, FastKdf(std::string(32, 's')), {.type = kStateToken});
  if (!with.ok()) return 0;
  Must(with->SlotOf(kStateToken) != nullptr);
  auto rendered = RenderHeader(*with, std::string(128, 'r'));
  Must(rendered.ok());
  auto again = ParseHeader(*rendered);
  Must(again.ok() && again->keyslots == with->keyslots && again->tokens == with->tokens);
  Must(WithoutKey(*again, kStateToken).ok());
  return 0;
}
