// A person's YAML file after a change of what it means: the smallest edit of its text that says the
// new thing, so that comments, order, indentation and every line that is not concerned stay as they
// are. Pure, thread-safe.
//
// New fields stand in the order of the schema, behind the field before them; new elements of a list
// where the list has them. An entry that goes takes its comments along: those right above it in its
// own column, that of its line, and those below it that are indented deeper. Block and flow style
// are both edited in their own style. A file without a last line end gets one when something is
// added there; a block text that ended with the file then says `|-`, which is what it meant.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace basalt::merge {

// `text` decodes to a message of the type of `after`, of any descriptor pool; the result decodes to
// `after`, which is checked. Nothing is changed where the two agree; an equal message gives the
// text byte for byte. InvalidArgument with the violations when `text` cannot be read;
// FailedPrecondition/"cannot-edit" with the position and what to write there when it is written in
// a way that no edit in place fits (`? key`, pairs without braces). `file` goes into errors only.
absl::StatusOr<std::string> Rewrite(absl::string_view text, absl::string_view file,
                                    const google::protobuf::Message& after);

}  // namespace basalt::merge
