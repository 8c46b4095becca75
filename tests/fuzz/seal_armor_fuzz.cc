// The text of sealed values from outside. What is accepted is exactly what would have been written,
// and opens nothing.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/seal/armor.h"
#include "machineconfig/seal/bech32.h"
#include "machineconfig/seal/field.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  static const std::vector<seal::Identity>* const identities = [] {
    auto* made = new std::vector<seal::Identity>();
    made->push_back(seal::Identity::Generate([](uint8_t* out, size_t count) {
                      std::fill(out, out + count, 'f');
                      return true;
                    }).value());
    return made;
  }();
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto bytes = seal::Dearmor(text); bytes.ok()) {
    const std::string trimmed(absl::StripAsciiWhitespace(text));
    if (absl::StrCat(absl::StrReplaceAll(trimmed, {{"\r\n", "\n"}}), "\n") != seal::Armor(*bytes)) {
      std::abort();
    }
  }
  if (seal::OpenField({"home", "n1", "k3s.token"}, text, *identities).ok()) std::abort();
  if (auto decoded = seal::Bech32Decode(text)) {
    const std::string again = seal::Bech32Encode(decoded->prefix, decoded->bytes);
    if (again != absl::AsciiStrToLower(text)) std::abort();
  }
  if (auto recipient = seal::Recipient::Parse(text); recipient.ok()) {
    if (recipient->Text() != text) std::abort();
  }
  if (auto identity = seal::Identity::Parse(text); identity.ok()) {
    if (identity->Text().view() != text) std::abort();
  }
  return 0;
}
