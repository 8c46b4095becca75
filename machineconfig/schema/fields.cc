#include "machineconfig/schema/fields.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/dynamic_message.h"

namespace basalt::schema {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

FieldKind KindOf(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
    case FieldDescriptor::CPPTYPE_INT64:
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return FieldKind::kInt;
    case FieldDescriptor::CPPTYPE_BOOL:
      return FieldKind::kBool;
    case FieldDescriptor::CPPTYPE_ENUM:
      return FieldKind::kEnum;
    case FieldDescriptor::CPPTYPE_STRING:
      return field.type() == FieldDescriptor::TYPE_STRING ? FieldKind::kString
                                                          : FieldKind::kUnsupported;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (field.message_type()->full_name() == "basalt.v1.Secret") return FieldKind::kSecret;
      if (field.message_type()->full_name() == "basalt.v1.ConfigValue") {
        return FieldKind::kConfigValue;
      }
      return FieldKind::kMessage;
    default:
      return FieldKind::kUnsupported;
  }
}

class Tables {
 public:
  const MessageInfo& Get(const Descriptor* descriptor) {
    {
      absl::ReaderMutexLock lock(&mutex_);
      auto it = built_.find(descriptor);
      if (it != built_.end()) return *it->second;
    }
    absl::MutexLock lock(&mutex_);
    return *Build(descriptor);
  }

 private:
  const MessageInfo* Build(const Descriptor* descriptor) {
    auto [it, fresh] = built_.try_emplace(descriptor, nullptr);
    if (!fresh) return it->second.get();
    auto owned = std::make_unique<MessageInfo>();
    MessageInfo* info = owned.get();
    it->second = std::move(owned);
    info->descriptor = descriptor;
    info->fields.resize(descriptor->field_count());
    for (int i = 0; i < descriptor->field_count(); ++i) {
      BuildField(*descriptor->field(i), i, info->fields[i]);
      info->by_name.emplace(info->fields[i].name, &info->fields[i]);
    }
    return info;
  }

  void BuildField(const FieldDescriptor& field, int index, FieldInfo& out) {
    out.field = &field;
    out.index = index;
    out.name = field.json_name();
    out.rules = field.options().GetExtension(v1::field);
    if (field.is_map()) {
      out.kind = FieldKind::kMap;
      out.value_kind = KindOf(*field.message_type()->map_value());
      return;
    }
    out.kind = KindOf(field);
    out.repeated = field.is_repeated();
    if (out.kind == FieldKind::kEnum) {
      for (int i = 0; i < field.enum_type()->value_count(); ++i) {
        const EnumValueDescriptor& value = *field.enum_type()->value(i);
        if (value.number() != 0) out.enum_names.push_back(EnumName(value));
      }
    }
    if (out.kind == FieldKind::kMessage) {
      out.message = Build(field.message_type());
      if (out.rules.list() == v1::LIST_MAP) out.key = out.message->Find(out.rules.key());
    }
  }

  absl::Mutex mutex_;
  // Built under the writer lock and never changed after it is released.
  absl::flat_hash_map<const Descriptor*, std::unique_ptr<MessageInfo>> built_;
};

void FindPaths(const MessageInfo& info, absl::string_view name, const std::string& path, int depth,
               std::vector<std::string>& out) {
  if (depth > 8) return;
  for (const FieldInfo& field : info.fields) {
    std::string here = Child(path, field.name);
    if (field.name == name) out.push_back(here);
    if (field.message != nullptr) FindPaths(*field.message, name, here, depth + 1, out);
  }
}

// What the thing is called elsewhere.
constexpr std::pair<absl::string_view, absl::string_view> kOtherWords[] = {
    {"x86_64", "amd64"},
    {"x64", "amd64"},
    {"aarch64", "arm64"},
    {"armhf", "arm"},
    {"armv7", "arm"},
    {"armv7l", "arm"},
    {"master", "server"},
    {"control-plane", "server"},
    {"controlplane", "server"},
    {"worker", "agent"},
    {"administrator", "admin"},
    {"root", "admin"},
    {"viewer", "reader"},
    {"hostname", "name"},
    {"environment", "env"},
    {"ram", "memory"},
    {"gateway", "via"},
    {"gateway", "routes"},
    {"gateway4", "routes"},
    {"gateway6", "routes"},
    {"nameservers", "dns"},
    {"nameservers", "servers"},
    {"resolvers", "dns"},
    {"slaves", "members"},
    {"ports", "members"},
    {"interfaces", "members"},
    {"parent", "link"},
    {"hwaddr", "mac"},
    {"hardwareaddr", "mac"},
    {"hardwareaddr", "match"},
    {"mac", "match"},
    {"interface", "name"},
    {"deny", "drop"},
    {"reject", "drop"},
    {"block", "drop"},
    {"allow", "accept"},
    {"macaddress", "mac"},
    {"deviceselector", "match"},
    {"mountpoint", "path"},
    {"mountpath", "path"},
    {"fstype", "filesystem"},
    {"format", "filesystem"},
    {"ethernets", "interfaces"},
    {"lacp", "802.3ad"},
    {"persistentkeepalive", "keepalive"},
    {"allowedips", "allowedIps"},
    {"timezone", "timeZone"},
    {"ntp", "time"},
};

}  // namespace

const MessageInfo& Describe(const Descriptor* descriptor) {
  static Tables* const tables = new Tables;
  return tables->Get(descriptor);
}

std::unique_ptr<Message> NewMessage(const Descriptor& descriptor) {
  if (descriptor.file()->pool() == google::protobuf::DescriptorPool::generated_pool()) {
    return std::unique_ptr<Message>(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(&descriptor)->New());
  }
  static auto* const factory = new google::protobuf::DynamicMessageFactory;
  return std::unique_ptr<Message>(factory->GetPrototype(&descriptor)->New());
}

std::string EnumName(const EnumValueDescriptor& value) {
  // The zero value is always PREFIX_UNSPECIFIED.
  absl::string_view prefix = value.type()->value(0)->name();
  absl::ConsumeSuffix(&prefix, "UNSPECIFIED");
  absl::string_view name = value.name();
  absl::ConsumePrefix(&name, prefix);
  return absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"_", "-"}});
}

const EnumValueDescriptor* FindEnum(const EnumDescriptor& type, absl::string_view name) {
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0 && EnumName(*type.value(i)) == name) return type.value(i);
  }
  return nullptr;
}

std::string Child(absl::string_view path, absl::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(path, ".", name);
}

std::string Element(absl::string_view path, absl::string_view key) {
  std::string out = absl::StrCat(path, "[");
  for (char c : key.substr(0, kMaxPathKey)) {
    if (c == ']' || c == '\\') out += '\\';
    out += c;
  }
  absl::StrAppend(&out, key.size() > kMaxPathKey ? "..." : "", "]");
  return out;
}

std::string Element(absl::string_view path, int index) {
  return absl::StrCat(path, "[", index, "]");
}

std::string ElementPath(absl::string_view path, const Message& message, const FieldInfo& field,
                        int index) {
  if (field.key == nullptr) return Element(path, index);
  const auto& reflection = *message.GetReflection();
  auto key_of = [&](int i) {
    const Message& element = reflection.GetRepeatedMessage(message, field.field, i);
    return element.GetReflection()->GetString(element, field.key->field);
  };
  const std::string key = key_of(index);
  if (key.empty() || key.size() > kMaxPathKey) return Element(path, index);
  for (int i = 0; i < index; ++i) {
    if (key_of(i) == key) return Element(path, index);
  }
  return Element(path, key);
}

size_t EditDistance(absl::string_view a, absl::string_view b) {
  // Optimal string alignment: insert, delete, replace, swap of neighbours.
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = absl::ascii_tolower(a[i - 1]) == absl::ascii_tolower(b[j - 1]);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

std::string Nearest(absl::string_view word, const std::vector<absl::string_view>& names) {
  for (const auto& [other, ours] : kOtherWords) {
    if (!absl::EqualsIgnoreCase(word, other)) continue;
    if (std::find(names.begin(), names.end(), ours) != names.end()) return std::string(ours);
  }
  if (word.empty() || word.size() > 64) return "";
  const size_t limit = word.size() <= 3 ? 1 : word.size() <= 6 ? 2 : 3;
  size_t best = limit + 1;
  absl::string_view found;
  for (absl::string_view name : names) {
    const size_t distance = EditDistance(word, name);
    if (distance < best && distance < name.size()) {
      best = distance;
      found = name;
    }
  }
  return std::string(found);
}

std::string UniquePathOf(const MessageInfo& root, absl::string_view name) {
  std::vector<std::string> found;
  FindPaths(root, name, "", 0, found);
  return found.size() == 1 ? found[0] : "";
}

}  // namespace basalt::schema
