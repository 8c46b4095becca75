// Formats as regular expressions, for programs that have our schema and not our checkers: editors.
// A pattern takes everything that format::Check takes, and more: calendars, prefixes of networks
// and certificates are beyond it. Written in what ECMA-262, RE2 and Python share. Pure,
// thread-safe.
#pragma once

#include "absl/strings/string_view.h"
#include "basalt/v1/options.pb.h"

namespace basalt::docs {

// Anchored where the whole text is meant. Empty when there is none: any text passes.
absl::string_view PatternOf(v1::Format format);

}  // namespace basalt::docs
