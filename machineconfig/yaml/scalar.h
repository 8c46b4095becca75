// How the text of a plain scalar reads: the core schema of YAML 1.2, without its octal and hex
// forms where a whole number is wanted. Pure, thread-safe.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace basalt::yaml {

// Exactly `true` or `false`.
std::optional<bool> ParseBool(absl::string_view text);

// Decimal digits with an optional minus and no leading zero. Syntax only.
bool IsWholeNumber(absl::string_view text);

// Anything that the core schema reads as null, bool, int or float: 0o17, 0x1F, 1e3, .inf, 007.
bool ReadsAsOther(absl::string_view text);

// Also what other readers (YAML 1.1) take for something else: yes, on, 12:30:45, 2026-11-23.
bool NeedsQuotes(absl::string_view text);

}  // namespace basalt::yaml
