// The syntax of strings: one checker per Format of api/basalt/v1/options.proto. Each error says
// what is allowed and gives an example, and never repeats the value (it may be a secret). Pure,
// thread-safe.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/options.pb.h"

namespace basalt::format {

// OK, or InvalidArgument with a message that follows "field: " well. FORMAT_UNSPECIFIED takes all.
absl::Status Check(v1::Format format, absl::string_view text);

}  // namespace basalt::format
