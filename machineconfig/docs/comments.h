// The comments of the .proto sources, compiled in: descriptors in a program have none. The table is
// made in the build (comment_table_writer.cc). Pure data, thread-safe.
#pragma once

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace basalt::docs {

struct CommentEntry {
  absl::string_view name;  // full: "basalt.v1.K3s.role", "basalt.v1.FORMAT_IP"
  absl::string_view text;  // one line
};

absl::Span<const CommentEntry> CommentTable();  // sorted by name

// Empty when the sources say nothing.
absl::string_view CommentOf(absl::string_view full_name);

}  // namespace basalt::docs
