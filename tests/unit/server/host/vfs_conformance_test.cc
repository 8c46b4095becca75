// What Vfs promises, checked against the real disk and the fake one, so that the fake cannot lie.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "server/host/vfs.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt::host {
namespace {

using ::testing::ElementsAre;

class VfsConformance : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "fake") {
      vfs_ = std::make_unique<basalt::testing::FakeVfs>();
      return;
    }
    std::string name = (std::filesystem::temp_directory_path() / "basalt-vfs-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    auto vfs = OpenVfs(root_);
    ASSERT_TRUE(vfs.ok()) << vfs.status();
    vfs_ = *std::move(vfs);
  }
  void TearDown() override {
    vfs_.reset();
    if (!root_.empty()) std::filesystem::remove_all(root_);
  }
  std::string root_;
  std::unique_ptr<Vfs> vfs_;
};

TEST_P(VfsConformance, ReplaceMakesAndReplaces) {
  ASSERT_TRUE(vfs_->MakeDirs("state/a").ok());
  ASSERT_TRUE(vfs_->Replace("state/a/f", "one").ok());
  EXPECT_EQ(*vfs_->Read("state/a/f"), "one");
  ASSERT_TRUE(vfs_->Replace("state/a/f", "two").ok());
  EXPECT_EQ(*vfs_->Read("state/a/f"), "two");
  EXPECT_THAT(*vfs_->List("state/a"), ElementsAre("f"));
  EXPECT_THAT(*vfs_->List("state"), ElementsAre("a"));
  EXPECT_TRUE(vfs_->Exists("state/a/f"));
  EXPECT_TRUE(vfs_->Exists("state"));
  EXPECT_FALSE(vfs_->Exists("state/b"));
}

TEST_P(VfsConformance, ReplaceVolatileLooksTheSame) {
  ASSERT_TRUE(vfs_->ReplaceVolatile("endpoint", "127.0.0.1:1").ok());
  EXPECT_EQ(*vfs_->Read("endpoint"), "127.0.0.1:1");
}

TEST_P(VfsConformance, ReplaceInAMissingDirectoryIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(vfs_->Replace("nowhere/f", "x")));
  EXPECT_TRUE(absl::IsNotFound(vfs_->Read("nowhere/f").status()));
  EXPECT_TRUE(absl::IsNotFound(vfs_->List("nowhere").status()));
}

TEST_P(VfsConformance, ReplaceTakesOverATemporaryThatACutLeft) {
  ASSERT_TRUE(vfs_->Replace(std::string(kTempPrefix) + "f", "left over, longer than new").ok());
  ASSERT_TRUE(vfs_->Replace("f", "new").ok());
  EXPECT_EQ(*vfs_->Read("f"), "new");
  EXPECT_THAT(*vfs_->List(""), ElementsAre("f"));
}

TEST_P(VfsConformance, AppendGrowsTheFile) {
  ASSERT_TRUE(vfs_->AppendSync("log", "ab").ok());
  ASSERT_TRUE(vfs_->AppendSync("log", "cd").ok());
  EXPECT_EQ(*vfs_->Read("log"), "abcd");
  ASSERT_TRUE(vfs_->Truncate("log", 3).ok());
  EXPECT_EQ(*vfs_->Read("log"), "abc");
  ASSERT_TRUE(vfs_->AppendSync("log", "X").ok());
  EXPECT_EQ(*vfs_->Read("log"), "abcX");
  EXPECT_TRUE(absl::IsNotFound(vfs_->Truncate("absent", 0)));
}

TEST_P(VfsConformance, RemoveOfWhatIsAbsentIsFine) {
  ASSERT_TRUE(vfs_->Replace("f", "x").ok());
  EXPECT_TRUE(vfs_->Remove("f").ok());
  EXPECT_TRUE(vfs_->Remove("f").ok());
  EXPECT_FALSE(vfs_->Exists("f"));
  EXPECT_TRUE(vfs_->SyncDir("").ok());
}

TEST_P(VfsConformance, ReadStopsAtItsLimit) {
  ASSERT_TRUE(vfs_->Replace("f", "12345").ok());
  EXPECT_EQ(*vfs_->Read("f", 5), "12345");
  EXPECT_TRUE(absl::IsOutOfRange(vfs_->Read("f", 4).status()));
}

TEST_P(VfsConformance, P5_PathsThatLeaveTheRootAreRefused) {
  for (absl::string_view path :
       {absl::string_view("../x"), absl::string_view("/etc/passwd"), absl::string_view("a/../../x"),
        absl::string_view("a\0b", 3), absl::string_view("")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(vfs_->Read(path).status())) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(vfs_->Replace(path, "x"))) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(vfs_->AppendSync(path, "x"))) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(vfs_->Remove(path))) << path;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(vfs_->MakeDirs("a/../../b")));
}

TEST_P(VfsConformance, MakeDirsMayBeRepeated) {
  ASSERT_TRUE(vfs_->MakeDirs("a/b/c").ok());
  ASSERT_TRUE(vfs_->MakeDirs("a/b/c").ok());
  EXPECT_TRUE(vfs_->Exists("a/b/c"));
  EXPECT_GT(*vfs_->FreeBytes("a/b"), 0u);
}

INSTANTIATE_TEST_SUITE_P(Vfs, VfsConformance, ::testing::Values("real", "fake"),
                         [](const auto& info) { return info.param; });

class RealVfs : public VfsConformance {};

TEST_P(RealVfs, S11_ASymlinkLeadsNowhere) {
  ASSERT_EQ(symlink("/etc/hostname", (root_ + "/link").c_str()), 0);
  ASSERT_EQ(symlink("/etc", (root_ + "/dir").c_str()), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(vfs_->Read("link").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(vfs_->Read("dir/hostname").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(vfs_->AppendSync("link", "x")));
  EXPECT_TRUE(absl::IsInvalidArgument(vfs_->Replace("dir/f", "x")));
  // A replace takes the name, not what it points to.
  EXPECT_TRUE(vfs_->Replace("link", "mine").ok());
  EXPECT_EQ(*vfs_->Read("link"), "mine");
}

TEST_P(RealVfs, ModesAreWhatWasAskedForWhateverTheUmask) {
  mode_t before = umask(0077);
  EXPECT_TRUE(vfs_->Replace("shown", "x", 0644).ok());
  EXPECT_TRUE(vfs_->Replace("hidden", "x").ok());
  umask(before);
  struct stat st {};
  ASSERT_EQ(stat(vfs_->Absolute("shown").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0644u);
  ASSERT_EQ(stat(vfs_->Absolute("hidden").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_P(RealVfs, AMissingRootIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(OpenVfs(root_ + "/nowhere").status()));
}

INSTANTIATE_TEST_SUITE_P(Vfs, RealVfs, ::testing::Values("real"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace basalt::host
