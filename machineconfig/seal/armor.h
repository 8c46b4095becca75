// The PEM-like text form of an age file. Pure, thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::seal {

// 64 columns, canonical base64 with padding, a line feed at the end.
std::string Armor(absl::string_view bytes);

// Exactly what Armor writes, with LF or CRLF, and white space before and after it: one ciphertext
// has one text, so nothing can be hidden in it. InvalidArgument/"bad-armor", "too-large".
absl::StatusOr<std::string> Dearmor(absl::string_view text);

}  // namespace basalt::seal
