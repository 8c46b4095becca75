// `--set k3s.cluster.init=true`: one field of a message from a path and a YAML flow text.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace basalt::merge {

// `assignment` is "path=value"; "path=" with an empty value clears the field. Value as in YAML flow
// style:
// "[a, b]", "{site: lab}", "5m". Unknown names are errors with the nearest known one.
absl::Status SetPath(absl::string_view assignment, google::protobuf::Message& message);

}  // namespace basalt::merge
