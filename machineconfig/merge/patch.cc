#include "machineconfig/merge/patch.h"

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/decode_value.h"
#include "machineconfig/yaml/flow.h"
#include "machineconfig/yaml/tree.h"

namespace basalt::merge {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;
using schema::FieldInfo;
using schema::FieldKind;
using yaml::Node;
using yaml::NodeKind;

constexpr absl::string_view kDirective = "$patch";
constexpr absl::string_view kDeleteValues = "$deleteFromPrimitiveList/";

enum class Order { kMerge, kReplace, kDelete };

class Patcher {
 public:
  Patcher(yaml::Tree& tree, absl::string_view file, std::vector<api::Violation>& errors)
      : tree_(tree), file_(file), errors_(errors) {}

  // `node` is a map; its `$patch` was taken out.
  void Section(int node, const std::string& path, Message& message) {
    const schema::MessageInfo& info = schema::Describe(message.GetDescriptor());
    std::vector<std::string> seen;
    for (int i = tree_.at(node).first_child; i >= 0 && !full();) {
      const Node& key = tree_.at(i);
      const int value = key.next;
      i = tree_.at(value).next;
      if (key.broken) continue;
      for (const std::string& other : seen) {
        if (other == key.text) Error(key, path, "duplicate-field", "the field is given twice");
      }
      seen.push_back(key.text);
      absl::string_view name = key.text;
      const bool takes_away = absl::ConsumePrefix(&name, kDeleteValues);
      const FieldInfo* field = info.Find(name);
      if (field == nullptr) {
        Unknown(key, name, path, info);
      } else if (takes_away) {
        DeleteValues(value, *field, schema::Child(path, name), message);
      } else {
        Field(value, *field, schema::Child(path, name), message);
      }
    }
  }

  // Reads `$patch` of a map and takes it out of the tree.
  Order TakeOrder(int node, const std::string& path) {
    Node& map = tree_.nodes[static_cast<size_t>(node)];
    if (map.kind != NodeKind::kMap) return Order::kMerge;
    int before = -1;
    for (int i = map.first_child; i >= 0;) {
      const Node& key = tree_.at(i);
      const int value = key.next;
      const int next = tree_.at(value).next;
      if (key.text != kDirective) {
        before = value;
        i = next;
        continue;
      }
      (before < 0 ? map.first_child : tree_.nodes[static_cast<size_t>(before)].next) = next;
      map.children -= 2;
      if (tree_.at(value).text == "replace") return Order::kReplace;
      if (tree_.at(value).text == "delete") return Order::kDelete;
      if (tree_.at(value).text == "merge") return Order::kMerge;
      Error(key, path, "bad-directive", "`$patch` is one of merge, replace, delete");
      return Order::kMerge;
    }
    return Order::kMerge;
  }

 private:
  bool full() const { return errors_.size() > 100; }
  void Error(const Node& node, const std::string& path, absl::string_view reason,
             absl::string_view message, absl::string_view hint = "") {
    errors_.push_back({.reason = std::string(reason),
                       .file = std::string(file_),
                       .line = node.line,
                       .column = node.column,
                       .path = path,
                       .message = std::string(message),
                       .hint = std::string(hint)});
  }
  void Unknown(const Node& key, absl::string_view name, const std::string& path,
               const schema::MessageInfo& info) {
    if (absl::StartsWith(name, "$")) {
      return Error(key, path, "bad-directive", absl::StrCat("`", name, "` is no directive"),
                   "$patch: replace|delete, $deleteFromPrimitiveList/NAME: [values]");
    }
    std::vector<absl::string_view> names;
    for (const FieldInfo& field : info.fields) names.push_back(field.name);
    const std::string near = schema::Nearest(name, names);
    Error(key, schema::Child(path, name), "unknown-field", "unknown field",
          near.empty() ? absl::StrCat("known here: ", absl::StrJoin(names, ", "))
                       : absl::StrCat("did you mean `", near, "`?"));
  }

  void Decode(const Node& node, const FieldInfo& field, const std::string& path, Message& message) {
    yaml::DecodeResult result;
    yaml::DecodeNode(tree_, node, file_, path, field, message, result);
    errors_.insert(errors_.end(), result.errors.begin(), result.errors.end());
  }

  void Field(int value, const FieldInfo& field, const std::string& path, Message& message) {
    const Reflection& r = *message.GetReflection();
    const NodeKind kind = tree_.at(value).kind;
    if (kind == NodeKind::kNull && !tree_.at(value).broken) {
      return r.ClearField(&message, field.field);
    }
    if (field.repeated) return List(value, field, path, message);
    const bool is_map = kind == NodeKind::kMap;
    if ((field.kind != FieldKind::kMessage && field.kind != FieldKind::kMap) || !is_map) {
      // A value of the wrong type is told what would be right.
      r.ClearField(&message, field.field);
      return Decode(tree_.at(value), field, path, message);
    }
    const Order order = TakeOrder(value, path);
    if (order != Order::kMerge) r.ClearField(&message, field.field);
    if (order == Order::kDelete) {
      if (tree_.at(value).children > 0) {
        Error(tree_.at(value), path, "bad-directive",
              "`$patch: delete` takes the whole section away; what stands beside it is lost",
              "write `$patch: replace`, or nothing beside it");
      }
      return;
    }
    if (field.kind == FieldKind::kMap) return Entries(value, field, path, message);
    Section(value, path, *r.MutableMessage(&message, field.field));
  }

  void Entries(int node, const FieldInfo& field, const std::string& path, Message& message) {
    std::set<std::string> seen;
    for (int i = tree_.at(node).first_child; i >= 0 && !full();) {
      const Node& key = tree_.at(i);
      const Node& value = tree_.at(key.next);
      i = value.next;
      if (key.broken) continue;
      if (absl::StartsWith(key.text, "$")) {
        Error(key, path, "bad-directive", absl::StrCat("`", key.text, "` is no directive of a map"),
              "null takes an entry away, a list is written whole; $patch: replace|delete");
        continue;
      }
      if (!seen.insert(key.text).second) {
        Error(key, schema::Element(path, key.text), "duplicate-field", "the key is given twice");
        continue;
      }
      RemoveEntry(field, key.text, message);
      if (value.kind == NodeKind::kNull && !value.broken) continue;
      yaml::DecodeResult result;
      yaml::DecodeEntryNode(tree_, value, file_, schema::Element(path, key.text), field, key.text,
                            message, result);
      errors_.insert(errors_.end(), result.errors.begin(), result.errors.end());
    }
  }

  static void RemoveEntry(const FieldInfo& field, absl::string_view key, Message& message) {
    const Reflection& r = *message.GetReflection();
    const auto* key_field = field.field->message_type()->map_key();
    for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
      const Message& entry = r.GetRepeatedMessage(message, field.field, i);
      if (entry.GetReflection()->GetString(entry, key_field) == key) {
        return Remove(field, i, message);
      }
    }
  }
  static void Remove(const FieldInfo& field, int index, Message& message) {
    const Reflection& r = *message.GetReflection();
    for (int i = index; i + 1 < r.FieldSize(message, field.field); ++i) {
      r.SwapElements(&message, field.field, i, i + 1);
    }
    r.RemoveLast(&message, field.field);
  }

  // Takes `- $patch: replace` out of a list; true when it was there.
  bool TakeReplace(int list, const std::string& path) {
    bool found = false;
    int before = -1;
    for (int i = tree_.at(list).first_child; i >= 0;) {
      const Node& element = tree_.at(i);
      const int next = element.next;
      const bool order_alone = element.kind == NodeKind::kMap && element.children == 2 &&
                               tree_.at(element.first_child).text == kDirective;
      if (!order_alone) {
        before = i;
        i = next;
        continue;
      }
      if (TakeOrder(i, path) == Order::kReplace) {
        found = true;
      } else {
        Error(element, path, "bad-directive", "an order for the whole list is `- $patch: replace`",
              "to take one element away, name it beside `$patch: delete`");
      }
      (before < 0 ? tree_.nodes[static_cast<size_t>(list)].first_child
                  : tree_.nodes[static_cast<size_t>(before)].next) = next;
      i = next;
    }
    return found;
  }

  void List(int list, const FieldInfo& field, const std::string& path, Message& message) {
    const Reflection& r = *message.GetReflection();
    if (tree_.at(list).kind != NodeKind::kSequence) {
      return Decode(tree_.at(list), field, path, message);  // it says what is wrong
    }
    const bool anew = TakeReplace(list, path);
    const bool merges = field.key != nullptr || field.rules.list() == v1::LIST_SET;
    if (anew || !merges) r.ClearField(&message, field.field);
    if (field.key != nullptr) return Named(list, field, path, message);
    if (!merges) return Decode(tree_.at(list), field, path, message);
    const std::unique_ptr<Message> given(message.New());
    Decode(tree_.at(list), field, path, *given);
    std::vector<std::string> there;
    for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
      there.push_back(Value(message, field, i));
    }
    // The new ones behind those that are there: all are copied and what was there already goes.
    const int old_size = r.FieldSize(message, field.field);
    MergeField(*given, field, message);
    for (int i = r.FieldSize(message, field.field) - 1; i >= old_size; --i) {
      const std::string value = Value(message, field, i);
      for (const std::string& other : there) {
        if (other == value) {
          Remove(field, i, message);
          break;
        }
      }
    }
  }

  static std::string Value(const Message& message, const FieldInfo& field, int index) {
    return yaml::FlowText(message, field, index, {.redact = false});
  }
  static void MergeField(const Message& from, const FieldInfo& field, Message& to) {
    const std::unique_ptr<Message> one(from.New());
    one->CopyFrom(from);
    std::vector<const google::protobuf::FieldDescriptor*> all;
    one->GetReflection()->ListFields(*one, &all);
    for (const auto* other : all) {
      if (other != field.field) one->GetReflection()->ClearField(one.get(), other);
    }
    to.MergeFrom(*one);
  }

  void DeleteValues(int list, const FieldInfo& field, const std::string& path, Message& message) {
    if (!field.repeated || field.kind == FieldKind::kMessage) {
      return Error(tree_.at(list), path, "bad-directive",
                   "values are taken away from lists of values alone",
                   "a list of sections: `$patch: delete` beside the name");
    }
    const std::unique_ptr<Message> given(message.New());
    Decode(tree_.at(list), field, path, *given);
    const Reflection& r = *message.GetReflection();
    for (int g = 0; g < r.FieldSize(*given, field.field); ++g) {
      for (int i = r.FieldSize(message, field.field) - 1; i >= 0; --i) {
        if (Value(message, field, i) == Value(*given, field, g)) Remove(field, i, message);
      }
    }
  }

  void Named(int list, const FieldInfo& field, const std::string& path, Message& message) {
    const Reflection& r = *message.GetReflection();
    int place = 0;
    for (int i = tree_.at(list).first_child; i >= 0 && !full(); i = tree_.at(i).next, ++place) {
      const std::string here = schema::Element(path, place);
      if (tree_.at(i).kind != NodeKind::kMap) {
        Error(tree_.at(i), here, "wrong-type",
              absl::StrCat("expected a section with `", field.key->name, "`"));
        continue;
      }
      const Order order = TakeOrder(i, here);
      const std::string name = NameOf(i, field);
      if (name.empty()) {
        Error(tree_.at(i), here, "required",
              absl::StrCat("which element? `", field.key->name, "` is missing"),
              absl::StrCat("write `", field.key->name, ": NAME` beside the change"));
        continue;
      }
      int found = -1;
      for (int k = 0; k < r.FieldSize(message, field.field) && found < 0; ++k) {
        const Message& element = r.GetRepeatedMessage(message, field.field, k);
        if (element.GetReflection()->GetString(element, field.key->field) == name) found = k;
      }
      if (order == Order::kDelete) {
        if (tree_.at(i).children > 2) {
          Error(tree_.at(i), schema::Element(path, name), "bad-directive",
                absl::StrCat("`$patch: delete` takes the whole element away; what stands beside `",
                             field.key->name, "` is lost"),
                "write `$patch: replace`, or nothing but the name beside it");
        }
        if (found >= 0) Remove(field, found, message);
        continue;
      }
      Message* element = found >= 0 ? r.MutableRepeatedMessage(&message, field.field, found)
                                    : r.AddMessage(&message, field.field);
      if (order == Order::kReplace) element->Clear();
      Section(i, schema::Element(path, name), *element);
    }
  }

  std::string NameOf(int element, const FieldInfo& field) const {
    for (int i = tree_.at(element).first_child; i >= 0;) {
      const Node& key = tree_.at(i);
      const Node& value = tree_.at(key.next);
      if (key.text == field.key->name && value.scalar() && !value.sealed) return value.text;
      i = value.next;
    }
    return "";
  }

  yaml::Tree& tree_;
  absl::string_view file_;
  std::vector<api::Violation>& errors_;
};

}  // namespace

absl::Status Patch(absl::string_view patch, absl::string_view file, Message& message) {
  std::vector<api::Violation> errors;
  yaml::Tree tree = yaml::ParseTree(patch, file, errors);
  const std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  if (errors.empty() && (tree.empty() || tree.root().kind != NodeKind::kMap)) {
    errors.push_back({.reason = "wrong-type",
                      .file = std::string(file),
                      .line = 1,
                      .column = 1,
                      .message = "a patch is a map of fields, like a piece of the document",
                      .hint = "for example `k3s: {version: v1.30.4+k3s1}`"});
  }
  if (errors.empty()) {
    Patcher patcher(tree, file, errors);
    const Order order = patcher.TakeOrder(0, "");
    if (order != Order::kMerge) {
      errors.push_back({.reason = "bad-directive",
                        .file = std::string(file),
                        .line = 1,
                        .column = 1,
                        .message = "a patch cannot replace or delete the whole document"});
    } else {
      patcher.Section(0, "", *copy);
    }
  }
  if (!errors.empty()) return api::Invalid(errors);
  message.GetReflection()->Swap(&message, copy.get());
  return absl::OkStatus();
}

}  // namespace basalt::merge
