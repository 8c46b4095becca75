// The root file system in memory: every file with where it comes from and why it is there, and what
// no root of ours may have. Pure, but for reading a tree from a directory.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::image {

struct Node {
  enum class Type { kDirectory, kFile, kLink, kOther };
  Type type = Type::kFile;
  unsigned mode = 0;    // permissions, with setuid and its like
  std::string content;  // of a link its target
  std::string from;     // a package, "build", "recipe", "generated"
  std::string why;
};

using Tree = std::map<std::string, Node>;  // by absolute path; without "/" itself

// Adds the directories above `path`. Reasons: doubled (there is something else already),
// through-link (a directory above is a link).
absl::Status AddNode(Tree& tree, const std::string& path, Node node);

// Everything that is wrong, one line each: shells and interpreters (by name, and scripts by their
// first line), setuid, setgid and world-writable files, devices, programs of another machine or
// that are not position-independent, hardened (RELRO; our own: BIND_NOW too), with an executable
// stack, a run path, writable code; libraries that nobody brought; modules without signature; links
// that lead nowhere (but into /run, /proc, /dev). `machine` is an ELF machine number.
std::vector<std::string> FindFaults(const Tree& tree, uint16_t machine);

// One line a node, sorted: path, type, mode, size, sha256 or target, from, why. Tabs between.
std::string FormatContents(const Tree& tree);

// What differs between two lists of contents in path, type, mode, size or content, one line each:
// origin and reason are not in a file system.
std::vector<std::string> CompareContents(absl::string_view expected, absl::string_view found);

// A tree as it lies in a directory; owners are not looked at. Reasons: io-failed.
absl::StatusOr<Tree> ReadTree(const std::string& directory);
absl::Status WriteTree(const Tree& tree, const std::string& directory);

}  // namespace basalt::image
