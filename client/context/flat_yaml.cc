#include "client/context/flat_yaml.h"

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/yaml/scalar.h"
#include "machineconfig/yaml/tree.h"

namespace basalt::client {
namespace {

class Reader {
 public:
  Reader(const yaml::Tree& tree, const std::string& file, std::vector<api::Violation>& errors)
      : tree_(tree), file_(file), errors_(errors) {}

  void Top(absl::string_view list_key, ListOf list_of, FlatFile& out) {
    list_of_ = list_of;
    const yaml::Node& root = tree_.root();
    if (root.kind == yaml::NodeKind::kNull) return;
    if (root.kind != yaml::NodeKind::kMap) return Error(root, "must be a map");
    Map(root, list_key, out.top, &out);
  }

 private:
  void Error(const yaml::Node& at, std::string message, std::string path = "") {
    errors_.push_back({.reason = "wrong-type",
                       .file = file_,
                       .line = at.line,
                       .column = at.column,
                       .path = std::move(path),
                       .message = std::move(message)});
  }

  void Map(const yaml::Node& map, absl::string_view list_key, FlatItem& out, FlatFile* file) {
    out.line = map.line;
    for (int k = map.first_child; k >= 0;) {
      const yaml::Node& key = tree_.at(k);
      const yaml::Node& value = tree_.at(key.next);
      if (out.Find(key.text) != nullptr) Error(key, "stands here twice", key.text);
      if (value.scalar()) {
        out.entries.push_back({key.text, value.text, key.line});
      } else if (file != nullptr && !list_key.empty() && list_key == key.text) {
        file->list_line = key.line;
        List(value, *file);
      } else if (value.kind != yaml::NodeKind::kNull) {
        Error(value, "must be a text", key.text);
      }
      k = value.next;
    }
  }

  void List(const yaml::Node& list, FlatFile& file) {
    if (list.kind == yaml::NodeKind::kNull) return;
    if (list.kind != yaml::NodeKind::kSequence) return Error(list, "must be a list");
    for (int i = list.first_child; i >= 0; i = tree_.at(i).next) {
      if (list_of_ == ListOf::kTexts) {
        if (tree_.at(i).scalar()) {
          file.texts.push_back({"", tree_.at(i).text, tree_.at(i).line});
        } else {
          Error(tree_.at(i), "must be a text");
        }
        continue;
      }
      if (tree_.at(i).kind != yaml::NodeKind::kMap) {
        Error(tree_.at(i), "must be a map");
        continue;
      }
      file.items.emplace_back();
      Map(tree_.at(i), "", file.items.back(), nullptr);
    }
  }

  const yaml::Tree& tree_;
  const std::string& file_;
  std::vector<api::Violation>& errors_;
  ListOf list_of_ = ListOf::kMaps;
};

}  // namespace

const std::string* FlatItem::Find(absl::string_view key) const {
  for (const FlatEntry& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

absl::StatusOr<FlatFile> ReadFlatYaml(absl::string_view text, const std::string& file,
                                      absl::string_view list_key, ListOf list_of) {
  std::vector<api::Violation> errors;
  yaml::Tree tree = yaml::ParseTree(text, file, errors);
  FlatFile out;
  if (!tree.empty()) Reader(tree, file, errors).Top(list_key, list_of, out);
  if (!errors.empty()) return api::Invalid(errors);
  return out;
}

std::string QuoteYaml(absl::string_view value) {
  bool plain = !value.empty() && !yaml::NeedsQuotes(value);
  for (char c : value) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
          c == '_' || c == '-' || c == '/' || c == ':' || c == '[' || c == ']' || c == '%')) {
      plain = false;
    }
  }
  if (plain && (value[0] == '[' || value[0] == '-' || value[0] == ':' || value[0] == '%')) {
    plain = false;
  }
  if (plain && (value.find(": ") != value.npos || value.back() == ':')) plain = false;
  if (plain) return std::string(value);
  std::string out = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace basalt::client
