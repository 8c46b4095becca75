// The walk from a tree to a message; private to this directory.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "basalt/v1/machine_config.pb.h"
#include "google/protobuf/message.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/tree.h"

namespace basalt::yaml {

class Decoder {
 public:
  Decoder(const Tree& tree, absl::string_view file, const schema::MessageInfo& root,
          DecodeResult& result)
      : tree_(tree), file_(file), root_(root), result_(result) {}

  void set_path(absl::string_view path) { path_ = std::string(path); }
  void Message(const Node& node, const schema::MessageInfo& info,
               google::protobuf::Message& message);
  // A null node leaves the field absent.
  void Field(const Node& node, const schema::FieldInfo& field, google::protobuf::Message& message);
  void MapValue(const Node& node, const schema::FieldInfo& field, absl::string_view key,
                google::protobuf::Message& message);

 private:
  using Msg = google::protobuf::Message;
  // Path and SourceMap of everything below one key or element.
  class Scope;

  void List(const Node& node, const schema::FieldInfo& field, Msg& message);
  void Map(const Node& node, const schema::FieldInfo& field, Msg& message);
  void Scalar(const Node& node, const schema::FieldInfo& field, Msg& message);
  void Int(const Node& node, const schema::FieldInfo& field, Msg& message);
  void Enum(const Node& node, const schema::FieldInfo& field, Msg& message);
  void Secret(const Node& node, Msg& secret);
  void ConfigValue(const Node& node, Msg& value);
  void ConfigValue(const Node& node, v1::ConfigValue& value);
  // The text of the identifying field of a LIST_MAP element; empty when it cannot be read.
  absl::string_view PeekKey(const Node& element, const schema::FieldInfo& field) const;

  // What to write when a list is wanted and `node` is none.
  std::string ListHint(const Node& node, const schema::FieldInfo& field) const;
  void UnknownField(const Node& key, const schema::MessageInfo& info);
  void WrongType(const Node& node, absl::string_view expected, absl::string_view hint = "");
  void Error(const Node& node, absl::string_view reason, absl::string_view message,
             absl::string_view hint = "");
  // Gives the error that the tree reported for a broken node its path.
  void Blame(const Node& node);
  bool full() const;
  // Adds an element to a repeated field, or sets a singular one.
  template <typename Set, typename Add>
  static void Put(const schema::FieldInfo& field, Set set, Add add) {
    if (field.repeated) {
      add();
    } else {
      set();
    }
  }

  const Tree& tree_;
  absl::string_view file_;
  const schema::MessageInfo& root_;
  DecodeResult& result_;
  std::string path_;
};

}  // namespace basalt::yaml
