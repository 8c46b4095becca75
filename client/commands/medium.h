// A boot medium as an owner signs for it before there is a node: its name, and the one-time key
// that the secrets of a first config are sealed to. Not thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::client {

struct Medium {
  std::string id;
  std::string recipient;  // age1...
  std::string key;        // text of the identity, as `image write` puts it onto the medium
};

// "" makes a name of its own. Unavailable "no-randomness".
absl::StatusOr<Medium> MakeMedium(const std::string& id);

// A file of age-keygen's form, the name in a comment: "# medium: stick-7". InvalidArgument
// "bad-medium".
std::string MediumText(const Medium& medium);
absl::StatusOr<Medium> ParseMedium(absl::string_view text, const std::string& file);
absl::StatusOr<Medium> ReadMedium(const std::string& file);

}  // namespace basalt::client
