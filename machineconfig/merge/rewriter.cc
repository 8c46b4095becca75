#include "machineconfig/merge/rewriter.h"

#include <algorithm>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "machineconfig/schema/opaque.h"
#include "machineconfig/yaml/emit.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::merge {
namespace {

using google::protobuf::Message;
using google::protobuf::Reflection;
using schema::FieldInfo;
using schema::FieldKind;

constexpr yaml::FlowOptions kInTheClear{.redact = false};
// Beyond it a list is written anew instead of compared element by element.
constexpr int kMaxComparisons = 1 << 20;

std::string ElementText(const Message& message, const FieldInfo& field, int index) {
  return yaml::EmitElement(message, field, index);
}

std::string KeyOf(const Message& message, const FieldInfo& field, int index) {
  const Message& element = message.GetReflection()->GetRepeatedMessage(message, field.field, index);
  return element.GetReflection()->GetString(element, field.key->field);
}

std::map<std::string, const Message*> EntriesOf(const Message& message, const FieldInfo& field) {
  std::map<std::string, const Message*> out;
  const Reflection& r = *message.GetReflection();
  for (int i = 0; i < r.FieldSize(message, field.field); ++i) {
    const Message& entry = r.GetRepeatedMessage(message, field.field, i);
    out.emplace(entry.GetReflection()->GetString(entry, field.field->message_type()->map_key()),
                &entry);
  }
  return out;
}

// What stands behind "name:" or "-".
std::string BehindName(absl::string_view text, size_t name) {
  text.remove_prefix(name);
  absl::ConsumePrefix(&text, " ");
  return std::string(text);
}

}  // namespace

std::string FieldText(const Message& message, const FieldInfo& field) {
  return yaml::IsPresent(message, field) ? yaml::EmitField(message, field) : "";
}

std::optional<std::string> Rewriter::Run(const Message& before, const Message& after) {
  if (!Section(0, before, after, 0)) return std::nullopt;
  return edits_.Apply();
}

std::vector<Rewriter::Item> Rewriter::ItemsOf(int node) const {
  std::vector<Item> out;
  for (int i = tree_.at(node).first_child; i >= 0;) {
    if (tree_.at(node).kind == yaml::NodeKind::kMap) {
      out.push_back({.key = i, .value = tree_.at(i).next});
    } else {
      out.push_back({.value = i});
    }
    i = tree_.at(out.back().value).next;
  }
  return out;
}

bool Rewriter::Section(int node, const Message& before, const Message& after, int depth) {
  if (tree_.at(node).kind != yaml::NodeKind::kMap || depth > max_depth_) return false;
  const schema::MessageInfo& info = schema::Describe(after.GetDescriptor());
  std::vector<Item> items = ItemsOf(node);
  std::vector<const FieldInfo*> fields;
  std::vector<bool> written(info.fields.size());
  bool any = false;
  for (Item& item : items) {
    const FieldInfo* field = info.Find(tree_.at(item.key).text);
    if (field == nullptr) return false;
    fields.push_back(field);
    written[static_cast<size_t>(field->index)] = true;
    // `name: null` says what is wanted already.
    item.stays =
        yaml::IsPresent(after, *field) || tree_.at(item.value).kind == yaml::NodeKind::kNull;
    any = any || item.stays;
  }
  if (!any) return false;
  for (size_t i = 0; i < items.size(); ++i) {
    if (!items[i].stays || FieldText(before, *fields[i]) == FieldText(after, *fields[i])) continue;
    if (yaml::IsPresent(after, *fields[i])) {
      Field(items[i], *fields[i], before, after, depth);
    }
  }
  std::vector<NewItem> added;
  for (const FieldInfo& field : info.fields) {
    if (written[static_cast<size_t>(field.index)] || !yaml::IsPresent(after, field)) continue;
    NewItem item{
        .block = yaml::EmitField(after, field),
        .flow = absl::StrCat(field.name, ": ", yaml::FlowText(after, field, -1, kInTheClear))};
    int nearest = -1;
    for (size_t i = 0; i < fields.size(); ++i) {
      if (fields[i]->index > field.index || fields[i]->index < nearest) continue;
      nearest = fields[i]->index;
      item.behind = static_cast<int>(i);
    }
    added.push_back(std::move(item));
  }
  return Change(node, items, added);
}

void Rewriter::Field(const Item& item, const FieldInfo& field, const Message& before,
                     const Message& after, int depth) {
  const Reflection& r = *after.GetReflection();
  bool done = false;
  if (yaml::IsPresent(before, field) && depth + 1 <= max_depth_) {
    if (field.kind == FieldKind::kMap) {
      done = Entries(item.value, field, before, after);
    } else if (field.repeated) {
      done = List(item.value, field, before, after, depth + 1);
    } else if (field.kind == FieldKind::kMessage) {
      done = Section(item.value, r.GetMessage(before, field.field),
                     r.GetMessage(after, field.field), depth + 1);
    }
  }
  if (done) return;
  ReplaceValue(item, {.block = BehindName(yaml::EmitField(after, field), field.name.size() + 1),
                      .flow = yaml::FlowText(after, field, -1, kInTheClear)});
}

bool Rewriter::Entries(int node, const FieldInfo& field, const Message& before,
                       const Message& after) {
  if (tree_.at(node).kind != yaml::NodeKind::kMap) return false;
  const auto old_entries = EntriesOf(before, field), new_entries = EntriesOf(after, field);
  std::vector<Item> items = ItemsOf(node);
  bool any = false, sorted = true;
  for (size_t i = 0; i < items.size(); ++i) {
    items[i].stays = new_entries.count(tree_.at(items[i].key).text) > 0 ||
                     tree_.at(items[i].value).kind == yaml::NodeKind::kNull;
    any = any || items[i].stays;
    sorted = sorted && (i == 0 || tree_.at(items[i - 1].key).text < tree_.at(items[i].key).text);
  }
  if (!any) return false;
  std::map<absl::string_view, size_t> written;
  for (size_t i = 0; i < items.size(); ++i) written.emplace(tree_.at(items[i].key).text, i);
  std::vector<NewItem> added;
  for (const auto& [key, entry] : new_entries) {
    const std::string text = yaml::EmitEntry(*entry, field);
    const std::string value = yaml::FlowEntryValue(*entry, field);
    auto at_key = written.find(key);
    if (at_key == written.end()) {
      NewItem item{.behind = static_cast<int>(items.size()) - 1,
                   .block = text,
                   .flow = absl::StrCat(yaml::ScalarText(key), ": ", value)};
      while (sorted && item.behind >= 0 &&
             tree_.at(items[static_cast<size_t>(item.behind)].key).text > key) {
        --item.behind;
      }
      added.push_back(std::move(item));
      continue;
    }
    auto old = old_entries.find(key);
    if (old != old_entries.end() && yaml::EmitEntry(*old->second, field) == text) continue;
    const Item& item = items[at_key->second];
    if (old != old_entries.end() && ValueList(item.value, field, *old->second, *entry)) continue;
    const size_t name = yaml::ScalarText(key).size();
    ReplaceValue(item, {.block = BehindName(text, name + 1), .flow = value});
  }
  return Change(node, items, added);
}

bool Rewriter::ValueList(int node, const FieldInfo& map, const Message& before,
                         const Message& after) {
  if (map.value_kind != FieldKind::kConfigValue) return false;
  v1::ConfigValue old_scratch, new_scratch;
  const auto* value = map.field->message_type()->map_value();
  const v1::ConfigValue& a =
      schema::Read(before.GetReflection()->GetMessage(before, value), old_scratch);
  const v1::ConfigValue& b =
      schema::Read(after.GetReflection()->GetMessage(after, value), new_scratch);
  if (!a.has_list() || !b.has_list()) return false;
  return List(node, schema::Describe(v1::StringList::descriptor()).fields[0], a.list(), b.list(),
              max_depth_);
}

bool Rewriter::Align(const FieldInfo& field, const Message& before, const Message& after,
                     std::vector<std::pair<int, int>>& pairs) {
  const int olds = before.GetReflection()->FieldSize(before, field.field);
  const int news = after.GetReflection()->FieldSize(after, field.field);
  if (field.key != nullptr) {
    std::map<std::string, int> place;
    for (int i = 0; i < news; ++i) {
      if (!place.emplace(KeyOf(after, field, i), i).second) return false;
    }
    for (int i = 0; i < olds; ++i) {
      auto it = place.find(KeyOf(before, field, i));
      if (it == place.end()) continue;
      if (!pairs.empty() && pairs.back().second >= it->second) return false;
      pairs.emplace_back(i, it->second);
    }
    return true;
  }
  if (olds * static_cast<int64_t>(news) > kMaxComparisons) return false;
  std::vector<std::string> a, b;
  for (int i = 0; i < olds; ++i) a.push_back(ElementText(before, field, i));
  for (int i = 0; i < news; ++i) b.push_back(ElementText(after, field, i));
  // The longest common subsequence: what both have, in their order.
  std::vector<std::vector<int>> length(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = a.size(); i-- > 0;) {
    for (size_t j = b.size(); j-- > 0;) {
      length[i][j] =
          a[i] == b[j] ? length[i + 1][j + 1] + 1 : std::max(length[i + 1][j], length[i][j + 1]);
    }
  }
  size_t i = 0, j = 0;
  // Sections that stand between two common ones are taken for the same, changed; values are not: a
  // comment beside a value is about that value.
  auto pair_gap = [&](size_t to_i, size_t to_j) {
    if (field.kind == FieldKind::kMessage) {
      for (; i < to_i && j < to_j; ++i, ++j) {
        pairs.emplace_back(static_cast<int>(i), static_cast<int>(j));
      }
    }
    i = to_i;
    j = to_j;
  };
  for (size_t x = 0, y = 0; x < a.size() && y < b.size();) {
    if (a[x] == b[y]) {
      pair_gap(x, y);
      pairs.emplace_back(static_cast<int>(x++), static_cast<int>(y++));
      i = x;
      j = y;
    } else if (length[x + 1][y] >= length[x][y + 1]) {
      ++x;
    } else {
      ++y;
    }
  }
  pair_gap(a.size(), b.size());
  return true;
}

bool Rewriter::List(int node, const FieldInfo& field, const Message& before, const Message& after,
                    int depth) {
  const Reflection& r = *after.GetReflection();
  std::vector<Item> items = ItemsOf(node);
  std::vector<std::pair<int, int>> pairs;
  if (tree_.at(node).kind != yaml::NodeKind::kSequence || depth > max_depth_ ||
      static_cast<int>(items.size()) != r.FieldSize(before, field.field) ||
      !Align(field, before, after, pairs) || pairs.empty()) {
    return false;
  }
  std::vector<int> behind(static_cast<size_t>(r.FieldSize(after, field.field)), -2);
  for (const auto& [from, to] : pairs) {
    Item& item = items[static_cast<size_t>(from)];
    item.stays = true;
    behind[static_cast<size_t>(to)] = from;
    const std::string text = ElementText(after, field, to);
    if (text == ElementText(before, field, from)) continue;
    const bool done = field.kind == FieldKind::kMessage &&
                      Section(item.value, r.GetRepeatedMessage(before, field.field, from),
                              r.GetRepeatedMessage(after, field.field, to), depth + 1);
    if (done) continue;
    ReplaceValue(item, {.block = BehindName(text, 1),
                        .flow = yaml::FlowText(after, field, to, kInTheClear)});
  }
  std::vector<NewItem> added;
  int last = -1;
  for (size_t to = 0; to < behind.size(); ++to) {
    if (behind[to] != -2) {
      last = behind[to];
      continue;
    }
    const int index = static_cast<int>(to);
    added.push_back({.behind = last,
                     .block = ElementText(after, field, index),
                     .flow = yaml::FlowText(after, field, index, kInTheClear)});
  }
  return Change(node, items, added);
}

}  // namespace basalt::merge
