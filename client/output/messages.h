// Protobuf messages on a screen: JSON by the standard mapping, YAML of the same, tables whose
// columns are what the (column) annotations of api/basalt/v1/resource.proto name. Pure,
// thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "basalt/v1/node_service.pb.h"
#include "basalt/v1/resource.pb.h"
#include "client/output/table.h"
#include "google/protobuf/message.h"

namespace basalt::client {

// One line; json_names; fields without presence are always there, so that programs need no
// defaults.
std::string ToJson(const google::protobuf::Message& message);
// Indented by two.
std::string ToPrettyJson(const google::protobuf::Message& message);
// Block YAML of the same tree.
std::string ToYaml(const google::protobuf::Message& message);
// Of a JSON object or list; "" of what is no JSON.
std::string JsonToYaml(const std::string& json);

// "committed", "awaiting-confirm", "restart-k3s": an enum value without its prefix, lower-kebab.
std::string StateWord(v1::ApplyState state);
std::string EffectWord(v1::Effect effect);

// One row a resource: NAME first, then the annotated fields of its body. All of one kind.
Table ResourceTable(const std::vector<v1::Resource>& resources, bool wide);
// The same for messages that are no resources (history).
Table MessageTable(const std::vector<const google::protobuf::Message*>& messages, bool wide);

// What was observed: "3 min ago" is relative to `now`; here absolute, UTC, to the second.
std::string FormatTime(const google::protobuf::Timestamp& time);

}  // namespace basalt::client
