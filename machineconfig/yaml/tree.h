// A YAML text as a compact tree with positions: the only code that meets yaml-cpp. Its event API is
// used and nothing else (its Load loops, recurses and accepts duplicates). Bounded by counts, not
// by time. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "api/coded_status.h"

namespace basalt::yaml {

inline constexpr int kMaxDepth = 32;
inline constexpr int kMaxNodes = 50000;
inline constexpr size_t kMaxScalar = 256 << 10;

enum class NodeKind { kNull, kPlain, kQuoted, kSequence, kMap };

// Nodes lie in one vector, linked by index: children in order, of a map key, value, key, value.
struct Node {
  NodeKind kind = NodeKind::kNull;
  bool sealed = false;  // carries the tag !sealed
  bool broken = false;  // was reported already (an alias): decoding passes over it
  int line = 0;         // from 1
  int column = 0;
  int first_child = -1;
  int next = -1;
  int children = 0;
  std::string text;  // of kPlain and kQuoted

  bool scalar() const { return kind == NodeKind::kPlain || kind == NodeKind::kQuoted; }
};

struct Tree {
  std::vector<Node> nodes;  // nodes[0] is the root; empty when the text could not be read
  bool empty() const { return nodes.empty(); }
  const Node& root() const { return nodes[0]; }
  const Node& at(int index) const { return nodes[index]; }
};

// Errors are appended. After a syntax error or a limit the tree is empty; after the others
// (anchor, alias, unknown tag, hidden character) it is whole and the rest can still be checked.
// Reasons: those of CheckText, and syntax, too-deep, too-many-nodes, scalar-too-long,
// several-documents, anchor, alias, tag, key-not-text.
Tree ParseTree(absl::string_view text, absl::string_view file, std::vector<api::Violation>& errors);

}  // namespace basalt::yaml
