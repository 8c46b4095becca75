// How kernel images are called on the boot partition: "noded_VERSION.efi" is good,
// "noded_VERSION+LEFT-DONE.efi" has LEFT boots left before the loader gives it up (systemd's
// Automatic Boot Assessment), "+0-..." is given up. And which of two versions the loader takes for
// the newer one: it boots the newest that is not given up. Pure.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace basalt::update {

inline constexpr int kTries = 3;
inline constexpr absl::string_view kUnfinished = ".tmp";  // behind the name while it is written

struct EntryName {
  std::string version;
  bool counted = false;
  int left = 0;
  int done = 0;

  bool good() const { return !counted; }
  bool given_up() const { return counted && left == 0; }
  bool operator==(const EntryName&) const = default;
};

// nullopt for every other name. FormatEntryName gives back what was read, but for leading zeros.
std::optional<EntryName> ParseEntryName(absl::string_view file);
std::string FormatEntryName(const EntryName& entry);

// What may stand in a file name between "noded_" and its tries: letters, digits and "._~-", at most
// 64, the first a letter or digit. No plus: it begins the tries.
bool IsVersion(absl::string_view text);

// As the loader compares versions (UAPI group, version format specification): below 0 when `a` is
// older. "1.4.0~rc1" < "1.4.0" < "1.4.0-2" < "1.4.0.1", "1.10" > "1.9".
int CompareVersions(absl::string_view a, absl::string_view b);

}  // namespace basalt::update
