// A kind of document as JSON Schema 2020-12, for editors (yaml-language-server) and for checks by
// programs that are not ours.
//
// It describes a source, as a person writes it: what nodectl fills in may be missing, null is
// absent, a secret is a text with or without !sealed. It takes what `nodectl validate` takes, but
// for a text that reads as a number or a boolean and is not quoted, which editors should mark. It
// cannot know the rules between fields, nor calendars, certificates and the like.
// `patternErrorMessage`, `deprecationMessage` and `doNotSuggest` are words of editors that
// validators skip. Pure, thread-safe.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace basalt::docs {

// The first words of `$comment`: by them a file is known to be ours.
inline constexpr absl::string_view kSchemaMark = "Written by `nodectl schema`";

// Indented by two, with a line end at its end; the same bytes each time.
std::string JsonSchema(const google::protobuf::Descriptor& kind);

}  // namespace basalt::docs
