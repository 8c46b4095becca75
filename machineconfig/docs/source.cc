#include "machineconfig/docs/source.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "api/coded_status.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"
#include "google/protobuf/descriptor.pb.h"
#include "machineconfig/docs/comments.h"
#include "machineconfig/schema/fields.h"

namespace basalt::docs {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using schema::K3sKey;
using schema::K3sKeyOwner;
using schema::K3sKeyRole;
using schema::K3sKeyType;

constexpr int kMaxFiles = 64;
constexpr int kMaxShownFields = 20000;
constexpr size_t kMaxDepth = 32;  // as YAML
constexpr int kMaxKeys = 4096;

constexpr std::pair<absl::string_view, K3sKeyType> kTypes[] = {{"bool", K3sKeyType::kBool},
                                                               {"int", K3sKeyType::kInt},
                                                               {"string", K3sKeyType::kString},
                                                               {"list", K3sKeyType::kList}};
constexpr std::pair<absl::string_view, K3sKeyOwner> kOwners[] = {
    {"user", K3sKeyOwner::kUser},
    {"typed", K3sKeyOwner::kTyped},
    {"refused", K3sKeyOwner::kRefused}};

template <typename T, size_t n>
std::string WordOf(const std::pair<absl::string_view, T> (&words)[n], T value) {
  for (const auto& [word, one] : words) {
    if (one == value) return std::string(word);
  }
  return "";
}
template <typename T, size_t n>
T ValueOf(const std::pair<absl::string_view, T> (&words)[n], absl::string_view word, T otherwise) {
  for (const auto& [one, value] : words) {
    if (one == word) return value;
  }
  return otherwise;
}

absl::Status Bad(absl::string_view what) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-schema",
                    absl::StrCat("the schema that the node serves cannot be used: ", what),
                    "is the node of a release that this nodectl is too old for?");
}

// Errors of protobuf's own checks.
class FirstError : public DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string& file, const std::string& element,
                const google::protobuf::Message*, ErrorLocation,
                const std::string& message) override {
    if (text.empty()) text = absl::StrCat(file, ": ", element, ": ", message);
  }
  std::string text;
};

// Every message that a document can hold, once for each place: it must end, and soon.
absl::Status CheckMessage(const Descriptor& message, std::vector<const Descriptor*>& above,
                          int& shown) {
  if (std::find(above.begin(), above.end(), &message) != above.end()) {
    return Bad(absl::StrCat(message.full_name(), " contains itself"));
  }
  if (above.size() >= kMaxDepth) return Bad("it is nested too deeply");
  above.push_back(&message);
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    if (++shown > kMaxShownFields) return Bad("it is too large");
    const auto& rules = field.options().GetExtension(v1::field);
    if (field.is_map()) {
      const auto* key = field.message_type()->map_key();
      const auto* value = field.message_type()->map_value();
      const bool known = value->type() == FieldDescriptor::TYPE_STRING ||
                         (value->message_type() != nullptr &&
                          value->message_type()->full_name() == "basalt.v1.ConfigValue");
      if (key->type() != FieldDescriptor::TYPE_STRING || !known) {
        return Bad(absl::StrCat(field.full_name(), " is a map of an unknown type"));
      }
      continue;
    }
    if (field.message_type() == nullptr) continue;
    if (rules.list() == v1::LIST_MAP) {
      const FieldDescriptor* key = nullptr;
      for (int k = 0; k < field.message_type()->field_count(); ++k) {
        if (field.message_type()->field(k)->json_name() == rules.key()) {
          key = field.message_type()->field(k);
        }
      }
      if (key == nullptr || key->type() != FieldDescriptor::TYPE_STRING || key->is_repeated()) {
        return Bad(absl::StrCat(field.full_name(), " has no key of text"));
      }
    }
    const std::string& type = field.message_type()->full_name();
    if (type == "basalt.v1.Secret" || type == "basalt.v1.ConfigValue") continue;
    if (absl::Status s = CheckMessage(*field.message_type(), above, shown); !s.ok()) return s;
  }
  above.pop_back();
  return absl::OkStatus();
}

struct Registry {
  absl::Mutex mu;
  std::map<const DescriptorPool*, const Source*> of ABSL_GUARDED_BY(mu);
  std::vector<std::unique_ptr<const v1::ServedSchema>> texts ABSL_GUARDED_BY(mu);
};
Registry& TheRegistry() {
  static auto* const registry = new Registry;
  return *registry;
}

void AddFile(const google::protobuf::FileDescriptor& file,
             google::protobuf::FileDescriptorSet& out) {
  for (const auto& there : out.file()) {
    if (there.name() == file.name()) return;
  }
  for (int i = 0; i < file.dependency_count(); ++i) AddFile(*file.dependency(i), out);
  file.CopyTo(out.add_file());
}

}  // namespace

const Descriptor* Source::FindKind(absl::string_view name) const {
  for (const Descriptor* kind : kinds) {
    if (absl::EqualsIgnoreCase(kind->name(), name)) return kind;
  }
  return nullptr;
}

const K3sKey* Source::FindKey(absl::string_view name) const {
  auto it = std::lower_bound(k3s_keys.begin(), k3s_keys.end(), name,
                             [](const K3sKey& key, absl::string_view n) { return key.name < n; });
  return it != k3s_keys.end() && it->name == name ? &*it : nullptr;
}

absl::string_view Source::CommentOf(absl::string_view full_name) const {
  if (built_in()) return docs::CommentOf(full_name);
  auto it = comments.find(full_name);
  return it == comments.end() ? absl::string_view() : absl::string_view(it->second);
}

const Source& BuiltIn() {
  static const auto* const source = [] {
    auto* made = new Source;
    made->kinds = {v1::MachineConfig::descriptor(), v1::TrustPolicy::descriptor(),
                   v1::Action::descriptor(), v1::ConfigSet::descriptor()};
    made->k3s_keys.assign(schema::K3sKeys().begin(), schema::K3sKeys().end());
    return made;
  }();
  return *source;
}

const Source& SourceOf(const google::protobuf::FileDescriptor& file) {
  if (file.pool() == DescriptorPool::generated_pool()) return BuiltIn();
  Registry& registry = TheRegistry();
  absl::MutexLock lock(&registry.mu);
  auto it = registry.of.find(file.pool());
  return it == registry.of.end() ? BuiltIn() : *it->second;
}

v1::ServedSchema Serve(absl::string_view release) {
  v1::ServedSchema made;
  made.set_release(std::string(release));
  google::protobuf::FileDescriptorSet files;
  for (const Descriptor* kind : BuiltIn().kinds) {
    AddFile(*kind->file(), files);
    made.add_kinds(kind->full_name());
  }
  made.set_descriptors(files.SerializeAsString());
  for (const CommentEntry& entry : CommentTable()) {
    (*made.mutable_comments())[std::string(entry.name)] = std::string(entry.text);
  }
  for (const K3sKey& key : schema::K3sKeys()) {
    v1::ServedK3sKey& out = *made.add_k3s_keys();
    out.set_name(std::string(key.name));
    out.set_type(WordOf(kTypes, key.type));
    out.set_servers_only(key.role == K3sKeyRole::kServer);
    out.set_since(key.since);
    out.set_until(key.until);
    out.set_owner(WordOf(kOwners, key.owner));
    out.set_note(std::string(key.note));
    out.set_secret(key.secret);
    out.set_cluster_scoped(key.cluster_scoped);
  }
  return made;
}

absl::StatusOr<OwnedSource> Parse(const v1::ServedSchema& served) {
  google::protobuf::FileDescriptorSet files;
  if (!files.ParseFromString(served.descriptors()) || files.file_size() > kMaxFiles) {
    return Bad("it is not a set of descriptors");
  }
  if (served.k3s_keys_size() > kMaxKeys) return Bad("it is too large");
  auto pool = std::make_unique<DescriptorPool>();
  FirstError error;
  for (const auto& file : files.file()) {
    if (pool->BuildFileCollectingErrors(file, &error) == nullptr) return Bad(error.text);
  }
  auto source = std::make_unique<Source>();
  source->release = served.release().empty() ? "?" : served.release();
  int shown = 0;
  for (const std::string& name : served.kinds()) {
    const Descriptor* kind = pool->FindMessageTypeByName(name);
    if (kind == nullptr) return Bad(absl::StrCat(name, " is missing"));
    std::vector<const Descriptor*> above;
    if (absl::Status s = CheckMessage(*kind, above, shown); !s.ok()) return s;
    const bool first = kind->full_name() == v1::MachineConfig::descriptor()->full_name();
    source->kinds.insert(first ? source->kinds.begin() : source->kinds.end(), kind);
  }
  if (source->kinds.empty() ||
      source->kinds[0]->full_name() != v1::MachineConfig::descriptor()->full_name()) {
    return Bad("it has no MachineConfig");
  }
  for (const auto& [name, text] : served.comments()) source->comments.emplace(name, text);
  // Keys are views: of texts that live as long as the process.
  auto kept = std::make_unique<v1::ServedSchema>(served);
  for (const v1::ServedK3sKey& key : kept->k3s_keys()) {
    source->k3s_keys.push_back(
        {.name = key.name(),
         .type = ValueOf(kTypes, key.type(), K3sKeyType::kString),
         .role = key.servers_only() ? K3sKeyRole::kServer : K3sKeyRole::kBoth,
         .since = key.since(),
         .until = key.until(),
         .owner = ValueOf(kOwners, key.owner(), K3sKeyOwner::kUser),
         .note = key.note(),
         .secret = key.secret(),
         .cluster_scoped = key.cluster_scoped()});
  }
  std::sort(source->k3s_keys.begin(), source->k3s_keys.end(),
            [](const K3sKey& a, const K3sKey& b) { return a.name < b.name; });
  return OwnedSource{
      .texts = std::move(kept), .pool = std::move(pool), .source = std::move(source)};
}

absl::StatusOr<const Source*> Read(const v1::ServedSchema& served) {
  absl::StatusOr<OwnedSource> made = Parse(served);
  if (!made.ok()) return made.status();
  const Source* const out = made->source.release();
  Registry& registry = TheRegistry();
  absl::MutexLock lock(&registry.mu);
  registry.of.emplace(made->pool.release(), out);
  registry.texts.push_back(std::move(made->texts));
  return out;
}

}  // namespace basalt::docs
