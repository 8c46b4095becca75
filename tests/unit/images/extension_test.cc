// Extensions and containers as the builder makes them: what may be asked for, what is packed, what
// is said of it.
#include "images/builder/extension.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "images/builder/formats/tar.h"
#include "images/builder/oci.h"

namespace basalt::image {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Recipe Base() {
  Recipe base;
  base.profile = "vm-amd64";
  base.architecture = "amd64";
  base.kernel_package = "linux-image-cloud-amd64";
  base.stub_package = "systemd-boot-efi";
  return base;
}

absl::StatusOr<Recipe> Read(const std::string& list, const std::string& name = "nfs") {
  return ReadExtensionRecipe(Base(), name,
                             [&](absl::string_view file) -> absl::StatusOr<std::string> {
                               if (file == "extensions/nfs.list") return list;
                               return absl::NotFoundError(file);
                             });
}

TEST(ExtensionRecipe, HasWhatItsListSaysAndNoKernelOfItsOwn) {
  const auto recipe = Read(
      "package nfs-common # the client\n"
      "program /usr/sbin/mount.nfs nfs-common:/sbin/mount.nfs # mounts\n"
      "module nfs # the file system\n");
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  ASSERT_EQ(recipe->packages.size(), 1u);
  EXPECT_EQ(recipe->packages[0].name, "nfs-common");
  EXPECT_EQ(recipe->modules.size(), 1u);
  EXPECT_EQ(recipe->architecture, "amd64");
}

TEST(ExtensionRecipe, WhatIsOfAnImageOrOutsideUsrIsRefused) {
  for (const char* line :
       {"file /etc/x recipe:x # x\n", "argument quiet # x\n", "partition X 1 # x\n",
        "generated /usr/lib/x os-release # x\n", "early-module nfs # x\n", "kernel other # x\n"}) {
    EXPECT_THAT(std::string(Read(line).status().message()), HasSubstr("bad-recipe")) << line;
  }
  EXPECT_FALSE(Read("", "../x").ok());
}

TEST(ExtensionTree, IsWhatTheWholeHasMoreThanTheBase) {
  Tree base, whole;
  ASSERT_TRUE(AddNode(base, "/usr/lib/a.so", {.content = "a"}).ok());
  whole = base;
  ASSERT_TRUE(AddNode(whole, "/usr/lib/b.so", {.content = "b"}).ok());
  ASSERT_TRUE(AddNode(whole, "/usr/sbin/x", {.content = "x"}).ok());
  const Tree only = Difference(whole, base);
  EXPECT_EQ(only.count("/usr/lib/a.so"), 0u);
  EXPECT_EQ(only.count("/usr/lib/b.so"), 1u);
  EXPECT_EQ(only.count("/usr/sbin/x"), 1u);
  EXPECT_EQ(only.count("/usr/lib"), 1u) << "the directory above it";
}

TEST(ExtensionManifestText, NodesReadWhatIsWritten) {
  sign::ExtensionManifest m{.name = "nfs",
                            .architecture = "amd64",
                            .version = "1.0.0",
                            .build_time = absl::FromUnixSeconds(1700000000),
                            .kernel_release = "6.1.0-56-cloud-amd64",
                            .root = std::string(64, 'a') + ":12",
                            .salt = std::string(64, 'b'),
                            .file = {"nfs.extension", 100, Sha256("x")},
                            .sbom = {"nfs.spdx.json", 10, Sha256("y")},
                            .modules = {"nfs"},
                            .files = {{"/usr/sbin/mount.nfs", Sha256("z").Hex()},
                                      {"/usr/sbin/mount.nfs4", "-> mount.nfs"}}};
  const auto read = sign::ParseExtensionManifest(FormatExtensionManifest(m));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, m);
  m.modules.clear();
  m.kernel_release.clear();
  EXPECT_THAT(FormatExtensionManifest(m), Not(HasSubstr("kernelRelease")));
  EXPECT_TRUE(sign::ParseExtensionManifest(FormatExtensionManifest(m)).ok());
}

TEST(Tar, LongPathsAreSplitAndTooLongOnesAreRefused) {
  TarWriter tar(absl::FromUnixSeconds(1700000000));
  const std::string directory(90, 'd'), file(90, 'f');
  EXPECT_TRUE(tar.AddFile(absl::StrCat(directory, "/", file), 0644, "content").ok());
  EXPECT_FALSE(tar.AddFile(std::string(120, 'f'), 0644, "").ok());
  EXPECT_FALSE(tar.AddFile("/absolute", 0644, "").ok());
  EXPECT_FALSE(tar.AddLink("a", std::string(101, 't')).ok());
  const std::string bytes = tar.Finish();
  EXPECT_EQ(bytes.size() % 512, 0u);
  EXPECT_EQ(bytes.substr(0, 90), file);
  EXPECT_EQ(bytes.substr(345, 90), directory);
  EXPECT_EQ(bytes.substr(257, 5), "ustar");
}

class ContainerImage : public ::testing::Test {
 protected:
  ContainerImage() {
    EXPECT_TRUE(AddNode(tree_, "/usr/bin/noded", {.mode = 0755, .content = "noded"}).ok());
    EXPECT_TRUE(AddNode(tree_, "/usr/lib/modules/6.1/nfs.ko", {.mode = 0644}).ok());
    EXPECT_TRUE(AddNode(tree_, "/usr/lib/basalt/modules.list", {.mode = 0644}).ok());
  }
  Tree tree_;
  OciOptions options_{.architecture = "amd64",
                      .info = {.version = "1.2.3", .time = absl::FromUnixSeconds(1700000000)}};
};

TEST_F(ContainerImage, HasNoKernelModules) {
  const Tree inside = ContainerTree(tree_);
  EXPECT_EQ(inside.count("/usr/bin/noded"), 1u);
  for (const auto& [path, node] : inside) EXPECT_THAT(path, Not(HasSubstr("modules"))) << path;
}

TEST_F(ContainerImage, U10_TheSameTreeIsTheSameArchive) {
  const auto a = MakeOciArchive(tree_, options_), b = MakeOciArchive(tree_, options_);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(*a, *b);
  EXPECT_THAT(*a, HasSubstr("basalt:1.2.3"));
}

TEST_F(ContainerImage, ItsBundleGivesNothingOfTheHostButVolumes) {
  const auto config = nlohmann::json::parse(BundleConfig(options_));
  EXPECT_TRUE(config["root"]["readonly"]);
  EXPECT_TRUE(config["process"]["noNewPrivileges"]);
  for (const auto& mount : config["mounts"]) {
    const std::string target = mount["destination"], type = mount["type"];
    EXPECT_NE(type, "devtmpfs");
    if (type == "bind") {
      EXPECT_TRUE(target == "/state" || target == "/data") << target;
    }
    if (target == "/dev") {
      EXPECT_EQ(type, "tmpfs");
    }
  }
  std::vector<std::string> namespaces;
  for (const auto& one : config["linux"]["namespaces"]) namespaces.push_back(one["type"]);
  EXPECT_THAT(namespaces, ::testing::IsSupersetOf({"pid", "mount", "network", "uts", "ipc"}));
}

}  // namespace
}  // namespace basalt::image
