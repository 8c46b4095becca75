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

// What the one list of a file holds.
enum class ListOf { kMaps, kTexts };

struct FlatFile {
  FlatItem top;                  // scalars of the top level
  std::vector<FlatItem> items;   // of the list `list_key`: maps
  std::vector<FlatEntry> texts;  // of the list `list_key`: texts, without a key
  int list_line = 0;             // where that list's key stands; 0: absent
};

// A map of scalars and at most one list, named `list_key`, of maps of scalars or of texts. Other
// lists and maps,
// duplicate keys and syntax errors: Invalid, all at once.
absl::StatusOr<FlatFile> ReadFlatYaml(absl::string_view text, const std::string& file,
                                      absl::string_view list_key = "",
                                      ListOf list_of = ListOf::kMaps);

// As a YAML scalar: quoted where it could read as something else.
std::string QuoteYaml(absl::string_view value);

}  // namespace basalt::client
