#include "client/commands/yaml_edit.h"

#include <gmock/gmock.h>

#include "api/coded_status.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::K3s Pin() {
  v1::K3s pin;
  pin.set_version("v1.31.0+k3s1");
  pin.mutable_artifacts()->mutable_arm64()->add_urls("https://h/k3s-arm64");
  pin.mutable_artifacts()->mutable_arm64()->set_sha256(std::string(64, 'a'));
  return pin;
}

constexpr char kBefore[] =
    "# mine\napiVersion: basalt/v1\nkind: MachineConfig\nk3s:\n  role: server  # the first\n"
    "  version: v1.30.4+k3s1  # pinned\n\n  # where from\n  artifacts:\n    amd64:\n      urls: "
    "[https://h/k3s]\n"
    "      sha256: \"bb\"\n\n  # tokens\n  agentToken: x\n# end\n";

TEST(K3sPin, RewritesOnlyItsLines) {
  auto after = EditK3sPin(kBefore, "f", Pin());
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(
      *after,
      "# mine\napiVersion: basalt/v1\nkind: MachineConfig\nk3s:\n  role: server  # the first\n"
      "  version: v1.31.0+k3s1  # pinned\n\n  # where from\n  artifacts:\n    arm64:\n      urls:\n"
      "        - https://h/k3s-arm64\n      sha256: " +
          std::string(64, 'a') + "\n\n  # tokens\n  agentToken: x\n# end\n");
}

TEST(K3sPin, TwiceIsTheSame) {
  auto once = EditK3sPin(kBefore, "f", Pin());
  ASSERT_TRUE(once.ok());
  auto twice = EditK3sPin(*once, "f", Pin());
  ASSERT_TRUE(twice.ok()) << twice.status();
  EXPECT_EQ(*once, *twice);
}

TEST(K3sPin, AddsWhatIsNotThereAndDropsTheExample) {
  auto after = EditK3sPin(
      "k3s:\n  role: server\n  version: v1.30.4+k3s1\n  # artifacts:\n  #   amd64:\n  token: x\n",
      "f", Pin());
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_THAT(*after, HasSubstr("  version: v1.31.0+k3s1\n  artifacts:\n    arm64:\n"));
  EXPECT_THAT(*after, Not(HasSubstr("# artifacts")));
}

TEST(K3sPin, FlowStyleStaysFlowStyle) {
  auto after = EditK3sPin("k3s: {role: server}  # one line\n", "f", Pin());
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(*after,
            "k3s: {role: server, version: v1.31.0+k3s1, artifacts: {arm64: {urls: "
            "[https://h/k3s-arm64], sha256: " +
                std::string(64, 'a') + "}}}  # one line\n");
}

TEST(K3sPin, AStyleThatNobodyEditsIsLeftAloneAndTheLinesToPasteAreNamed) {
  auto after = EditK3sPin("? k3s\n: {role: server}\n", "f", Pin());
  EXPECT_EQ(api::Reason(after.status()), "cannot-edit");
  EXPECT_THAT(api::Hint(after.status()), HasSubstr("version: v1.31.0+k3s1"));
}

}  // namespace
}  // namespace basalt::client
