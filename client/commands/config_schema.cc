#include "client/commands/config_schema.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/commands/flatten.h"
#include "client/output/errors.h"
#include "client/output/plan_text.h"
#include "machineconfig/diff/diff.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::client {
namespace {

using google::protobuf::Message;

using Saying = std::map<std::string, Said>;

v1::PlanReply Compare(const Saying& before, const Saying& after) {
  std::vector<diff::Change> changes;
  for (const auto& [path, old] : before) {
    auto now = after.find(path);
    if (now == after.end()) {
      changes.push_back({.path = path,
                         .kind = diff::ChangeKind::kRemove,
                         .old_value = old.shown,
                         .effect = old.effect});
    } else if (now->second.meant != old.meant) {
      changes.push_back({.path = path,
                         .kind = diff::ChangeKind::kModify,
                         .old_value = old.shown,
                         .new_value = now->second.shown,
                         .effect = old.effect});
    }
  }
  for (const auto& [path, now] : after) {
    if (before.count(path) > 0) continue;
    changes.push_back({.path = path,
                       .kind = diff::ChangeKind::kAdd,
                       .new_value = now.shown,
                       .effect = now.effect});
  }
  return ToPlan(changes);
}

}  // namespace

absl::StatusOr<ConfigSchema> ConfigSchema::Of(Session& session, const std::string& node) {
  if (node.empty()) return ConfigSchema(docs::BuiltIn());
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(node);
  if (!client.ok()) return client.status();
  absl::StatusOr<v1::ServedSchema> served = (*client)->GetSchema();
  if (!served.ok()) return AtNode(served.status(), node);
  absl::StatusOr<const docs::Source*> source = docs::Read(*served);
  if (!source.ok()) return AtNode(source.status(), node);
  return ConfigSchema(**source);
}

ConfigSchema::Config ConfigSchema::Load(const std::string& text, const std::string& file) const {
  Config out{.message = schema::NewMessage(source_->machine_config())};
  if (own()) {
    out.readable = yaml::Decode(text, file, *out.message).ok();
    absl::Status status =
        validate::Load(text, file, validate::Stage::kSource, &out.warnings).status();
    out.errors = api::Violations(status);
    return out;
  }
  const absl::Status status = validate::LoadBy(
      {.knows_k3s_key = [this](absl::string_view key) { return source_->FindKey(key) != nullptr; }},
      text, file, validate::Stage::kSource, *out.message, &out.warnings);
  out.errors = api::Violations(status);
  const std::unique_ptr<Message> scratch(out.message->New());
  out.readable = yaml::Decode(text, file, *scratch).ok();
  return out;
}

v1::PlanReply ConfigSchema::Changes(const Message& before, const Message& after) const {
  if (own()) {
    const v1::MachineConfig from = schema::Resolve(static_cast<const v1::MachineConfig&>(before));
    return ToPlan(diff::Diff(&from, schema::Resolve(static_cast<const v1::MachineConfig&>(after))));
  }
  return Compare(Flatten(before, *source_), Flatten(after, *source_));
}

}  // namespace basalt::client
