// What lies on disk: bounded, old ones go, read back with its times.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/logs/store_names.h"
#include "server/logs/store_writer.h"
#include "server/logs/stored.h"

namespace basalt::logs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const absl::Time kStart = absl::FromUnixSeconds(1795500000);

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    std::string pattern = ::testing::TempDir() + "/store-XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }
  ~StoreTest() override { std::filesystem::remove_all(dir_); }
  std::unique_ptr<StoreWriter> Open(int64_t bytes, absl::Duration keep = absl::InfiniteDuration()) {
    return std::make_unique<StoreWriter>(host::UniqueFd(open(dir_.c_str(), O_RDONLY | O_DIRECTORY)),
                                         bytes, keep);
  }
  static std::vector<Record> Lines(int count, absl::Time time, const std::string& source = "k3s") {
    std::vector<Record> out;
    for (int i = 0; i < count; ++i) {
      out.push_back({.time = time, .source = source, .text = absl::StrCat("line ", i)});
    }
    return out;
  }
  // All of it, by as many calls as it takes.
  std::string ReadAll(const std::string& service, absl::Time from = absl::InfinitePast(),
                      size_t chunk = 64 << 10) {
    engine::NodeApi::LogQuery query = {.service = service, .max_bytes = chunk, .stored = true};
    std::string out;
    while (true) {
      auto some = ReadStored(dir_, query, from);
      EXPECT_TRUE(some.ok()) << some.status();
      if (!some.ok() || some->data.empty()) return out;
      out += some->data;
      query.from_offset = some->next_offset;
    }
  }
  uint64_t Size() {
    uint64_t size = 0;
    for (const auto& file : std::filesystem::directory_iterator(dir_)) size += file.file_size();
    return size;
  }
  size_t Files() {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(dir_),
                                             std::filesystem::directory_iterator()));
  }
  std::string dir_;
};

TEST_F(StoreTest, WhatWasKeptIsReadBackWithItsTimesByAnybodyAfter) {
  ASSERT_TRUE(Open(1 << 20)->Deliver(Lines(2, kStart)).ok());
  ASSERT_TRUE(Open(1 << 20)->Deliver(Lines(1, kStart + absl::Hours(1))).ok());
  EXPECT_EQ(ReadAll("k3s"),
            "2026-11-24T06:00:00.000000Z 6 line 0\n2026-11-24T06:00:00.000000Z 6 line 1\n"
            "2026-11-24T07:00:00.000000Z 6 line 0\n");
  EXPECT_EQ(ReadAll("k3s", kStart + absl::Minutes(30)), "2026-11-24T07:00:00.000000Z 6 line 0\n");
  EXPECT_EQ(api::Reason(ReadStored(dir_, {.service = "time"}, kStart).status()), "no-stored-logs");
}

TEST_F(StoreTest, TheOldestGoBeforeThereIsMoreThanMayBeKept) {
  auto store = Open(64 << 10);
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(store->Deliver(Lines(100, kStart + absl::Minutes(i))).ok());
    EXPECT_LE(Size(), 64u << 10);
  }
  EXPECT_EQ(Files(), kFilesPerService);
  const std::string text = ReadAll("k3s", absl::InfinitePast(), 1000);
  EXPECT_GT(text.size(), 40u << 10);
  EXPECT_THAT(text, HasSubstr("2026-11-24T09:19:00.000000Z 6 line 99\n"));
  EXPECT_THAT(text, Not(HasSubstr("2026-11-24T06:00:00")));
}

TEST_F(StoreTest, EachServiceHasABoundOfItsOwn) {
  auto store = Open(64 << 10);
  ASSERT_TRUE(store->Deliver(Lines(1, kStart, "time")).ok());
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(store->Deliver(Lines(100, kStart)).ok());
  EXPECT_THAT(ReadAll("time"), HasSubstr("line 0"));
}

TEST_F(StoreTest, WhatIsOlderThanKeepGoes) {
  auto store = Open(1 << 20, absl::Hours(4));
  ASSERT_TRUE(store->Deliver(Lines(1, kStart)).ok());
  // A new file after a quarter of the time.
  ASSERT_TRUE(store->Deliver(Lines(1, kStart + absl::Minutes(61))).ok());
  EXPECT_EQ(Files(), 2u);
  timespec old[2] = {{absl::ToUnixSeconds(kStart), 0}, {absl::ToUnixSeconds(kStart), 0}};
  for (const auto& file : std::filesystem::directory_iterator(dir_)) {
    utimensat(AT_FDCWD, file.path().c_str(), old, 0);
  }
  ASSERT_TRUE(store->Deliver(Lines(1, kStart + absl::Hours(9))).ok());
  EXPECT_THAT(ReadAll("k3s"), Not(HasSubstr("2026-11-24T06:00:00")));
}

TEST_F(StoreTest, ALineThatAPowerCutToreIsNotGivenOut) {
  ASSERT_TRUE(Open(1 << 20)->Deliver(Lines(1, kStart)).ok());
  std::ofstream(absl::StrCat(dir_, "/", StoreName("k3s", 0)), std::ios::app) << "2026-11-24T0";
  EXPECT_EQ(ReadAll("k3s"), "2026-11-24T06:00:00.000000Z 6 line 0\n");
}

TEST_F(StoreTest, ALinkInTheDirectoryLeadsNowhere) {
  std::filesystem::create_symlink("/etc/passwd", absl::StrCat(dir_, "/", StoreName("k3s", 0)));
  EXPECT_EQ(ReadAll("k3s"), "");
  EXPECT_FALSE(Open(1 << 20)->Deliver(Lines(1, kStart)).ok());
}

TEST(StoreNames, OnlyNamesOfServicesHaveFiles) {
  EXPECT_EQ(StoreName("k3s", 7), "k3s.00000007.log");
  EXPECT_EQ(ParseStoreName("k3s.00000007.log")->number, 7u);
  for (const char* name : {"", "k3s", "k3s.log", "k3s.7.log", "../x.00000007.log",
                           "K3s.00000007.log", "k3s.0000000x.log", "k3s.00000007.log.gz"}) {
    EXPECT_FALSE(ParseStoreName(name)) << name;
  }
  EXPECT_FALSE(IsStorable("a/b"));
  EXPECT_FALSE(IsStorable(""));
}

}  // namespace
}  // namespace basalt::logs
