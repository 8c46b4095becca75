#include "machineconfig/docs/comments.h"

#include <algorithm>

namespace basalt::docs {

absl::string_view CommentOf(absl::string_view full_name) {
  const absl::Span<const CommentEntry> table = CommentTable();
  const auto it = std::lower_bound(
      table.begin(), table.end(), full_name,
      [](const CommentEntry& entry, absl::string_view name) { return entry.name < name; });
  return it != table.end() && it->name == full_name ? it->text : "";
}

}  // namespace basalt::docs
