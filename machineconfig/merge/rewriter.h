// The walk over text and messages that makes the edits; private to this directory.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "machineconfig/merge/text_edits.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/layout.h"
#include "machineconfig/yaml/tree.h"

namespace basalt::merge {

// "name: value", or nothing when the field is absent. Equal texts are equal values.
std::string FieldText(const google::protobuf::Message& message, const schema::FieldInfo& field);

class Rewriter {
 public:
  // Below `max_depth` levels a value that differs is written anew as a whole.
  Rewriter(absl::string_view text, const yaml::Tree& tree, const std::vector<yaml::Extent>& layout,
           int max_depth, bool tidy = true);

  // Nothing when it cannot.
  std::optional<std::string> Run(const google::protobuf::Message& before,
                                 const google::protobuf::Message& after);

 private:
  using Message = google::protobuf::Message;
  // One entry of a collection as it stands in the text: a key with its value, or an element.
  struct Item {
    int key = -1;  // node; -1 of elements
    int value = 0;
    bool stays = false;
  };
  // A new one: behind which item of the text it goes (-1: before the first), in both styles.
  struct NewItem {
    int behind = -1;
    std::string block;  // lines at the left margin, with the last line end
    std::string flow;
  };
  // A value in both styles: `block` is what stands behind the dash or colon.
  struct NewValue {
    std::string block;
    std::string flow;
  };

  // False: nothing of the old collection stays, or it cannot be edited; then its whole value is to
  // be replaced.
  bool Section(int node, const Message& before, const Message& after, int depth);
  bool List(int node, const schema::FieldInfo& field, const Message& before, const Message& after,
            int depth);
  bool Entries(int node, const schema::FieldInfo& field, const Message& before,
               const Message& after);
  // The list that is the value of one of K3s's own keys.
  bool ValueList(int node, const schema::FieldInfo& map, const Message& before,
                 const Message& after);
  // The field stands in the text and means something else now.
  void Field(const Item& item, const schema::FieldInfo& field, const Message& before,
             const Message& after, int depth);

  // Which elements of the text stay; `pairs` maps them to elements of the new list. False when they
  // change places.
  static bool Align(const schema::FieldInfo& field, const Message& before, const Message& after,
                    std::vector<std::pair<int, int>>& pairs);

  bool Change(int collection, const std::vector<Item>& items, const std::vector<NewItem>& added);
  void ChangeBlock(int collection, const std::vector<Item>& items,
                   const std::vector<NewItem>& added);
  void ChangeFlow(const std::vector<Item>& items, const std::vector<NewItem>& added);
  void ReplaceValue(const Item& item, const NewValue& value);

  std::vector<Item> ItemsOf(int node) const;
  const yaml::Extent& at(int node) const { return layout_[static_cast<size_t>(node)]; }
  size_t BeginOf(const Item& item) const;
  size_t EndOf(const Item& item) const { return at(item.value).end; }
  size_t ColumnOf(const Item& item) const { return edits_.ColumnOf(BeginOf(item)); }

  const yaml::Tree& tree_;
  const std::vector<yaml::Extent>& layout_;
  std::vector<bool> in_brackets_;  // by node
  TextEdits edits_;
  const int max_depth_;
};

}  // namespace basalt::merge
