#include "machineconfig/schema/secrets.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"

namespace basalt::schema {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;
using SecretVisitor = absl::FunctionRef<void(const std::string& path, v1::Secret& secret)>;

Message& Below(Message& m, const FieldInfo& f) {
  return *m.GetReflection()->MutableMessage(&m, f.field);
}
const Message& Below(const Message& m, const FieldInfo& f) {
  return m.GetReflection()->GetMessage(m, f.field);
}
Message& Below(Message& m, const FieldInfo& f, int i) {
  return *m.GetReflection()->MutableRepeatedMessage(&m, f.field, i);
}
const Message& Below(const Message& m, const FieldInfo& f, int i) {
  return m.GetReflection()->GetRepeatedMessage(m, f.field, i);
}

void Visit(const SecretVisitor& visit, const std::string& path, Message& secret) {
  visit(path, static_cast<v1::Secret&>(secret));
}
template <typename Look>
void Visit(const Look& look, const std::string& path, const Message& secret) {
  look(path, static_cast<const v1::Secret&>(secret));
}

// M is Message or const Message: a config that others read at the same time is only looked at.
template <typename M, typename Fn>
void Walk(M& message, const std::string& path, const Fn& fn) {
  const Reflection& r = *message.GetReflection();
  for (const FieldInfo& field : Describe(message.GetDescriptor()).fields) {
    if (field.kind != FieldKind::kMessage && field.kind != FieldKind::kSecret) continue;
    const std::string child = Child(path, field.name);
    auto enter = [&](M& below, const std::string& at) {
      if (field.kind == FieldKind::kSecret) {
        Visit(fn, at, below);
      } else {
        Walk<M, Fn>(below, at, fn);
      }
    };
    if (!field.repeated) {
      if (r.HasField(message, field.field)) enter(Below(message, field), child);
      continue;
    }
    for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
      enter(Below(message, field, i), ElementPath(child, message, field, i));
    }
  }
}

template <typename Fn>
void Look(const v1::MachineConfig& config, const Fn& fn) {
  Walk<const Message, Fn>(config, "", fn);
}

void Cleanse(std::string& text) { OPENSSL_cleanse(text.data(), text.size()); }

}  // namespace

void VisitSecrets(v1::MachineConfig& config, SecretVisitor visit) {
  Walk<Message, SecretVisitor>(config, "", visit);
}

std::vector<std::string> PlaintextSecrets(const v1::MachineConfig& config) {
  std::vector<std::string> out;
  Look(config, [&](const std::string& path, const v1::Secret& secret) {
    if (secret.has_plain()) out.push_back(path);
  });
  std::vector<std::string> keys;
  for (const auto& [name, value] : config.k3s().config()) {
    const K3sKey* key = FindK3sKey(name);
    if (key != nullptr && key->secret) keys.push_back(Element("k3s.config", name));
  }
  std::sort(keys.begin(), keys.end());  // a map has no order
  out.insert(out.end(), keys.begin(), keys.end());
  return out;
}

std::vector<std::string> SealedSecrets(const v1::MachineConfig& config) {
  std::vector<std::string> out;
  Look(config, [&](const std::string& path, const v1::Secret& secret) {
    if (secret.has_sealed()) out.push_back(path);
  });
  return out;
}

bool HasSealedSecrets(const v1::MachineConfig& config) { return !SealedSecrets(config).empty(); }

void CleanseSecrets(v1::MachineConfig& config) {
  VisitSecrets(config, [](const std::string&, v1::Secret& secret) {
    if (secret.has_plain()) Cleanse(*secret.mutable_plain());
  });
  if (!config.has_k3s()) return;
  for (auto& [name, value] : *config.mutable_k3s()->mutable_config()) {
    const K3sKey* key = FindK3sKey(name);
    if (key != nullptr && key->secret && value.has_text()) Cleanse(*value.mutable_text());
  }
}

}  // namespace basalt::schema
