// What an age file may be here at most. age itself has no limits; a config has.
#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "api/coded_status.h"

namespace basalt::seal {

inline constexpr size_t kMaxPlaintext = 256 << 10;
inline constexpr size_t kMaxStanzas = 64;
// Room for 64 stanzas of the widest kind that is known.
inline constexpr size_t kMaxHeader = 128 << 10;
inline constexpr size_t kMaxArmored = 640 << 10;

inline absl::Status TooLarge(absl::string_view what, size_t limit) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "too-large",
                    absl::StrCat(what, " is larger than ", limit >> 10, " KiB"));
}

}  // namespace basalt::seal
