// A node of a newer release serves a schema that this nodectl does not know.
#include <gmock/gmock.h>

#include "absl/strings/str_replace.h"
#include "basalt/v1/options.pb.h"
#include "google/protobuf/descriptor.pb.h"
#include "machineconfig/docs/source.h"
#include "nlohmann/json.hpp"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::FieldDescriptorProto;
using google::protobuf::FileDescriptorSet;
using ::testing::HasSubstr;
using ::testing::Not;

DescriptorProto& MessageIn(FileDescriptorSet& files, const std::string& name) {
  for (auto& file : *files.mutable_file()) {
    for (auto& message : *file.mutable_message_type()) {
      if (message.name() == name) return message;
    }
  }
  ADD_FAILURE() << "no message " << name;
  return *files.mutable_file(0)->add_message_type();
}

// k3s.turbo, k3s.rocket {stage, passphrase}, and the key warp of K3s.
v1::ServedSchema Newer() {
  v1::ServedSchema schema = docs::Serve("9.9.0");
  FileDescriptorSet files;
  EXPECT_TRUE(files.ParseFromString(schema.descriptors()));
  DescriptorProto& k3s = MessageIn(files, "K3s");
  FieldDescriptorProto& turbo = *k3s.add_field();
  turbo.set_name("turbo");
  turbo.set_json_name("turbo");
  turbo.set_number(9001);
  turbo.set_label(FieldDescriptorProto::LABEL_OPTIONAL);
  turbo.set_type(FieldDescriptorProto::TYPE_INT64);
  turbo.mutable_options()->MutableExtension(v1::field)->set_min(1);
  turbo.mutable_options()->MutableExtension(v1::field)->set_max(9);
  DescriptorProto& rocket = *k3s.add_nested_type();
  rocket.set_name("Rocket");
  for (const char* name : {"stage", "key"}) {
    FieldDescriptorProto& field = *rocket.add_field();
    field.set_name(name);
    field.set_json_name(name);
    field.set_number(rocket.field_size());
    field.set_label(FieldDescriptorProto::LABEL_OPTIONAL);
    field.set_type(FieldDescriptorProto::TYPE_STRING);
  }
  rocket.mutable_field(1)->set_type(FieldDescriptorProto::TYPE_MESSAGE);
  rocket.mutable_field(1)->set_type_name(".basalt.v1.Secret");
  FieldDescriptorProto& section = *k3s.add_field();
  section.set_name("rocket");
  section.set_json_name("rocket");
  section.set_number(9002);
  section.set_label(FieldDescriptorProto::LABEL_OPTIONAL);
  section.set_type(FieldDescriptorProto::TYPE_MESSAGE);
  section.set_type_name(".basalt.v1.K3s.Rocket");
  schema.set_descriptors(files.SerializeAsString());
  (*schema.mutable_comments())["basalt.v1.K3s.turbo"] = "How fast it goes.";
  v1::ServedK3sKey& warp = *schema.add_k3s_keys();
  warp.set_name("warp");
  warp.set_type("bool");
  warp.set_since(40);
  warp.set_owner("user");
  return schema;
}

class NodeSchema : public NodectlFixture {
 protected:
  void SetUp() override {
    NodectlFixture::SetUp();
    StartNode();
    PinNode();
    api_.ServeSchema(Newer());
  }
  std::string WriteNewer() {
    const std::string file = WriteConfig();
    Write(file,
          absl::StrReplaceAll(Read(file), {{"  role: server\n",
                                            "  role: server\n  turbo: 3  # fast\n"
                                            "  rocket: {stage: one, key: s3cr3t-s3cr3t}\n"}}) +
              "  config:\n    warp: true\n");
    return file;
  }
};

TEST_F(NodeSchema, AFieldThatThisProgramDoesNotKnowIsExplained) {
  EXPECT_EQ(Run({"explain", "k3s.turbo"}).exit_code, 1);
  Ran ran = Run({"explain", "k3s.turbo", "-n", "n1"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("How fast it goes."));
  EXPECT_THAT(ran.out, HasSubstr("from 1 to 9"));
  EXPECT_EQ(Run({"explain", "k3s.config.warp", "-n", "n1"}).exit_code, 0);
}

TEST_F(NodeSchema, TheJsonSchemaIsTheNodes) {
  Ran ran = Run({"schema", "-n", "n1"});
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const auto schema = nlohmann::json::parse(ran.out);
  EXPECT_EQ(schema["$defs"]["K3s"]["properties"]["turbo"]["maximum"], 9);
  EXPECT_THAT(ran.out, HasSubstr("How fast it goes."));
}

TEST_F(NodeSchema, ValidateKnowsItsFieldsAndItsRules) {
  const std::string file = WriteNewer();
  Ran own = Run({"validate", "-f", file});
  EXPECT_EQ(own.exit_code, 1);
  EXPECT_THAT(own.err, HasSubstr("k3s.turbo: unknown field"));
  Ran nodes = Run({"validate", "-f", file, "-n", "n1"});
  EXPECT_EQ(nodes.exit_code, 0) << nodes.err;
  Write(file, absl::StrReplaceAll(Read(file), {{"turbo: 3", "turbo: 12"}, {"stage:", "stagge:"}}));
  Ran wrong = Run({"validate", "-f", file, "-n", "n1"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("k3s.turbo: "));
  EXPECT_THAT(wrong.err, HasSubstr("did you mean `stage`?"));
  // The rules between fields, which are this program's, hold as well.
  Write(file, absl::StrReplaceAll(Read(file), {{"turbo: 12", "turbo: 3"},
                                               {"stagge:", "stage:"},
                                               {"role: server", "role: agent"}}));
  EXPECT_EQ(Run({"validate", "-f", file, "-n", "n1"}).exit_code, 1);
}

TEST_F(NodeSchema, PatchChangesAndKeepsWhatThisProgramDoesNotKnow) {
  const std::string file = WriteNewer();
  Ran ran = Run({"patch", "-f", file, "-n", "n1", "--patch",
                 "{k3s: {turbo: 7, rocket: {stage: two}, tlsSans: [a]}}", "--in-place"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(Read(file), HasSubstr("  turbo: 7  # fast\n"));
  EXPECT_THAT(Read(file), HasSubstr("rocket: {stage: two, key: s3cr3t-s3cr3t}\n"));
  EXPECT_THAT(Read(file), HasSubstr("warp: true\n"));
  EXPECT_THAT(ran.err, HasSubstr("k3s.turbo: 3 -> 7"));
  Ran secret =
      Run({"patch", "-f", file, "-n", "n1", "--set", "k3s.rocket.key=other-s3cr3t", "--dry-run"});
  EXPECT_EQ(secret.exit_code, 0) << secret.err;
  EXPECT_THAT(secret.both(), HasSubstr("k3s.rocket.key"));
  EXPECT_THAT(secret.both(), Not(HasSubstr("s3cr3t")));
  Ran bad = Run({"patch", "-f", file, "-n", "n1", "--set", "k3s.turbo=99", "--in-place"});
  EXPECT_EQ(bad.exit_code, 1);
}

TEST_F(NodeSchema, ASchemaThatCannotBeUsedIsAnErrorAndNoCrash) {
  v1::ServedSchema empty;
  v1::ServedSchema garbage = Newer();
  garbage.set_descriptors("garbage");
  v1::ServedSchema recursive = docs::Serve("9");
  FileDescriptorSet files;
  ASSERT_TRUE(files.ParseFromString(recursive.descriptors()));
  FieldDescriptorProto& again = *MessageIn(files, "K3s").add_field();
  again.set_name("again");
  again.set_json_name("again");
  again.set_number(9001);
  again.set_label(FieldDescriptorProto::LABEL_OPTIONAL);
  again.set_type(FieldDescriptorProto::TYPE_MESSAGE);
  again.set_type_name(".basalt.v1.K3s");
  recursive.set_descriptors(files.SerializeAsString());
  for (const v1::ServedSchema& schema : {empty, garbage, recursive}) {
    api_.ServeSchema(schema);
    Ran ran = Run({"explain", "k3s", "-n", "n1"});
    EXPECT_EQ(ran.exit_code, 1);
    EXPECT_THAT(ran.err, HasSubstr("bad-schema"));
  }
}

}  // namespace
}  // namespace basalt::client
