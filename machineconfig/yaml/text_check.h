// What a text must satisfy before any parser sees it: size, encoding, no characters that a reader
// cannot see. yaml-cpp would turn bad UTF-8 into U+FFFD, guess UTF-16 and take NUL for an escape,
// so it is never shown such bytes. Pure, thread-safe.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/strings/string_view.h"
#include "api/coded_status.h"

namespace basalt::yaml {

inline constexpr size_t kMaxBytes = 1 << 20;
inline constexpr size_t kMaxErrors = 100;

// Appends to `errors`, at most kMaxErrors. Reasons: too-large, byte-order-mark, carriage-return,
// invalid-utf8, control-character, tab-indent, directive.
void CheckText(absl::string_view text, absl::string_view file, std::vector<api::Violation>& errors);

// True when a value (after escapes such as "\x1b" were applied) holds a character that a reader
// cannot see: control characters but \n and \t, bidirectional and zero-width ones.
bool HasHiddenCharacter(absl::string_view value);

}  // namespace basalt::yaml
