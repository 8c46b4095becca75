// What a person is likely to want next in a new config, as comments: the words are those of the
// schema. Pure, thread-safe.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "basalt/v1/machine_config.pb.h"

namespace basalt::client {

// `text` is `config` as YAML with comments. At the end of each section that is there come fields
// that are not, each as "# what it is" and "#name: value": without that one `#` the config is valid
// (a test uncomments each in turn).
std::string WithNextFields(absl::string_view text, const v1::MachineConfig& config);

}  // namespace basalt::client
