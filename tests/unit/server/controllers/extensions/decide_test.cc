// What is decided about extensions, and the manifest that it is decided by.
#include "server/controllers/extensions/decide.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/coded_status.h"
#include "tests/unit/server/controllers/extensions/extension_world.h"

namespace basalt::extensions {
namespace {

using ::basalt::testing::ManifestText;
using ::basalt::testing::SomeExtension;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::MachineConfig Config(const std::vector<std::pair<std::string, char>>& extensions) {
  v1::MachineConfig config;
  for (const auto& [name, digit] : extensions) {
    v1::SystemExtension& one = *config.mutable_system()->add_extensions();
    one.set_name(name);
    one.set_digest("sha256:" + std::string(64, digit));
  }
  return config;
}

std::vector<std::string> Steps(const v1::MachineConfig* from, const v1::MachineConfig& to,
                               const KnownExtensions& known = {}) {
  std::vector<std::string> out;
  absl::StatusOr<engine::ControllerPlan> plan = PlanExtensions(from, to, known, "");
  EXPECT_TRUE(plan.ok()) << plan.status();
  if (!plan.ok()) return out;
  for (const engine::PlanStep& step : plan->steps) {
    out.push_back((step.effect == v1::EFFECT_LIVE ? "live: " : "reboot: ") + step.description);
  }
  return out;
}

TEST(ExtensionPlan, AddingIsLiveChangingAndRemovingRestart) {
  const v1::MachineConfig none, one = Config({{"nfs", 'a'}}), other = Config({{"nfs", 'b'}});
  EXPECT_THAT(Steps(nullptr, none), ElementsAre());
  EXPECT_THAT(Steps(&none, one),
              ElementsAre("live: add the extension nfs (sha256:aaaaaaaaaaaa...)"));
  EXPECT_THAT(Steps(&one, one), ElementsAre());
  EXPECT_THAT(Steps(&one, other), ElementsAre(HasSubstr("reboot: replace the extension nfs")));
  EXPECT_THAT(Steps(&one, none), ElementsAre(HasSubstr("reboot: remove the extension nfs")));
  KnownExtensions known;
  known[std::string(64, 'a')].manifest = SomeExtension("nfs");
  EXPECT_THAT(Steps(&none, one, known), ElementsAre(HasSubstr("nfs 1.0.0")));
}

TEST(ExtensionPlan, AFileWhereAnotherHasADirectoryIsAConflict) {
  sign::ExtensionManifest a = SomeExtension("a"), b = SomeExtension("b");
  EXPECT_TRUE(CheckConflicts({&a, &b}).ok());
  b.files = {{"/usr/share/a", Sha256("").Hex()}};
  EXPECT_EQ(api::Reason(CheckConflicts({&a, &b})), "extension-conflict");
  EXPECT_EQ(api::Reason(CheckConflicts({&b, &a})), "extension-conflict");
}

TEST(ExtensionManifest, ReadsWhatTheBuilderWrites) {
  const sign::ExtensionManifest nfs = SomeExtension("nfs");
  const auto read = sign::ParseExtensionManifest(ManifestText(nfs));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, nfs);
}

TEST(ExtensionManifest, AnImageIsNoExtensionAndTheOtherWayRound) {
  std::string text = ManifestText(SomeExtension("nfs"));
  EXPECT_FALSE(sign::ParseImageManifest(text).ok());
  text.replace(text.find("Extension"), 9, "Image");
  EXPECT_EQ(api::Reason(sign::ParseExtensionManifest(text).status()), "bad-manifest");
}

TEST(ExtensionManifest, P5_NoFileGetsOutOfUsr) {
  for (const char* path : {"/etc/passwd", "/usr/../etc/passwd", "usr/bin/x", "/usr//x", "/usr/",
                           "/usr", "/usr/./x", "/usr/a\\nb"}) {
    sign::ExtensionManifest m = SomeExtension("nfs");
    m.files = {{path, Sha256("").Hex()}};
    EXPECT_FALSE(sign::ParseExtensionManifest(ManifestText(m)).ok()) << path;
  }
}

TEST(ExtensionManifest, ModulesComeWithTheKernelThatTheyAreFor) {
  sign::ExtensionManifest m = SomeExtension("nfs");
  m.kernel_release.clear();
  EXPECT_FALSE(sign::ParseExtensionManifest(ManifestText(m)).ok());
  m.modules.clear();
  EXPECT_TRUE(sign::ParseExtensionManifest(ManifestText(m)).ok());
  m.files["/usr/bin/x"] = "nonsense";
  EXPECT_FALSE(sign::ParseExtensionManifest(ManifestText(m)).ok());
}

}  // namespace
}  // namespace basalt::extensions
