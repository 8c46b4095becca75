// What may stand in a recipe and a lock file, and that ours are right.
#include "images/builder/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "images/builder/lock.h"

namespace basalt::image {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<Recipe> Read(const std::map<std::string, std::string>& files) {
  return ReadRecipe("x", [&](absl::string_view name) -> absl::StatusOr<std::string> {
    auto found = files.find(std::string(name));
    if (found == files.end()) return absl::NotFoundError(absl::StrCat("no file ", name));
    return found->second;
  });
}

constexpr char kLeast[] =
    "architecture amd64\nkernel linux-image-cloud-amd64 # k\nstub systemd-boot-efi # s\n"
    "partition ESP 512 # e\nbudget 1000 # b\n";

std::string ErrorOf(const std::string& line) {
  absl::StatusOr<Recipe> recipe = Read({{"x.profile", absl::StrCat(kLeast, line)}, {"l", "\n"}});
  return recipe.ok() ? "" : std::string(recipe.status().message());
}

TEST(Recipe, SaysWhatIsOnTheImageAndWhy) {
  absl::StatusOr<Recipe> recipe =
      Read({{"x.profile", absl::StrCat(kLeast, "include l\n")},
            {"l",
             "# a comment\n\nprogram /usr/bin/p pkg:/usr/lib/@triplet@/p   # because\nargument "
             "quiet # q\n"
             "argument panic=10 # p\nearly-module erofs # root\n"}});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  ASSERT_EQ(recipe->entries.size(), 1u);
  EXPECT_EQ(recipe->entries[0].source, "pkg:/usr/lib/x86_64-linux-gnu/p");
  EXPECT_EQ(recipe->entries[0].why, "because");
  EXPECT_EQ(recipe->CommandLine(), "quiet panic=10");
  EXPECT_TRUE(recipe->modules[0].early);
  EXPECT_EQ(recipe->packages.size(), 2u) << "kernel and stub are packages, too";
}

TEST(Recipe, ErrorsNameFileAndLine) {
  EXPECT_THAT(ErrorOf("program /usr/bin/p pkg:/p\n"), HasSubstr("x.profile:6: says no ` # why`"));
  EXPECT_THAT(ErrorOf("progam /usr/bin/p pkg:/p # w\n"), HasSubstr("x.profile:6"));
  EXPECT_THAT(ErrorOf("program usr/bin/p pkg:/p # w\n"), HasSubstr("clean absolute path"));
  EXPECT_THAT(ErrorOf("plugins /usr/lib/p pkg:/p # w\n"), HasSubstr("that many words"));
  EXPECT_THAT(ErrorOf("file /a/../b pkg:/p # w\n"), HasSubstr("clean absolute path"));
  EXPECT_THAT(ErrorOf("file /a pkg:/p # w\nfile /a pkg:/q # w\n"),
              HasSubstr("x.profile:7: /a is there already"));
  EXPECT_THAT(ErrorOf("module m # w\nmodule m # w\n"), HasSubstr("is there already"));
  EXPECT_THAT(ErrorOf("architecture riscv64\n"), HasSubstr("amd64, arm64"));
  EXPECT_THAT(ErrorOf("partition DATA many # w\n"), HasSubstr("MiB"));
  EXPECT_THAT(ErrorOf("kernel linux-image-amd64 # w\n"), HasSubstr("a second `kernel`"));
  EXPECT_THAT(ErrorOf("include l\ninclude l\n"), HasSubstr("included twice"));
  EXPECT_THAT(ErrorOf("include none\n"), HasSubstr("no file none"));
  EXPECT_THAT(Read({{"x.profile", ""}}).status().message(), HasSubstr("no `architecture`"));
}

constexpr char kLockLine[] =
    "zlib1g 1:1.2.13.dfsg-1 amd64 86680 "
    "e4f0c1ee1ed6a7d0a1c4f5b7e4fcd57ef4be1b0a2d0a53a6a0d4a6b7a8f9c0d1 pool/z.deb\n";

TEST(Lock, IsReadAsItIsWritten) {
  absl::StatusOr<std::vector<LockedPackage>> lock = ParseLock(kLockLine);
  ASSERT_TRUE(lock.ok()) << lock.status();
  ASSERT_EQ(lock->size(), 1u);
  EXPECT_EQ((*lock)[0].version, "1:1.2.13.dfsg-1");
  std::string written = FormatLock(*lock);
  EXPECT_THAT(written, HasSubstr(kLockLine));
  EXPECT_TRUE(ParseLock(written).ok());
}

TEST(Lock, OddLinesAreRefused) {
  std::string line = kLockLine;
  EXPECT_FALSE(ParseLock(line.substr(0, 60)).ok());
  EXPECT_FALSE(ParseLock("-oDir=/ " + line.substr(7)).ok()) << "an option to apt";
  EXPECT_FALSE(ParseLock("../zlib1g " + line.substr(7)).ok());
  EXPECT_FALSE(ParseLock("zlib1g 1;2 amd64 1 " + std::string(64, 'a') + " p\n").ok());
  EXPECT_FALSE(ParseLock("zlib1g 1 amd64 1 " + std::string(63, 'a') + " p\n").ok());
}

TEST(Lock, APackageIsTakenFromWhatAptSays) {
  absl::StatusOr<LockedPackage> p = FromStanza(
      "Package: zlib1g\nVersion: 1:1.2.13\nArchitecture: amd64\nSize: 86680\nFilename: "
      "pool/z.deb\nSHA256: " +
      std::string(64, 'a') + "\nDescription: Package: other\n");
  ASSERT_TRUE(p.ok()) << p.status();
  EXPECT_EQ(p->name, "zlib1g");
  EXPECT_EQ(p->size, 86680u);
  EXPECT_FALSE(FromStanza("Package: zlib1g\n").ok());
}

std::string FileOf(absl::string_view name) {
  std::ifstream file(absl::StrCat(RECIPE, "/", name));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class Shipped : public ::testing::TestWithParam<std::string> {};

TEST_P(Shipped, RecipeAndLockNameTheSamePackages) {
  absl::StatusOr<Recipe> recipe = ReadRecipe(
      GetParam(),
      [](absl::string_view name) -> absl::StatusOr<std::string> { return FileOf(name); },
      /*nonfree=*/true);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  absl::StatusOr<std::vector<LockedPackage>> lock = ParseLock(FileOf(GetParam() + ".lock"));
  ASSERT_TRUE(lock.ok()) << lock.status();
  std::set<std::string> want, have;
  for (const Named& p : recipe->packages) {
    if (p.name != recipe->kernel_package) want.insert(p.name);
  }
  int kernels = 0;
  for (const LockedPackage& p : *lock) {
    bool kernel = absl::StartsWith(p.name, "linux-image-");
    kernels += kernel;
    if (!kernel) have.insert(p.name);
  }
  EXPECT_EQ(want, have);
  EXPECT_EQ(kernels, 1);
}

TEST_P(Shipped, PartitionsAreThoseThatTheNodeLooksFor) {
  absl::StatusOr<Recipe> recipe = ReadRecipe(
      GetParam(),
      [](absl::string_view name) -> absl::StatusOr<std::string> { return FileOf(name); });
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  std::vector<std::string> names;
  for (const PartitionSize& p : recipe->partitions) names.push_back(p.name);
  EXPECT_EQ(names, (std::vector<std::string>{"ESP", "SLOT-A", "SLOT-B", "STATE", "DATA"}));
}

TEST_P(Shipped, U9_AKernelThatPanicsRestartsAndIsLockedDown) {
  absl::StatusOr<Recipe> recipe = ReadRecipe(
      GetParam(),
      [](absl::string_view name) -> absl::StatusOr<std::string> { return FileOf(name); });
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  std::string line = absl::StrCat(" ", recipe->CommandLine(), " ");
  EXPECT_THAT(line, HasSubstr(" panic=10 "));
  EXPECT_THAT(line, HasSubstr(" lockdown=integrity "));
}

INSTANTIATE_TEST_SUITE_P(Profiles, Shipped,
                         ::testing::Values("vm-amd64", "metal-amd64", "vm-arm64", "rpi4-arm64"),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

// What is not free software is on an image only when somebody said so.
TEST(Recipe, FirmwareThatIsNotFreeIsNamedOnlyWhereItIsAccepted) {
  auto read = [](absl::string_view name) -> absl::StatusOr<std::string> { return FileOf(name); };
  auto names = [](const Recipe& recipe) {
    std::set<std::string> out;
    for (const Named& p : recipe.packages) out.insert(p.name);
    return out;
  };
  absl::StatusOr<Recipe> plain = ReadRecipe("metal-amd64", read),
                         all = ReadRecipe("metal-amd64", read, /*nonfree=*/true);
  ASSERT_TRUE(plain.ok() && all.ok());
  absl::StatusOr<std::vector<LockedPackage>> lock = ParseLock(FileOf("metal-amd64.lock"));
  ASSERT_TRUE(lock.ok());
  int nonfree = 0;
  for (const LockedPackage& p : *lock) {
    if (!absl::StrContains(p.source, "/non-free")) continue;
    ++nonfree;
    EXPECT_EQ(names(*plain).count(p.name), 0u) << p.name;
    EXPECT_EQ(names(*all).count(p.name), 1u) << p.name;
  }
  EXPECT_GT(nonfree, 0);
}

TEST(Recipe, ALoadedWatchdogOfTheMachineComesBeforeTheSoftOne) {
  absl::StatusOr<Recipe> recipe = ReadRecipe(
      "metal-amd64",
      [](absl::string_view name) -> absl::StatusOr<std::string> { return FileOf(name); });
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  size_t soft = 0, hard = 0, at = 0;
  for (const Module& m : recipe->modules) {
    ++at;
    if (m.name == "softdog") soft = at;
    if (m.name == "iTCO_wdt" || m.name == "i6300esb") hard = at;
  }
  EXPECT_GT(hard, 0u);
  EXPECT_LT(hard, soft);
}

}  // namespace
}  // namespace basalt::image
