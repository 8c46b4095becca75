// The comments of the schema are what `explain` and the reference page show; descriptors in a
// program have none, so the sources are read.
#include <google/protobuf/compiler/importer.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace basalt::schema {
namespace {

class Errors : public google::protobuf::compiler::MultiFileErrorCollector {
 public:
  void AddError(const std::string& file, int line, int, const std::string& message) override {
    ADD_FAILURE() << file << ":" << line + 1 << ": " << message;
  }
};

TEST(Schema, EveryFieldOfADocumentIsDocumented) {
  google::protobuf::compiler::DiskSourceTree tree;
  tree.MapPath("", BASALT_API_DIR);
  tree.MapPath("", "/usr/include");  // google/protobuf/descriptor.proto
  Errors errors;
  google::protobuf::compiler::Importer importer(&tree, &errors);
  int fields = 0;
  // A document is a message of trust.proto or of machine_config.proto, which import the sections.
  std::set<const google::protobuf::FileDescriptor*> files;
  for (const char* name : {"basalt/v1/machine_config.proto", "basalt/v1/trust.proto"}) {
    const auto* file = importer.Import(name);
    ASSERT_NE(file, nullptr);
    files.insert(file);
    for (int i = 0; i < file->dependency_count(); ++i) files.insert(file->dependency(i));
  }
  for (const auto* file : files) {
    if (file->name() == "basalt/v1/options.proto") continue;
    for (int i = 0; i < file->message_type_count(); ++i) {
      const auto& message = *file->message_type(i);
      // Not spelt as sections: a secret is a text, a ConfigValue what K3s takes.
      if (message.name() == "Secret" || message.name() == "StringList" ||
          message.name() == "ConfigValue") {
        continue;
      }
      for (int j = 0; j < message.field_count(); ++j) {
        const auto& field = *message.field(j);
        google::protobuf::SourceLocation at;
        ASSERT_TRUE(field.GetSourceLocation(&at));
        EXPECT_FALSE(at.leading_comments.empty() && at.trailing_comments.empty())
            << field.full_name() << " has no comment above it";
        ++fields;
      }
    }
  }
  EXPECT_GT(fields, 100);
}

}  // namespace
}  // namespace basalt::schema
