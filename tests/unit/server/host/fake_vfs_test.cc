// The promises of a durable replace and append under a power cut, and that the fake disk would show
// a broken one.
#include "tests/support/vfs/fake_vfs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>
#include <set>
#include <string>

#include "absl/strings/match.h"

namespace basalt::testing {
namespace {

constexpr int kSeeds = 24;

// One replace cut after every primitive operation, in every mode. How often neither the old nor the
// new content was there, or an acknowledged one was lost.
int BrokenReplaces(Lies lies, int* cases) {
  int broken = 0;
  for (int seed = -2; seed < kSeeds; ++seed) {
    for (int64_t n = 0;; ++n) {
      FakeVfs vfs;
      EXPECT_TRUE(vfs.Replace("f", "old content").ok());
      vfs.SetLies(lies);
      vfs.CutAfter(n);
      bool acknowledged = vfs.Replace("f", "the new content").ok();
      bool was_cut = vfs.cut();
      CutMode mode = seed == -2   ? CutMode::kDropAll
                     : seed == -1 ? CutMode::kKeepAll
                                  : CutMode::kSeeded;
      vfs.CutPower(mode, static_cast<uint64_t>(seed * 1000 + n));
      absl::StatusOr<std::string> got = vfs.Read("f");
      bool is_new = got.ok() && *got == "the new content";
      bool is_old = got.ok() && *got == "old content";
      if (!(is_new || (is_old && !acknowledged))) ++broken;
      ++*cases;
      if (!was_cut) break;
    }
  }
  return broken;
}

TEST(FakeVfs, D1_AReplaceCutAnywhereLeavesTheOldOrTheNew) {
  int cases = 0;
  EXPECT_EQ(BrokenReplaces({}, &cases), 0);
  std::cout << "D1 replace: cases " << cases << ", passes " << cases << ", skips 0\n";
  EXPECT_GT(cases, 100);
}

TEST(FakeVfs, D3_EachMutantOfTheReplaceIsSeen) {
  int killed = 0, cases = 0;
  for (Lies lies : {Lies{.sync_file = true}, Lies{.sync_dir = true}, Lies{.rename = true}}) {
    int broken = BrokenReplaces(lies, &cases);
    EXPECT_GT(broken, 0);
    killed += broken > 0;
  }
  std::cout << "D3 replace: mutants killed " << killed << " / 3\n";
}

TEST(FakeVfs, AnAppendCutAnywhereLeavesAPrefixAfterWhatWasThere) {
  std::set<std::string> seen;
  for (int seed = 0; seed < kSeeds; ++seed) {
    for (int64_t n = 0;; ++n) {
      FakeVfs vfs;
      ASSERT_TRUE(vfs.AppendSync("log", "first;").ok());
      vfs.CutAfter(n);
      bool acknowledged = vfs.AppendSync("log", "second;").ok();
      bool was_cut = vfs.cut();
      vfs.CutPower(CutMode::kSeeded, static_cast<uint64_t>(seed * 100 + n));
      std::string got = *vfs.Read("log");
      EXPECT_TRUE(absl::StartsWith(got, "first;"));
      EXPECT_TRUE(!acknowledged || got == "first;second;") << got;
      seen.insert(got);
      if (!was_cut) break;
    }
  }
  EXPECT_GT(seen.size(), 3u);  // the seeds reach torn outcomes too
}

TEST(FakeVfs, D4_AFailedReplaceLeavesNoTemporaryFileAndTheOldContent) {
  for (DiskOp op : {DiskOp::kCreate, DiskOp::kWrite, DiskOp::kSyncFile, DiskOp::kRename}) {
    FakeVfs vfs;
    ASSERT_TRUE(vfs.Replace("f", "old").ok());
    vfs.FailNext(op, absl::ResourceExhaustedError("no space"));
    EXPECT_TRUE(absl::IsResourceExhausted(vfs.Replace("f", "new")));
    EXPECT_EQ(*vfs.Read("f"), "old");
    EXPECT_THAT(vfs.AllFiles(), ::testing::ElementsAre("f"));
  }
}

TEST(FakeVfs, D4_AFailedAppendIsCutBack) {
  FakeVfs vfs;
  ASSERT_TRUE(vfs.AppendSync("log", "a").ok());
  vfs.FailNext(DiskOp::kSyncFile, absl::DataLossError("EIO"));
  EXPECT_TRUE(absl::IsDataLoss(vfs.AppendSync("log", "b")));
  EXPECT_EQ(*vfs.Read("log"), "a");
  vfs.FailNext(DiskOp::kWrite, absl::ResourceExhaustedError("no space"));
  EXPECT_TRUE(absl::IsResourceExhausted(vfs.AppendSync("log", "c")));
  EXPECT_EQ(*vfs.Read("log"), "a");
}

TEST(FakeVfs, CountsTwoFsyncsForAReplaceAndOneForAnAppend) {
  FakeVfs vfs;
  ASSERT_TRUE(vfs.Replace("f", "x").ok());
  EXPECT_EQ(vfs.counters().fsyncs, 2);
  ASSERT_TRUE(vfs.AppendSync("log", "x").ok());  // made: its directory too
  EXPECT_EQ(vfs.counters().fsyncs, 4);
  ASSERT_TRUE(vfs.AppendSync("log", "x").ok());
  EXPECT_EQ(vfs.counters().fsyncs, 5);
  ASSERT_TRUE(vfs.ReplaceVolatile("g", "x").ok());
  EXPECT_EQ(vfs.counters().fsyncs, 5);
}

TEST(FakeVfs, VolatileContentAndUnsyncedRemovalMayVanish) {
  FakeVfs vfs;
  ASSERT_TRUE(vfs.Replace("kept", "x").ok());
  ASSERT_TRUE(vfs.ReplaceVolatile("run", "x").ok());
  ASSERT_TRUE(vfs.Remove("kept").ok());
  vfs.CutPower(CutMode::kDropAll);
  EXPECT_TRUE(vfs.Exists("kept"));
  EXPECT_FALSE(vfs.Exists("run"));
  ASSERT_TRUE(vfs.Remove("kept").ok());
  vfs.CutPower(CutMode::kKeepAll);
  EXPECT_FALSE(vfs.Exists("kept"));
}

}  // namespace
}  // namespace basalt::testing
