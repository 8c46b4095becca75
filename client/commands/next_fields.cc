#include "client/commands/next_fields.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "machineconfig/docs/field_doc.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::client {
namespace {

enum class For { kBoth, kServer, kAgent };

struct Next {
  absl::string_view section;
  absl::string_view field;
  absl::string_view value;  // YAML in flow style
  For role = For::kBoth;
  absl::string_view words = "";  // instead of those of the schema
};

constexpr Next kNext[] = {
    {"metadata", "labels", "{site: lab}"},
    {"metadata", "apply", "{mode: try, confirmWithin: 10m}"},
    {"metadata", "reason", "first config of this node"},
    {"api", "allowedNetworks", "[192.168.0.0/16]"},
    {"k3s", "cluster", "{init: true}", For::kServer,
     "The first of several servers, with embedded etcd. The others name this one: "
     "{server: \"https://HOST:6443\"}."},
    {"k3s", "datastore", "{endpoint: \"postgres://k3s:PASSWORD@db.example.org:5432/k3s\"}",
     For::kServer},
    {"k3s", "node", "{labels: {topology.kubernetes.io/zone: rack-1}}"},
    {"k3s", "tlsSans", "[k3s.example.org]", For::kServer},
    {"k3s", "registries",
     "{mirrors: [{name: docker.io, endpoints: [\"https://mirror.example.org\"]}]}"},
    {"k3s", "config", "{disable: [traefik]}", For::kServer},
    {"k3s", "config", "{kubelet-arg: [max-pods=150]}", For::kAgent},
};

// Sections of the machine itself, whole; behind everything else.
constexpr absl::string_view kMachine[][2] = {
    {"system", "{time: {servers: [{address: time.cloudflare.com, nts: true}]}}"},
    {"network",
     "{interfaces: [{name: eth0, addresses: [192.168.1.10/24], routes: [{to: default, via: "
     "192.168.1.1}]}]}"},
    {"storage", "{volumes: [{name: longhorn, disk: {type: nvme}, path: /var/lib/longhorn}]}"},
};

bool IsThere(const v1::MachineConfig& config, const Next& next) {
  const schema::FieldInfo* section = schema::Describe(config.GetDescriptor()).Find(next.section);
  if (section == nullptr || !yaml::IsPresent(config, *section)) return true;  // nowhere to put it
  const auto& message = config.GetReflection()->GetMessage(config, section->field);
  const schema::FieldInfo* field = section->message->Find(next.field);
  return field == nullptr || yaml::IsPresent(message, *field);
}

std::string Words(const Next& next) {
  if (!next.words.empty()) return std::string(next.words);
  const auto doc = docs::Explain(absl::StrCat(next.section, ".", next.field));
  return doc.ok() ? doc->description : "";
}

// Broken at spaces; each line behind `before`.
std::string Comment(absl::string_view text, absl::string_view before = "  # ") {
  constexpr size_t kWidth = 96;
  std::string out, line;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (!line.empty() && line.size() + 1 + word.size() > kWidth) {
      absl::StrAppend(&out, line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? before : " ", word);
  }
  return line.empty() ? out : absl::StrCat(out, line, "\n");
}

std::string Suggestions(const v1::MachineConfig& config, absl::string_view section) {
  const bool agent = config.k3s().role() == v1::K3S_ROLE_AGENT;
  std::string out;
  for (const Next& next : kNext) {
    if (next.section != section || IsThere(config, next)) continue;
    if (next.role == (agent ? For::kServer : For::kAgent)) continue;
    absl::StrAppend(&out, Comment(Words(next)), "  #", next.field, ": ", next.value, "\n");
  }
  return out;
}

std::string MachineSections(const v1::MachineConfig& config) {
  std::string out;
  for (const auto& [section, value] : kMachine) {
    const schema::FieldInfo* field = schema::Describe(config.GetDescriptor()).Find(section);
    if (field == nullptr || yaml::IsPresent(config, *field)) continue;
    const auto doc = docs::Explain(section);
    absl::StrAppend(&out, doc.ok() ? Comment(doc->description, "# ") : "", "#", section, ": ",
                    value, "\n");
  }
  if (out.empty()) return out;
  return absl::StrCat(
      "\n# The machine itself: `nodectl explain network` and so on. A node on the sandbox platform "
      "shows\n# these sections in its plan and refuses them.\n",
      out);
}

bool BeginsSection(absl::string_view line) {
  return !line.empty() && line[0] != ' ' && line[0] != '#';
}

}  // namespace

std::string WithNextFields(absl::string_view text, const v1::MachineConfig& config) {
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  std::string out, section;
  size_t begun = 0;  // the line that names the section
  auto end_section = [&](size_t next) {
    // Empty lines and comments at the left margin belong to what follows.
    size_t end = next;
    while (end > begun + 1 && (lines[end - 1].empty() || lines[end - 1][0] == '#')) --end;
    for (size_t i = begun; i < end; ++i) absl::StrAppend(&out, lines[i], "\n");
    out += Suggestions(config, section);
    for (size_t i = end; i < next; ++i) absl::StrAppend(&out, lines[i], "\n");
    begun = next;
  };
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!BeginsSection(lines[i])) continue;
    end_section(i);
    section = std::string(lines[i].substr(0, lines[i].find(':')));
  }
  end_section(lines.size());
  return out + MachineSections(config);
}

}  // namespace basalt::client
