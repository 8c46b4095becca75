#include "tests/component/client/owned_node.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace basalt::client {

void OwnedNode::TearDown() {
  node_.reset();
  NodectlFixture::TearDown();
}

void OwnedNode::StartOwned() {
  node_ = std::make_unique<testing::NodeProcess>(
      owner_, testing::NodeOptions{.trust_json = Read(lab_ + "/trust.json")});
  absl::Status started = node_->Start();
  ASSERT_TRUE(started.ok()) << started;
  Good({"pin", "n1", "--node", node_->endpoint(), "--fingerprint", node_->fingerprint()});
}

Ran OwnedNode::RunIn(const std::string& lab, const std::vector<std::string>& words) {
  return Run(words, {{"NODECTL_CONTEXT", lab + "/context.yaml"}});
}

Ran OwnedNode::Good(const std::vector<std::string>& words) {
  Ran ran = Run(words);
  EXPECT_EQ(ran.exit_code, 0) << ::testing::PrintToString(words) << "\n" << ran.both();
  return ran;
}

void OwnedNode::Refused(const Ran& ran, const std::string& code) {
  EXPECT_EQ(ran.exit_code, 1) << ran.both();
  EXPECT_THAT(ran.err, ::testing::HasSubstr(": " + code + ": ")) << ran.out;
}

std::string OwnedNode::WriteYaml(const std::string& file, const Config& config) {
  const std::string ca = (config.ca.empty() ? lab_ : config.ca) + "/ca/ca.crt";
  std::string pem = Read(ca);
  const std::string indented =
      absl::StrReplaceAll(absl::StripSuffix(pem, "\n"), {{"\n", "\n        "}});
  Write(Path(file),
        absl::StrCat("apiVersion: basalt/v1\nkind: MachineConfig\nmetadata:\n  cluster: home\n",
                     "  name: n1\n",
                     config.labels.empty() ? "" : absl::StrCat("  labels: ", config.labels, "\n"),
                     config.metadata, "api:\n  clientCas:\n    - name: owner\n",
                     "      roles: [admin]\n      certificate: |\n        ", indented, "\n",
                     config.api));
  return Path(file);
}

std::string OwnedNode::CopyLab(const std::string& name) {
  std::filesystem::copy(lab_, Path(name), std::filesystem::copy_options::recursive);
  return Path(name);
}

}  // namespace basalt::client
