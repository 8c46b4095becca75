// Changing a few lines of a person's YAML and nothing else: comments, order and blank lines stay.
// Pure, thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/machine_config.pb.h"

namespace basalt::client {

// The text with k3s.version and k3s.artifacts replaced by those of `pin`. FailedPrecondition/
// "cannot-edit" with the lines to paste when the text is written in a way that cannot be edited
// (`? key`).
absl::StatusOr<std::string> EditK3sPin(absl::string_view text, const std::string& file,
                                       const v1::K3s& pin);

}  // namespace basalt::client
