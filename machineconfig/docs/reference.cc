#include "machineconfig/docs/reference.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/docs/comments.h"
#include "machineconfig/docs/field_doc.h"
#include "machineconfig/schema/fields.h"

namespace basalt::docs {
namespace {

constexpr absl::string_view kHead =
    R"(<!-- Generated from api/basalt/v1 by `./dev docs`: edit the comments and annotations there. -->

# Reference

Every field of every document, as `nodectl explain PATH` tells them one by one; `nodectl schema` gives the same to an
editor. **Required** fields stand in every document; what nodectl **fills in** before it signs may be left out. A field
that is left out has its default. *A change* says what changing the field costs; see [Effects](#effects). Formats are
explained [below](#formats).
)";

// Of a cell: a bar would end it. Inside code as well.
std::string Cell(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"|", "\\|"}, {"\n", " "}});
}

// Prose: what Markdown would take for orders stays as it is written. Code between ` stays as it is.
std::string Prose(absl::string_view text) {
  std::string out;
  bool code = false;
  for (char c : text) {
    if (c == '`') code = !code;
    if (!code && (c == '*' || c == '<' || c == '_')) out += '\\';
    out += c;
  }
  return Cell(out);
}

std::string Code(absl::string_view text) { return Cell(absl::StrCat("`", text, "`")); }

std::string Anchor(absl::string_view path) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(path), {{".", ""}, {"`", ""}});
}

std::string Heading(const FieldDoc& doc) {
  return doc.kind == "MachineConfig" ? doc.path : absl::StrCat(doc.kind, ".", doc.path);
}

bool HasPage(const FieldDoc& doc) { return !doc.fields.empty(); }

std::string Type(const FieldDoc& doc) {
  std::string out =
      HasPage(doc) ? absl::StrCat("[", doc.type, "](#", Anchor(Heading(doc)), ")") : doc.type;
  if (!doc.format.empty()) absl::StrAppend(&out, ": [", doc.format, "](#formats)");
  return out;
}

std::string Need(const FieldDoc& doc) {
  if (doc.filled_in) return "filled in";
  return doc.required ? "required" : "";
}

// What is said of the field beside its comment.
std::string Facts(const FieldDoc& doc, absl::string_view outer_effect) {
  std::vector<std::string> facts;
  if (!doc.description.empty()) facts.push_back(Prose(doc.description));
  if (doc.choices.size() == 1) {
    facts.push_back(absl::StrCat("Always ", Code(doc.choices[0].value), "."));
  } else if (!doc.choices.empty()) {
    auto shown = [](std::string* out, const Choice& choice) {
      absl::StrAppend(out, Code(choice.value));
      if (!choice.means.empty()) absl::StrAppend(out, " (", Prose(choice.means), ")");
    };
    facts.push_back(absl::StrCat("One of ", absl::StrJoin(doc.choices, ", ", shown), "."));
  }
  if (doc.format.empty() && !doc.format_words.empty()) {
    facts.push_back(absl::StrCat("Must be ", Prose(doc.format_words), "."));
  }
  if (!doc.key_format.empty()) {
    facts.push_back(absl::StrCat("Keys: [", doc.key_format, "](#formats)."));
  }
  if (!doc.limits.empty()) {
    facts.push_back(absl::StrCat("Limits: ", doc.limits, "."));
  }
  if (!doc.excludes.empty()) {
    facts.push_back(absl::StrCat("Not beside ",
                                 absl::StrJoin(doc.excludes, ", ",
                                               [](std::string* out, const std::string& name) {
                                                 absl::StrAppend(out, Code(name));
                                               }),
                                 "."));
  }
  if (!doc.default_text.empty()) {
    facts.push_back(absl::StrCat("Default: ", Code(doc.default_text), "."));
  }
  if (!doc.example.empty()) facts.push_back(absl::StrCat("Example: ", Code(doc.example), "."));
  if (!doc.effect.empty() && doc.effect != outer_effect) {
    facts.push_back(absl::StrCat("*A change:* ", doc.effect, "."));
  }
  if (doc.cluster) facts.push_back("*Cluster-scoped.*");
  if (!doc.deprecated.empty()) {
    facts.push_back(absl::StrCat("**Deprecated:** ", Prose(doc.deprecated), "."));
  }
  if (doc.since != "0.1.0") facts.push_back(absl::StrCat("Since ", doc.since, "."));
  return absl::StrJoin(facts, " ");
}

std::string Table(const FieldDoc& doc) {
  std::string out = "\n| field | type | | |\n| --- | --- | --- | --- |\n";
  // At the top every change is live that says nothing else.
  const std::string outer = doc.path.empty() ? "live" : doc.effect;
  for (const FieldDoc& field : doc.fields) {
    absl::StrAppend(&out, "| ", Code(field.name), " | ", Type(field), " | ", Need(field), " | ",
                    Facts(field, outer), " |\n");
  }
  return out;
}

// What stands behind a key that the owner may set.
std::string KeyFacts(const FieldDoc& key) {
  std::vector<std::string> facts;
  if (!key.description.empty()) facts.push_back(Prose(key.description));
  if (!key.choices.empty()) {
    facts.push_back(absl::StrCat("One of ",
                                 absl::StrJoin(key.choices, ", ",
                                               [](std::string* out, const Choice& choice) {
                                                 absl::StrAppend(out, Code(choice.value), " (",
                                                                 Prose(choice.means), ")");
                                               }),
                                 "."));
  }
  if (!key.format_words.empty()) {
    facts.push_back(absl::StrCat("Format: ", Prose(key.format_words), "."));
  }
  if (!key.limits.empty()) facts.push_back(absl::StrCat("Limits: ", key.limits, "."));
  if (!key.default_text.empty()) {
    facts.push_back(absl::StrCat("Default: ", Code(key.default_text), "."));
  }
  if (!key.k3s->ports.empty()) {
    facts.push_back(absl::StrCat("First in ", key.k3s->ports, " of these lines."));
  }
  if (!key.k3s->instead.empty()) {
    facts.push_back(absl::StrCat("Then ", Code(key.k3s->instead), "."));
  }
  if (key.effect == "reinstall") facts.push_back("*A change:* reinstall.");
  return absl::StrJoin(facts, " ");
}

std::string Lines(const K3sKeyDoc& k3s) {
  return absl::StrCat(k3s.since, k3s.until.empty() ? "" : absl::StrCat(" to ", k3s.until));
}

// Three tables: what belongs to the cluster, what to the node, and what noded sets itself.
std::string K3sKeyTable(const FieldDoc& doc) {
  constexpr absl::string_view kColumns =
      "\n| key | type | on | K3s | |\n| --- | --- | --- | --- | --- |\n";
  std::string cluster, node, owned;
  for (const FieldDoc& key : doc.fields) {
    const K3sKeyDoc& k3s = *key.k3s;
    if (!k3s.use.empty() || !k3s.refused.empty()) {
      absl::StrAppend(&owned, "| ", Code(key.name), " | ",
                      k3s.use.empty() ? absl::StrCat("not allowed: ", Prose(k3s.refused))
                                      : absl::StrCat("use ", Code(k3s.use)),
                      " |\n");
      continue;
    }
    absl::StrAppend(key.cluster ? &cluster : &node, "| ", Code(key.name), " | ", key.type, " | ",
                    k3s.on, " | ", Lines(k3s), " | ", KeyFacts(key), " |\n");
  }
  return absl::StrCat(
      "\n**Cluster-scoped**: the same on all servers of a cluster. A server that differs does not "
      "join, or the cluster misbehaves; `nodectl status` says where servers differ.\n",
      kColumns, cluster, "\n**Node-scoped**: each node may have its own.\n", kColumns, node,
      "\n**Not here**: noded sets these from other fields, or refuses them.\n"
      "\n| key | |\n| --- | --- |\n",
      owned);
}

void Page(const FieldDoc& doc, std::string& out) {
  absl::StrAppend(&out, "\n### `", Heading(doc), "`\n\n", Prose(doc.description), "\n");
  std::vector<std::string> facts;
  if (!doc.element_key.empty()) {
    facts.push_back(absl::StrCat("A ", doc.type, ", told apart by `", doc.element_key, "`"));
  }
  if (!doc.limits.empty()) facts.push_back(doc.limits);
  if (!doc.effect.empty()) {
    facts.push_back(absl::StrCat("A change: ", doc.effect,
                                 EffectsDiffer(doc) ? ", where a field says nothing else" : ""));
  }
  if (!facts.empty()) absl::StrAppend(&out, absl::StrJoin(facts, "; "), ".\n");
  out += doc.fields[0].k3s ? K3sKeyTable(doc) : Table(doc);
  for (const FieldDoc& field : doc.fields) {
    if (HasPage(field)) Page(field, out);
  }
}

std::string EnumTable(const google::protobuf::EnumDescriptor& type) {
  std::string out;
  for (int i = 0; i < type.value_count(); ++i) {
    const auto& value = *type.value(i);
    if (value.number() == 0) continue;
    absl::StrAppend(&out, "| ", schema::EnumName(value), " | ", Prose(CommentOf(value.full_name())),
                    " |\n");
  }
  return out;
}

}  // namespace

std::string ReferenceMarkdown() {
  std::string out(kHead);
  for (const auto* kind : Kinds()) {
    const FieldDoc doc = DescribeKind(*kind);
    absl::StrAppend(&out, "\n## ", doc.kind, "\n");
    if (!doc.description.empty()) absl::StrAppend(&out, "\n", Prose(doc.description), "\n");
    out += Table(doc);
    for (const FieldDoc& field : doc.fields) {
      if (HasPage(field)) Page(field, out);
    }
  }
  absl::StrAppend(&out, "\n## Formats\n\n| format | |\n| --- | --- |\n",
                  EnumTable(*v1::Format_descriptor()));
  absl::StrAppend(&out, "\n## Effects\n\n| a change | costs |\n| --- | --- |\n",
                  EnumTable(*v1::Effect_descriptor()));
  return out;
}

}  // namespace basalt::docs
