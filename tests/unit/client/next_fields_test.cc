#include "client/commands/next_fields.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::MachineConfig Config(const std::string& k3s) {
  v1::MachineConfig config;
  const std::string text = absl::StrCat(
      "apiVersion: basalt/v1\nkind: MachineConfig\nmetadata: {cluster: home, name: n1}\n"
      "target: {machineId: ",
      std::string(64, 'a'), "}\n",
      "api: {listen: [\"0.0.0.0:6050\"]}\n"
      "k3s: {version: v1.30.4+k3s1, agentToken: 0123456789abcdefghijklmn, artifacts: {amd64: "
      "{urls: [\"https://h/k3s\"], sha256: ",
      std::string(64, 'b'), "}}, ", k3s, "}\n");
  const auto read = yaml::Decode(text, "", config);
  EXPECT_TRUE(read.ok()) << read.errors[0].ToString();
  return config;
}

TEST(NextFields, EachIsRightWhenItIsUncommentedAlone) {
  for (const char* k3s : {"role: server, token: abcdefghijklmnopqrstuvwx",
                          "role: agent, cluster: {server: \"https://h:6443\"}"}) {
    const v1::MachineConfig config = Config(k3s);
    const std::string text = WithNextFields(yaml::Emit(config), config);
    ASSERT_TRUE(validate::Load(text, "", validate::Stage::kSource).ok()) << text;
    const std::vector<std::string> lines = absl::StrSplit(text, '\n');
    int fields = 0;
    for (size_t i = 0; i < lines.size(); ++i) {
      const size_t hash = lines[i].find("#");
      if (hash == std::string::npos || lines[i].find_first_not_of(' ') != hash ||
          lines[i][hash + 1] == ' ') {
        continue;
      }
      ++fields;
      std::vector<std::string> changed = lines;
      changed[i].erase(hash, 1);
      const auto loaded =
          validate::Load(absl::StrJoin(changed, "\n"), "", validate::Stage::kSource);
      EXPECT_TRUE(loaded.ok()) << lines[i] << ": "
                               << (loaded.ok() ? ""
                                               : api::Violations(loaded.status())[0].ToString());
    }
    EXPECT_GE(fields, 5) << text;
  }
}

TEST(NextFields, TheWordsAreTheSchemasAndWhatIsThereIsNotOffered) {
  const v1::MachineConfig config = Config("role: server, tlsSans: [a], cluster: {init: true}");
  const std::string text = WithNextFields(yaml::Emit(config), config);
  EXPECT_THAT(text, HasSubstr("  #labels: {site: lab}\n"));
  EXPECT_THAT(text, Not(HasSubstr("#tlsSans")));
  EXPECT_THAT(text, Not(HasSubstr("#cluster")));
  EXPECT_THAT(text, Not(HasSubstr("kubelet-arg")));
  v1::MachineConfig again;
  EXPECT_TRUE(yaml::Decode(text, "", again).ok());
  EXPECT_EQ(yaml::Emit(again), yaml::Emit(config));
}

}  // namespace
}  // namespace basalt::client
