#include "machineconfig/schema/resolve.h"

#include <algorithm>
#include <memory>

#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/yaml/decode_value.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::schema {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr size_t kShortestSecret = 4;

// Of each message type one message that holds its defaults; built once, never changed.
const Message& DefaultsOf(const Message& like) {
  struct Cache {
    absl::Mutex mutex;
    absl::flat_hash_map<const google::protobuf::Descriptor*, std::unique_ptr<Message>> built;
  };
  static Cache* const cache = new Cache;
  absl::MutexLock lock(&cache->mutex);
  std::unique_ptr<Message>& slot = cache->built[like.GetDescriptor()];
  if (slot == nullptr) {
    slot.reset(like.New());
    for (const FieldInfo& field : Describe(like.GetDescriptor()).fields) {
      if (field.rules.default_().empty()) continue;
      // A default that cannot be read is a defect of the schema; the golden test of all defaults
      // would miss its value.
      yaml::DecodeValue(field.rules.default_(), field.name, field, *slot);
    }
  }
  return *slot;
}

// Calls `visit` for every message below (and including) `message`, outermost first.
template <typename Visit>
void ForEachMessage(Message& message, Visit visit) {
  visit(message);
  const Reflection& r = *message.GetReflection();
  for (const FieldInfo& field : Describe(message.GetDescriptor()).fields) {
    if (field.kind != FieldKind::kMessage) continue;
    if (field.repeated) {
      for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
        ForEachMessage(*r.MutableRepeatedMessage(&message, field.field, i), visit);
      }
    } else if (r.HasField(message, field.field)) {
      ForEachMessage(*r.MutableMessage(&message, field.field), visit);
    }
  }
}

void FillDefaults(Message& root) {
  ForEachMessage(root, [](Message& message) {
    const Message& defaults = DefaultsOf(message);
    const Reflection& r = *message.GetReflection();
    Message* missing = nullptr;
    for (const FieldInfo& field : Describe(message.GetDescriptor()).fields) {
      if (field.rules.default_().empty() || field.repeated || r.HasField(message, field.field)) {
        continue;
      }
      // Merging a message that holds this one field alone spares a switch over its types.
      if (missing == nullptr) missing = message.New();
      missing->CopyFrom(defaults);
      for (const FieldInfo& other : Describe(message.GetDescriptor()).fields) {
        if (&other != &field) r.ClearField(missing, other.field);
      }
      message.MergeFrom(*missing);
    }
    delete missing;
  });
}

template <typename Visit>
void ForEachSecret(Message& root, Visit visit) {
  ForEachMessage(root, [&](Message& message) {
    const Reflection& r = *message.GetReflection();
    for (const FieldInfo& field : Describe(message.GetDescriptor()).fields) {
      if (field.kind != FieldKind::kSecret) continue;
      if (field.repeated) {
        for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
          visit(static_cast<v1::Secret&>(*r.MutableRepeatedMessage(&message, field.field, i)));
        }
      } else if (r.HasField(message, field.field)) {
        visit(static_cast<v1::Secret&>(*r.MutableMessage(&message, field.field)));
      }
    }
  });
}

// Keys of K3s's own that hold secrets.
template <typename Visit>
void ForEachSecretValue(v1::MachineConfig& config, Visit visit) {
  if (!config.has_k3s()) return;
  for (auto& [name, value] : *config.mutable_k3s()->mutable_config()) {
    const K3sKey* key = FindK3sKey(name);
    if (key != nullptr && key->secret) visit(value);
  }
}

// "secret" of "postgres://user:secret@host": programs log the parts of a URL as well as the whole.
std::string UrlPassword(absl::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme == absl::string_view::npos) return "";
  const absl::string_view rest = text.substr(scheme + 3);
  const size_t at = rest.rfind('@');
  if (at == absl::string_view::npos) return "";
  const size_t colon = rest.find(':');
  return colon < at ? std::string(rest.substr(colon + 1, at - colon - 1)) : "";
}

}  // namespace

v1::MachineConfig Resolve(v1::MachineConfig config) {
  if (config.has_metadata()) config.mutable_metadata()->mutable_apply();
  if (config.has_k3s()) config.mutable_k3s()->mutable_health();
  FillDefaults(config);
  return config;
}

v1::TrustPolicy Resolve(v1::TrustPolicy policy) {
  FillDefaults(policy);
  return policy;
}

v1::MachineConfig Redact(v1::MachineConfig config) {
  ForEachSecret(config, [](v1::Secret& secret) { secret.set_plain(std::string(yaml::kRedacted)); });
  ForEachSecretValue(config,
                     [](v1::ConfigValue& value) { value.set_text(std::string(yaml::kRedacted)); });
  // Subtrees that the schema marks although they are not of type Secret.
  ForEachMessage(config, [](Message& message) {
    for (const FieldInfo& field : Describe(message.GetDescriptor()).fields) {
      if (field.rules.secret()) message.GetReflection()->ClearField(&message, field.field);
    }
  });
  return config;
}

std::vector<std::string> SecretValues(const v1::MachineConfig& config) {
  v1::MachineConfig copy = config;
  std::vector<std::string> out;
  auto add = [&](absl::string_view value) {
    if (value.size() >= kShortestSecret) out.emplace_back(value);
  };
  ForEachSecret(copy, [&](v1::Secret& secret) {
    if (!secret.has_plain()) return;
    add(secret.plain());
    add(UrlPassword(secret.plain()));
  });
  ForEachSecretValue(copy, [&](v1::ConfigValue& value) {
    if (value.has_text()) add(value.text());
    if (value.has_list()) {
      for (const std::string& element : value.list().values()) add(element);
    }
  });
  // The longest first: replacing a part before the whole would leave the rest of it standing.
  std::sort(out.begin(), out.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace basalt::schema
