#include "server/artifacts/store_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"

namespace basalt::artifacts {
namespace {

namespace fs = std::filesystem;

class StoreFilesTest : public ::testing::Test {
 protected:
  StoreFilesTest() {
    char pattern[] = "/tmp/basalt-store-XXXXXX";
    dir_ = mkdtemp(pattern);
    files_ = std::make_unique<StoreFiles>(dir_);
  }
  ~StoreFilesTest() override { fs::remove_all(dir_); }

  void Put(const std::string& digest, const std::string& content) {
    absl::StatusOr<host::UniqueFd> fd = files_->OpenPartial(digest);
    ASSERT_TRUE(fd.ok());
    ASSERT_EQ(write(fd->get(), content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
    committed_ = files_->Commit(digest, fd->get());
  }

  std::string dir_;
  std::unique_ptr<StoreFiles> files_;
  absl::Status committed_;
  const std::string content_ = "the bytes of an artifact";
  const std::string digest_ = Sha256("the bytes of an artifact").Hex();
};

TEST_F(StoreFilesTest, WhatWasCommittedIsReadOnlyAndVerified) {
  Put(digest_, content_);
  ASSERT_TRUE(committed_.ok()) << committed_;
  EXPECT_TRUE(files_->OpenVerified(digest_).ok());
  EXPECT_EQ(fs::status(files_->Path(digest_)).permissions(), static_cast<fs::perms>(0555));
}

TEST_F(StoreFilesTest, WrongBytesAreRefusedAndLeaveNothing) {
  Put(digest_, "other bytes");
  EXPECT_EQ(api::Reason(committed_), "artifact-digest-mismatch");
  EXPECT_TRUE(absl::StrContains(committed_.message(), digest_));
  EXPECT_TRUE(absl::StrContains(committed_.message(), Sha256("other bytes").Hex()));
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(StoreFilesTest, K4_EveryFlippedByteIsFound) {
  Put(digest_, content_);
  for (size_t i = 0; i < content_.size(); ++i) {
    std::string bad = content_;
    bad[i] ^= 1;
    fs::remove(files_->Path(digest_));
    std::ofstream(files_->Path(digest_)) << bad;
    EXPECT_EQ(api::Reason(files_->OpenVerified(digest_).status()), "artifact-damaged") << i;
  }
  fs::resize_file(files_->Path(digest_), 3);
  EXPECT_EQ(api::Reason(files_->OpenVerified(digest_).status()), "artifact-damaged");
}

TEST_F(StoreFilesTest, S11_ASymlinkIsNeverFollowed) {
  std::ofstream(dir_ + "/elsewhere") << content_;
  fs::create_symlink(dir_ + "/elsewhere", files_->Path(digest_));
  EXPECT_FALSE(files_->OpenVerified(digest_).ok());
  fs::create_symlink(dir_ + "/elsewhere", dir_ + "/partial-" + digest_);
  EXPECT_FALSE(files_->OpenPartial(digest_).ok());
}

TEST_F(StoreFilesTest, S11_AFilePutInPlaceOfTheCheckedOneIsRefused) {
  absl::StatusOr<host::UniqueFd> fd = files_->OpenPartial(digest_);
  ASSERT_EQ(write(fd->get(), content_.data(), content_.size()),
            static_cast<ssize_t>(content_.size()));
  fs::remove(dir_ + "/partial-" + digest_);
  std::ofstream(dir_ + "/partial-" + digest_) << "evil";
  EXPECT_FALSE(files_->Commit(digest_, fd->get()).ok());
  EXPECT_FALSE(files_->Exists(digest_));
}

TEST_F(StoreFilesTest, S11_AWriteAfterVerificationIsNoticed) {
  Put(digest_, content_);
  absl::StatusOr<VerifiedFile> file = files_->OpenVerified(digest_);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(files_->OpenStamped(digest_, file->stamp).ok());
  fs::permissions(files_->Path(digest_), static_cast<fs::perms>(0755));
  std::ofstream(files_->Path(digest_), std::ios::in | std::ios::out) << "T";
  EXPECT_FALSE(files_->OpenStamped(digest_, file->stamp).ok());
}

TEST_F(StoreFilesTest, KeepOnlyRemovesTheRest) {
  Put(digest_, content_);
  std::string other = Sha256("other").Hex();
  Put(other, "other");
  std::ofstream(dir_ + "/partial-" + std::string(64, 'c')) << "x";
  std::ofstream(dir_ + "/not-ours") << "x";
  files_->KeepOnly({digest_});
  EXPECT_TRUE(files_->Exists(digest_));
  EXPECT_FALSE(files_->Exists(other));
  EXPECT_FALSE(fs::exists(dir_ + "/partial-" + std::string(64, 'c')));
  EXPECT_TRUE(fs::exists(dir_ + "/not-ours"));
}

}  // namespace
}  // namespace basalt::artifacts
