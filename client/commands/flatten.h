// Everything that a config says, a path each, for pages and comparisons that know no types. Pure.
#pragma once

#include <map>
#include <string>

#include "basalt/v1/options.pb.h"
#include "google/protobuf/message.h"
#include "machineconfig/docs/source.h"

namespace basalt::client {

struct Said {
  std::string shown;  // YAML flow text; secrets are "(redacted)"
  std::string meant;  // the same in the clear, to be compared and never shown
  v1::Effect effect = v1::EFFECT_LIVE;
};

// Paths as in yaml::SourceMap; a list of values is one entry. Of any descriptor pool.
std::map<std::string, Said> Flatten(const google::protobuf::Message& message,
                                    const docs::Source& source);

}  // namespace basalt::client
