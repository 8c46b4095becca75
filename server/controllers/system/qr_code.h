// A QR code of what a telephone shall read off a screen. One size alone: version 5 (37 modules
// square) with error correction L, which has room for 106 bytes: a fingerprint and an address.
// (ISO/IEC 18004:2015.) Pure.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace basalt::system {

inline constexpr int kQrSize = 37;
inline constexpr size_t kMostQrBytes = 106;

using QrModules = std::array<std::array<bool, kQrSize>, kQrSize>;  // [row][column]; true: dark

// Nothing when it is too long. `mask`: 0 to 7; -1: the one that scanners like best.
std::optional<QrModules> MakeQrCode(absl::string_view text, int mask = -1);

// Lines for a screen that is dark where nothing is written: two rows of modules are one line of
// half blocks (U+2580, U+2584, U+2588: every font of the kernel's console has them). The light
// border that scanners want is `border` modules wide.
std::string QrLines(const QrModules& modules, int border);

}  // namespace basalt::system
