// Part of the build: from the descriptors that protoc wrote with their sources, the comments of
// documents as a C++ table.   comment_table_writer SET OUT
//
// Kept are fields and messages of the files of documents, and the values of every enum that they
// use: Format and Effect are described where they are declared, too.
#include <algorithm>
#include <cctype>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"

namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FileDescriptor;

using Table = std::map<std::string, std::string>;

// One line: what the sources break into lines is one sentence.
std::string Joined(const std::string& comment) {
  std::string out;
  for (char c : comment) {
    if (std::isspace(static_cast<unsigned char>(c))) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += c;
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

template <typename T>
void Keep(const T& described, Table& table) {
  google::protobuf::SourceLocation at;
  if (!described.GetSourceLocation(&at)) return;
  const std::string text =
      Joined(at.leading_comments.empty() ? at.trailing_comments : at.leading_comments);
  if (!text.empty()) table[described.full_name()] = text;
}

void KeepEnum(const EnumDescriptor& type, Table& table) {
  for (int i = 0; i < type.value_count(); ++i) Keep(*type.value(i), table);
}

void KeepMessage(const Descriptor& message, Table& table) {
  Keep(message, table);
  for (int i = 0; i < message.field_count(); ++i) Keep(*message.field(i), table);
  for (int i = 0; i < message.enum_type_count(); ++i) KeepEnum(*message.enum_type(i), table);
  for (int i = 0; i < message.nested_type_count(); ++i) KeepMessage(*message.nested_type(i), table);
}

std::string Quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

int main(int argc, char** argv) {
  google::protobuf::FileDescriptorSet set;
  std::ifstream in(argc == 3 ? argv[1] : "", std::ios::binary);
  if (!set.ParseFromIstream(&in)) {
    std::cerr << "comment_table_writer: no descriptors: comment_table_writer SET OUT\n";
    return 1;
  }
  google::protobuf::DescriptorPool pool;
  Table table;
  for (const auto& proto : set.file()) {
    const FileDescriptor* file = pool.BuildFile(proto);
    if (file == nullptr) return 1;  // protobuf has said why
    if (file->package() != "basalt.v1") continue;
    for (int i = 0; i < file->enum_type_count(); ++i) KeepEnum(*file->enum_type(i), table);
    if (file->name() == "basalt/v1/options.proto") continue;
    for (int i = 0; i < file->message_type_count(); ++i) KeepMessage(*file->message_type(i), table);
  }
  std::ostringstream out;
  out << "// Generated from api/basalt/v1/*.proto.\n"
         "#include \"machineconfig/docs/comments.h\"\n\n"
         "namespace basalt::docs {\nnamespace {\n\nconstexpr CommentEntry kTable[] = {\n";
  for (const auto& [name, text] : table) {
    out << "    {" << Quoted(name) << ",\n     " << Quoted(text) << "},\n";
  }
  out << "};\n\n}  // namespace\n\nabsl::Span<const CommentEntry> CommentTable() { return kTable; "
         "}\n\n}  // namespace basalt::docs\n";
  std::ofstream file(argv[2], std::ios::binary);
  file << out.str();
  return file.flush().good() ? 0 : 1;
}
