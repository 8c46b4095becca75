// The small YAML files that nodectl keeps for itself (context, inventory, tokens): maps of texts,
// read by the same strict reader as documents. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::client {

struct FlatEntry {
  std::string key;
  std::string value;
  int line = 0;  // of the key, from 1
};

struct FlatItem {
  std::vector<FlatEntry> entries;
  int line = 0;
  const std::string* Find(absl::string_view key) const;
};

struct FlatFile {
  FlatItem top;                 // scalars of the top level
  std::vector<FlatItem> items;  // of the list `list_key`
  int list_line = 0;            // where that list's key stands; 0: absent
};

// A map of scalars and at most one list of maps of scalars, named `list_key`. Other lists and maps,
// duplicate keys and syntax errors: Invalid, all at once.
absl::StatusOr<FlatFile> ReadFlatYaml(absl::string_view text, const std::string& file,
                                      absl::string_view list_key = "");

// As a YAML scalar: quoted where it could read as something else.
std::string QuoteYaml(absl::string_view value);

}  // namespace basalt::client
