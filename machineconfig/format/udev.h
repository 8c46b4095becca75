// Rules for devices in udev's language (udev(7)), as far as a node has devices that they could be
// about: matches on a device and on those above it, links, mode and owner, names of an environment.
// What starts programs, renames, jumps or imports is refused, by its line. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace basalt::format {

struct UdevTerm {
  enum class Op { kEqual, kDiffers, kAssign, kAdd };
  std::string key;        // "KERNEL", "ATTRS", "SYMLINK", ...
  std::string attribute;  // what stands in braces
  Op op = Op::kEqual;
  std::string value;
  bool matches() const { return op == Op::kEqual || op == Op::kDiffers; }
  bool operator==(const UdevTerm&) const = default;
};

struct UdevLine {
  int line = 0;  // where it begins, from 1
  std::vector<UdevTerm> terms;
};

struct UdevFault {
  int line = 0;
  std::string message;
};

struct UdevRules {
  std::vector<UdevLine> lines;
  std::vector<UdevFault> faults;  // empty: all of it is understood
};

UdevRules ParseUdevRules(absl::string_view text);

// A pattern of a match: `*`, `?`, `[a-z]`, `[!a]`, and alternatives behind `|`. Linear in the text
// for each `*`.
bool UdevMatches(absl::string_view pattern, absl::string_view text);

// A name below /dev that a link may have: no way out of there, and printable.
bool IsDeviceLink(absl::string_view name);

}  // namespace basalt::format
