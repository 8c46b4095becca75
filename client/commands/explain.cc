// nodectl explain: what a field of a document is, as kubectl explains those of Kubernetes.
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/commands/commands.h"
#include "client/commands/config_schema.h"
#include "client/output/messages.h"
#include "machineconfig/docs/field_doc.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

using docs::Choice;
using docs::FieldDoc;
using docs::K3sKeyDoc;
using nlohmann::ordered_json;

constexpr size_t kWidth = 96;

// Broken at spaces, each line behind `indent`.
std::string Wrapped(absl::string_view text, size_t indent) {
  const std::string margin(indent, ' ');
  std::string out;
  size_t column = kWidth + 1;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (column + 1 + word.size() > kWidth) {
      absl::StrAppend(&out, out.empty() ? "" : "\n", margin, word);
      column = indent + word.size();
    } else {
      absl::StrAppend(&out, " ", word);
      column += 1 + word.size();
    }
  }
  return out;
}

std::string Need(const FieldDoc& doc) {
  if (doc.filled_in) return "required; nodectl fills it in before it signs";
  return doc.required ? "required" : "";
}

std::string Releases(const K3sKeyDoc& k3s) {
  std::string out = k3s.until.empty() ? absl::StrCat(k3s.since, " and newer")
                                      : absl::StrCat(k3s.since, " to ", k3s.until);
  if (!k3s.ports.empty()) absl::StrAppend(&out, "; first in ", k3s.ports, " of these lines");
  if (!k3s.instead.empty()) absl::StrAppend(&out, "; then `", k3s.instead, "`");
  return out;
}

// What stands behind the type in a list of fields.
std::string Brief(const FieldDoc& field) {
  std::string out = field.filled_in ? "  filled in" : field.required ? "  required" : "";
  if (!field.choices.empty()) {
    absl::StrAppend(&out, "  ",
                    absl::StrJoin(field.choices, "|", [](std::string* to, const Choice& c) {
                      absl::StrAppend(to, c.value);
                    }));
  }
  if (!field.default_text.empty()) absl::StrAppend(&out, "  default ", field.default_text);
  // Of the few keys that belong to the cluster among the many that belong to the node.
  if (field.k3s && field.cluster) absl::StrAppend(&out, "  cluster-scoped");
  return out;
}

class Page {
 public:
  Page(const Io& io, const docs::Source& source) : io_(io), source_(source) {}

  std::string Text(const FieldDoc& doc, bool recursive) {
    Line("KIND", absl::StrCat(doc.kind, " (basalt/v1)"));
    if (doc.path.empty()) {
      Line("KINDS", absl::StrJoin(source_.kinds, ", ", [](std::string* out, const auto* kind) {
             absl::StrAppend(out, kind->name());
           }));
    } else {
      Line("FIELD", doc.path);
    }
    Line("TYPE", doc.element_key.empty()
                     ? doc.type
                     : absl::StrCat(doc.type, ", told apart by `", doc.element_key, "`"));
    if (!doc.format_words.empty()) {
      Line("FORMAT", doc.format.empty() ? doc.format_words
                                        : absl::StrCat(doc.format, ": ", doc.format_words));
    }
    if (!doc.key_format.empty()) Line("KEYS", doc.key_format);
    Line("LIMITS", doc.limits);
    Choices(doc);
    Line("NOT BESIDE", absl::StrJoin(doc.excludes, ", "));
    Line("DEFAULT", doc.default_text);
    Line("NEEDED", Need(doc));
    if (doc.secret)
      Line("SECRET",
           "redacted wherever it could be shown; `nodectl seal -f FILE PATH` writes it sealed");
    if (doc.k3s) K3s(*doc.k3s);
    if (doc.cluster) Line("SCOPE", "cluster: the same on all of its servers");
    if (!doc.effect.empty()) {
      Line("A CHANGE",
           absl::StrCat(doc.effect, ": ", doc.effect_words,
                        docs::EffectsDiffer(doc) ? ", where a field says nothing else" : ""));
    }
    Line("SINCE", doc.since);
    Line("DEPRECATED", doc.deprecated);
    if (!doc.description.empty()) absl::StrAppend(&out_, "\n", Wrapped(doc.description, 2), "\n");
    if (!doc.example_json.empty()) {
      absl::StrAppend(&out_, "\nEXAMPLE:\n");
      const std::string whole = absl::StrCat("{\"", doc.name, "\":", doc.example_json, "}");
      for (absl::string_view line : absl::StrSplit(JsonToYaml(whole), '\n', absl::SkipEmpty())) {
        absl::StrAppend(&out_, "  ", line, "\n");
      }
    } else if (!doc.example.empty()) {
      absl::StrAppend(&out_, "\nEXAMPLE:\n  ", doc.name, ": ", doc.example, "\n");
    }
    if (!doc.fields.empty()) {
      absl::StrAppend(&out_, "\n", Bold(io_, "FIELDS:"), "\n");
      Fields(doc, 2, recursive);
    }
    return out_;
  }

 private:
  void Line(absl::string_view title, absl::string_view text) {
    if (text.empty()) return;
    const std::string head = absl::StrCat(title, ":");
    absl::StrAppend(&out_, Bold(io_, head),
                    std::string(head.size() < 12 ? 12 - head.size() : 1, ' '), text, "\n");
  }

  void Choices(const FieldDoc& doc) {
    bool explained = false;
    for (const Choice& choice : doc.choices) explained = explained || !choice.means.empty();
    if (!explained) {
      return Line("ALLOWED",
                  absl::StrJoin(doc.choices, ", ", [](std::string* out, const Choice& c) {
                    absl::StrAppend(out, c.value);
                  }));
    }
    absl::string_view title = "ALLOWED";
    for (const Choice& choice : doc.choices) {
      const std::string text =
          choice.means.empty() ? choice.value : absl::StrCat(choice.value, ": ", choice.means);
      if (!title.empty()) {
        Line(title, text);
      } else {
        absl::StrAppend(&out_, std::string(12, ' '), text, "\n");
      }
      title = "";
    }
  }

  void K3s(const K3sKeyDoc& k3s) {
    Line("ON", k3s.on);
    Line("K3S", Releases(k3s));
    Line("OWNER", !k3s.use.empty()       ? absl::StrCat("noded; set `", k3s.use, "`")
                  : !k3s.refused.empty() ? absl::StrCat("noded: ", k3s.refused)
                                         : "you");
  }

  // With `recursive` names and types alone, all the way down, as kubectl has it.
  void Fields(const FieldDoc& doc, size_t indent, bool recursive) {
    for (const FieldDoc& field : doc.fields) {
      // Keys that may not stand here would hide those that may.
      if (field.k3s && !field.k3s->refused.empty()) continue;
      if (field.k3s && !field.k3s->use.empty()) continue;
      absl::StrAppend(&out_, std::string(indent, ' '), Bold(io_, field.name), "  <", field.type,
                      field.format.empty() ? "" : ": ", field.format, ">", Brief(field), "\n");
      if (recursive) {
        Fields(field, indent + 2, true);
      } else if (!field.description.empty()) {
        absl::StrAppend(&out_, Wrapped(field.description, indent + 4), "\n");
      }
    }
  }

  const Io& io_;
  const docs::Source& source_;
  std::string out_;
};

ordered_json Json(const FieldDoc& doc, bool recursive, bool top) {
  ordered_json out;
  auto text = [&](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  if (top) out["kind"] = doc.kind;
  out["path"] = doc.path;
  out["type"] = doc.type;
  text("description", doc.description);
  text("format", doc.format);
  text("formatWords", doc.format_words);
  text("keyFormat", doc.key_format);
  text("pattern", doc.pattern);
  text("limits", doc.limits);
  for (const Choice& choice : doc.choices) {
    ordered_json value{{"value", choice.value}};
    if (!choice.means.empty()) value["means"] = choice.means;
    out["allowed"].push_back(value);
  }
  text("default", doc.default_text);
  text("example", doc.example);
  out["required"] = doc.required;
  out["filledIn"] = doc.filled_in;
  out["secret"] = doc.secret;
  out["clusterScoped"] = doc.cluster;
  text("effect", doc.effect);
  text("since", doc.since);
  text("deprecated", doc.deprecated);
  text("elementKey", doc.element_key);
  if (!doc.excludes.empty()) out["notBeside"] = doc.excludes;
  if (doc.k3s) {
    ordered_json k3s{{"on", doc.k3s->on}, {"since", doc.k3s->since}};
    if (!doc.k3s->ports.empty()) k3s["ports"] = doc.k3s->ports;
    if (!doc.k3s->until.empty()) k3s["until"] = doc.k3s->until;
    if (!doc.k3s->instead.empty()) k3s["instead"] = doc.k3s->instead;
    k3s["owner"] = doc.k3s->use.empty() && doc.k3s->refused.empty() ? "user" : "noded";
    if (!doc.k3s->use.empty()) k3s["use"] = doc.k3s->use;
    if (!doc.k3s->refused.empty()) k3s["refused"] = doc.k3s->refused;
    out["k3s"] = std::move(k3s);
  }
  if (top || recursive) {
    for (const FieldDoc& field : doc.fields) {
      out["fields"].push_back(Json(field, recursive, false));
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<int> RunExplain(Session& session, const ExplainOptions& options) {
  Io& io = session.io();
  absl::StatusOr<ConfigSchema> schema = ConfigSchema::Of(session, options.node);
  if (!schema.ok()) return schema.status();
  absl::StatusOr<FieldDoc> doc = docs::Explain(options.path, schema->source());
  if (!doc.ok()) return doc.status();
  switch (io.format) {
    case Format::kJson:
      io.out << Json(*doc, options.recursive, true).dump(2) << "\n";
      break;
    case Format::kYaml:
      io.out << JsonToYaml(Json(*doc, options.recursive, true).dump());
      break;
    case Format::kName:
      io.out << (doc->path.empty() ? doc->kind : doc->path) << "\n";
      break;
    case Format::kTable:
    case Format::kWide:
      io.out << Page(io, schema->source()).Text(*doc, options.recursive);
  }
  return 0;
}

absl::StatusOr<int> RunPaths(Session& session) {
  for (const std::string& path : docs::AllPaths()) session.io().out << path << "\n";
  return 0;
}

}  // namespace basalt::client
