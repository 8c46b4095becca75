// What can be said about a field, as a value: the one source of `explain`, of the reference page
// and of the words in the JSON Schema. Everything comes from the descriptors, their annotations and
// the comments of the sources; keys of k3s.config come from the catalogue. Pure, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "basalt/v1/options.pb.h"
#include "google/protobuf/descriptor.h"
#include "machineconfig/docs/source.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"

namespace basalt::docs {

// A value that is allowed, and what it means where that is said.
struct Choice {
  std::string value;
  std::string means;
};

// What is known of a key of K3s's own configuration file.
struct K3sKeyDoc {
  std::string on;       // "servers", "agents", "servers and agents"
  std::string since;    // "v1.28": the first line with a release that knows it
  std::string ports;    // "v1.28.12, v1.29.7": where a line learnt it midway
  std::string until;    // the last line that knows it; empty: still known
  std::string instead;  // what to use where it is gone
  std::string use;      // noded sets it from this field; empty: it may stand here
  std::string refused;  // why it may not stand anywhere
};

struct FieldDoc {
  std::string kind;  // "MachineConfig"
  std::string path;  // "k3s.registries.mirrors.endpoints"; empty: the document itself
  std::string name;  // its last word
  std::string type;  // "string", "list of sections", "map of strings"
  std::string description;
  std::string format;        // "duration"; empty: any text
  std::string format_words;  // what that is
  std::string key_format;    // of a map
  std::string pattern;       // of the text, anchored
  std::string limits;        // "from 1 to 16", "at most 64 elements"
  std::vector<Choice> choices;
  std::string default_text;  // YAML
  std::string example;       // YAML
  std::string example_json;  // the same, of sections: to be shown one field a line
  std::string effect;        // "restart-k3s"; empty where effects have no meaning
  std::string effect_words;
  std::string since;                  // product version; of a key of K3s see `k3s`
  std::string deprecated;             // what to use instead
  std::vector<std::string> excludes;  // fields that cannot stand beside it
  std::string element_key;            // of a list of sections: the field that tells them apart
  bool required = false;
  bool filled_in = false;  // nodectl fills it in before it signs
  bool secret = false;
  bool cluster = false;  // of the cluster, not of the node: the same on all of its servers
  std::optional<K3sKeyDoc> k3s;
  std::vector<FieldDoc> fields;
};

// The kinds of documents of this program, MachineConfig first. Descriptors of a served schema
// (source.h) are taken by everything below as well.
const std::vector<const google::protobuf::Descriptor*>& Kinds();
// By its name, in any case; null when there is none.
const google::protobuf::Descriptor* FindKind(absl::string_view name);

// The whole kind, with everything below it.
FieldDoc DescribeKind(const google::protobuf::Descriptor& kind);

// What is at PATH: "", "k3s.cluster", "TrustPolicy.grants", "k3s.config.kubelet-arg", and paths as
// errors and plans write them: "k3s.registries.mirrors[docker.io].endpoints[0]". The kind is
// MachineConfig when none is named. NotFound/"unknown-path", with the nearest name.
absl::StatusOr<FieldDoc> Explain(absl::string_view path, const Source& source = BuiltIn());

// Every path that `Explain` knows, with the kind before those of other kinds than MachineConfig.
std::vector<std::string> AllPaths();

// Some field below says another effect than the section.
bool EffectsDiffer(const FieldDoc& doc);

// The parts that the JSON Schema needs as well.
std::string FormatName(v1::Format format);         // "ip-or-dns"
absl::string_view FormatWords(v1::Format format);  // from options.proto
std::string EffectName(v1::Effect effect);         // "restart-k3s"
FieldDoc DescribeK3sKey(const schema::K3sKey& key);
absl::string_view FormatWords(schema::K3sKeyFormat format);
std::vector<Choice> ChoicesOf(const schema::FieldInfo& field);
std::string LimitsOf(const schema::FieldInfo& field);

}  // namespace basalt::docs
