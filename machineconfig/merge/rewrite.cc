#include "machineconfig/merge/rewrite.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/merge/rewriter.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/emit.h"
#include "machineconfig/yaml/layout.h"
#include "machineconfig/yaml/tree.h"

namespace basalt::merge {
namespace {

using google::protobuf::Message;

// The first field in which the two differ, for the error: its path and what it should say.
std::string FirstDifference(const Message& before, const Message& after, std::string& wanted) {
  for (const schema::FieldInfo& field : schema::Describe(after.GetDescriptor()).fields) {
    if (FieldText(before, field) == FieldText(after, field)) continue;
    const auto& a = *before.GetReflection();
    const auto& b = *after.GetReflection();
    if (field.kind == schema::FieldKind::kMessage && !field.repeated &&
        a.HasField(before, field.field) && b.HasField(after, field.field)) {
      const std::string below = FirstDifference(a.GetMessage(before, field.field),
                                                b.GetMessage(after, field.field), wanted);
      if (!below.empty()) return schema::Child(field.name, below);
    }
    wanted = FieldText(after, field);
    return field.name;
  }
  return "";
}

std::optional<std::string> Edited(absl::string_view text, const Message& before,
                                  const Message& after) {
  std::vector<api::Violation> none;
  const yaml::Tree tree = yaml::ParseTree(text, "", none);
  const std::optional<std::vector<yaml::Extent>> layout = yaml::Layout(text, tree);
  if (!layout) return std::nullopt;
  const std::string meaning = yaml::Emit(after);
  // What an edit deep inside does not do, one of a whole section may. An empty line beside what was
  // deleted may be the last of a block text: then it stays.
  for (int depth : {64, 2, 1}) {
    for (bool tidy : {true, false}) {
      std::optional<std::string> out =
          Rewriter(text, tree, *layout, depth, tidy).Run(before, after);
      if (!out) break;
      std::unique_ptr<Message> again(after.New());
      if (yaml::Decode(*out, "", *again).ok() && yaml::Emit(*again) == meaning) return out;
    }
  }
  return std::nullopt;
}

// The same text with an end of its last line: a block text there says that the end is not its own.
std::string Ended(absl::string_view text) {
  std::string out(text);
  std::vector<api::Violation> none;
  const yaml::Tree tree = yaml::ParseTree(text, "", none);
  if (const auto layout = yaml::Layout(text, tree)) {
    for (const yaml::Extent& extent : *layout) {
      if (!extent.block_text || extent.end != text.size()) continue;
      const size_t bar = text.find_first_of("|>", extent.begin);
      if (bar != text.npos && !absl::StrContains("+-", text.substr(bar + 1, 1))) {
        out.insert(bar + 1, "-");
      }
    }
  }
  return out + "\n";
}

}  // namespace

absl::StatusOr<std::string> Rewrite(absl::string_view text, absl::string_view file,
                                    const Message& after) {
  std::unique_ptr<Message> before(after.New());
  const yaml::DecodeResult read = yaml::Decode(text, file, *before);
  if (!read.ok()) return api::Invalid(read.errors);
  const std::string meaning = yaml::Emit(after);
  if (yaml::Emit(*before) == meaning) return std::string(text);

  std::optional<std::string> out = Edited(text, *before, after);
  // The last value may be a block text whose last line does not end: nothing can stand below it.
  if (!out && !absl::EndsWith(text, "\n")) out = Edited(Ended(text), *before, after);
  if (out) return *std::move(out);
  std::string wanted;
  const std::string path = FirstDifference(*before, after, wanted);
  auto at = read.source.find(path);
  const std::string position =
      at == read.source.end() ? "" : absl::StrCat(":", at->second.line, ":", at->second.column);
  return api::Coded(
      absl::StatusCode::kFailedPrecondition, "cannot-edit",
      absl::StrCat(file, position, ": ", path,
                   " is written in a way that cannot be edited in place; nothing was changed"),
      wanted.empty() ? absl::StrCat("take `", path, "` out yourself")
                     : absl::StrCat("write it yourself:\n", wanted));
}

}  // namespace basalt::merge
