// Where each node of a tree lies in its text, to the byte: what an edit in place has to know and
// yaml-cpp does not tell (its events have a beginning and no end). The text is scanned once more
// with the tree as a guide, which settles everything that makes YAML hard to scan. Pure,
// thread-safe.
#pragma once

#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "machineconfig/yaml/tree.h"

namespace basalt::yaml {

struct Extent {
  size_t begin = 0;  // of its tag, when it has one; of the first child's dash or key
  size_t end = 0;    // one past its last byte; a block text ends before its last line end
  // Of an element or a value: just behind the dash or the colon. Of an element of a flow list, of
  // a flow key and of the root: `begin`.
  size_t after = 0;
  bool flow = false;                           // a collection in brackets
  bool block_text = false;                     // behind | or >
  bool empty() const { return begin == end; }  // a null that nothing stands for
};

// One extent for each node, by its index. Nothing when the text is written in a way that no person
// edits either: `? key`, a pair without braces in a list (`[a: b]`).
std::optional<std::vector<Extent>> Layout(absl::string_view text, const Tree& tree);

}  // namespace basalt::yaml
