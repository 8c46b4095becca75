#include "machineconfig/yaml/decode.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "machineconfig/yaml/decode_value.h"
#include "machineconfig/yaml/decoder.h"
#include "machineconfig/yaml/text_check.h"
#include "machineconfig/yaml/tree.h"

namespace basalt::yaml {
namespace {

// Sorted by position; the hundred-and-first error says that there are more.
void Finish(DecodeResult& result, absl::string_view file) {
  auto& errors = result.errors;
  const bool full = errors.size() > kMaxErrors;
  if (full) errors.resize(kMaxErrors);
  std::stable_sort(errors.begin(), errors.end(), [](const auto& a, const auto& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  if (full) {
    errors.push_back({.reason = "too-many-errors",
                      .file = std::string(file),
                      .message = absl::StrCat("more than ", kMaxErrors, " errors; stopped here")});
  }
}

}  // namespace

DecodeResult Decode(absl::string_view text, absl::string_view file,
                    google::protobuf::Message& message) {
  DecodeResult result;
  const Tree tree = ParseTree(text, file, result.errors);
  if (!tree.empty()) {
    const schema::MessageInfo& info = schema::Describe(message.GetDescriptor());
    if (tree.root().kind == NodeKind::kNull && !tree.root().broken) {
      result.errors.push_back({.reason = "empty-document",
                               .file = std::string(file),
                               .line = 1,
                               .column = 1,
                               .message = "the document is empty"});
    } else {
      Decoder(tree, file, info, result).Message(tree.root(), info, message);
    }
  } else if (result.errors.empty()) {
    result.errors.push_back({.reason = "empty-document",
                             .file = std::string(file),
                             .line = 1,
                             .column = 1,
                             .message = "the document is empty"});
  }
  Finish(result, file);
  return result;
}

DecodeResult DecodeValue(absl::string_view text, absl::string_view path,
                         const schema::FieldInfo& field, google::protobuf::Message& message) {
  DecodeResult result;
  const Tree tree = ParseTree(text, "", result.errors);
  message.GetReflection()->ClearField(&message, field.field);
  if (!tree.empty()) {
    Decoder decoder(tree, "", schema::Describe(message.GetDescriptor()), result);
    decoder.set_path(path);
    decoder.Field(tree.root(), field, message);
  }
  Finish(result, "");
  return result;
}

DecodeResult DecodeMapEntry(absl::string_view text, absl::string_view path,
                            const schema::FieldInfo& field, absl::string_view key,
                            google::protobuf::Message& message) {
  DecodeResult result;
  const Tree tree = ParseTree(text, "", result.errors);
  if (!tree.empty()) {
    Decoder decoder(tree, "", schema::Describe(message.GetDescriptor()), result);
    decoder.set_path(path);
    decoder.MapValue(tree.root(), field, key, message);
  }
  Finish(result, "");
  return result;
}

void DecodeNode(const Tree& tree, const Node& node, absl::string_view file, absl::string_view path,
                const schema::FieldInfo& field, google::protobuf::Message& message,
                DecodeResult& result) {
  Decoder decoder(tree, file, schema::Describe(message.GetDescriptor()), result);
  decoder.set_path(path);
  decoder.Field(node, field, message);
}

void DecodeEntryNode(const Tree& tree, const Node& node, absl::string_view file,
                     absl::string_view path, const schema::FieldInfo& field, absl::string_view key,
                     google::protobuf::Message& message, DecodeResult& result) {
  Decoder decoder(tree, file, schema::Describe(message.GetDescriptor()), result);
  decoder.set_path(path);
  decoder.MapValue(node, field, key, message);
}

Header PeekHeader(absl::string_view text) {
  Header header;
  std::vector<api::Violation> errors;
  const Tree tree = ParseTree(text, "", errors);
  if (tree.empty() || tree.root().kind != NodeKind::kMap) return header;
  for (int i = tree.root().first_child; i >= 0;) {
    const Node& key = tree.at(i);
    if (key.next < 0) break;
    const Node& value = tree.at(key.next);
    i = value.next;
    if (!value.scalar()) continue;
    if (key.text == "apiVersion" && header.api_version.empty()) header.api_version = value.text;
    if (key.text == "kind" && header.kind.empty()) header.kind = value.text;
  }
  return header;
}

}  // namespace basalt::yaml
