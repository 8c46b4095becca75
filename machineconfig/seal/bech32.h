// Bech32 (BIP 173) without its length limit on the data, as age writes keys. Pure, thread-safe.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace basalt::seal {

// Lower case; `prefix` is lower case.
std::string Bech32Encode(absl::string_view prefix, absl::string_view bytes);

struct Bech32Text {
  std::string prefix;  // lower case
  std::string bytes;
};
// nullopt for a wrong checksum, mixed case, a character outside its alphabet, padding that is not
// zero, or more than 8 KiB.
std::optional<Bech32Text> Bech32Decode(absl::string_view text);

}  // namespace basalt::seal
