// What a person did when yaml-cpp says "illegal map value" or "end of map not found", and where:
// its own place is often a line too late. Guesses from the lines around the error, the most certain
// first; the verdict itself is yaml-cpp's alone. Pure, thread-safe.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace basalt::yaml {

struct SyntaxHelp {
  int line = 0;  // from 1
  int column = 0;
  std::string message;  // follows "not valid YAML: "
  std::string hint;
};

// `line` and `column` (from 1) and `parser_message` are those of yaml-cpp.
SyntaxHelp ExplainSyntax(absl::string_view text, int line, int column,
                         absl::string_view parser_message);

// Whether the quoted scalar that begins at `at` has its closing quote. yaml-cpp takes the end of
// the text for one. True for everything that is not quoted.
bool QuoteIsClosed(absl::string_view text, size_t at);

}  // namespace basalt::yaml
