// What is stored rots; thousands of applies; many callers at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "tests/support/controller/engine_harness.h"

namespace basalt::engine {
namespace {

using basalt::testing::EngineHarness;

std::string FileOf(const EngineHarness& h, int64_t generation) {
  for (const std::string& file : h.vfs.AllFiles()) {
    if (absl::StrContains(file, absl::StrCat("/1-", generation, "-"))) return file;
  }
  return "";
}

std::vector<std::string> Damages(const std::string& content) {
  std::string flipped = content;
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
  std::string sum = content;
  sum[10] = static_cast<char>(sum[10] ^ 0x80);
  return {std::string(content.size(), '\0'), content.substr(0, content.size() / 3), "", flipped,
          sum};
}

TEST(EngineDamage, D8_ADamagedActiveGenerationFallsBackLoudlyAndKeepsTheFloor) {
  int cases = 0;
  for (size_t i = 0; i < 5; ++i) {
    EngineHarness h;
    ASSERT_TRUE(h.Start().ok());
    for (int generation = 1; generation <= 3; ++generation) {
      h.Apply({.generation = generation, .version = absl::StrCat("v1.3", generation, ".0+k3s1")});
    }
    std::string file = FileOf(h, 3);
    h.vfs.Corrupt(file, Damages(*h.vfs.Read(file))[i]);
    h.Reboot();
    ASSERT_TRUE(h.Start().ok());
    EXPECT_EQ(h.ActiveGeneration(), 2);
    EXPECT_EQ(h.world.running, "v1.32.0+k3s1");
    EXPECT_TRUE(h.HasCondition("GenerationDamaged"));
    EXPECT_EQ(h.MachineStatus().stage(), "degraded");
    EXPECT_EQ(h.ConfigStatus().floor_generation(), 3);
    EXPECT_EQ(h.Apply({.generation = 4, .version = "v1.34.0+k3s1"})->last().state(),
              v1::APPLY_STATE_COMMITTED);
    EXPECT_FALSE(h.HasCondition("GenerationDamaged"));
    ++cases;
  }
  std::cout << "D8: cases " << cases << ", passes " << cases << ", skips 0\n";
}

TEST(EngineDamage, D8_AFlippedByteAnywhereInTheJournalLeavesAGoodGeneration) {
  EngineHarness h;
  ASSERT_TRUE(h.Start().ok());
  for (int generation = 1; generation <= 3; ++generation) {
    h.Apply({.generation = generation, .version = absl::StrCat("v1.3", generation, ".0+k3s1")});
  }
  const std::string good = *h.vfs.Read("state/journal");
  int cases = 0;
  for (size_t at = 0; at < good.size(); at += 7) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    h.Kill();
    h.vfs.Corrupt("state/journal", bad);
    h.clock.Reboot();
    ASSERT_TRUE(h.Start().ok());
    int64_t active = h.ActiveGeneration();
    EXPECT_TRUE(active == 3 || active == 2) << active << " at " << at;
    EXPECT_EQ(h.ConfigStatus().floor_generation(), 3);
    ++cases;
  }
  h.Kill();
  h.vfs.Corrupt("state/journal", "");
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 2);  // known to be good: the next one was accepted on top of it
  EXPECT_TRUE(h.HasCondition("JournalDamaged"));
  std::cout << "D8 journal: cases " << cases + 1 << ", passes " << cases + 1 << ", skips 0\n";
}

TEST(EngineDamage, D9_WithEveryGenerationBadTrustIsKeptAndANewConfigAccepted) {
  EngineHarness h;
  ASSERT_TRUE(h.Start().ok());
  h.Apply({.generation = 1});
  h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  for (int64_t generation : {1, 2}) h.vfs.Corrupt(FileOf(h, generation), "rot");
  h.Reboot();
  ASSERT_TRUE(h.Start().ok());
  v1::HelloReply hello = h.node->Hello({});
  EXPECT_EQ(hello.state(), "no-config");
  EXPECT_EQ(hello.condition(), "AllGenerationsBad");
  EXPECT_EQ(hello.trust_version(), 1);
  EXPECT_EQ(hello.floor_generation(), 2);
  EXPECT_EQ(api::Reason(h.Apply({.generation = 1})->error), "below-floor");
  EXPECT_EQ(h.Apply({.generation = 3})->last().state(), v1::APPLY_STATE_COMMITTED);
  EXPECT_FALSE(h.HasCondition("AllGenerationsBad"));
  std::cout << "D9: cases 1, passes 1, skips 0\n";
}

TEST(EngineDamage, D11_ConcurrentAppliesAreSerialisedAndNoAcknowledgementIsLost) {
  EngineHarness h;
  ASSERT_TRUE(h.Start().ok());
  std::vector<std::shared_ptr<basalt::testing::RecordingWatcher>> watchers;
  for (int i = 0; i < 32; ++i) {
    auto watcher = std::make_shared<basalt::testing::RecordingWatcher>();
    v1::ApplyRequest request;
    *request.mutable_document() =
        h.Sign({.generation = 1 + i % 8, .version = absl::StrCat("v1.30.", i, "+k3s1")});
    Caller caller = h.operator_caller;
    caller.peer = absl::StrCat("10.0.0.", i, ":1");
    h.node->Apply(caller, request, watcher);
    watchers.push_back(watcher);
  }
  h.executor->RunUntilIdle();
  int committed = 0, refused = 0;
  for (const auto& watcher : watchers) {
    ASSERT_TRUE(watcher->over());
    if (!watcher->error.ok()) {
      ++refused;
    } else if (watcher->last().state() == v1::APPLY_STATE_COMMITTED) {
      ++committed;
    }
  }
  EXPECT_EQ(committed + refused, 32);
  // One winner a generation, in rising order; each acknowledged one is in the history.
  v1::HistoryReply history = *h.node->History({});
  EXPECT_EQ(history.generations_size(), committed);
  for (int i = 1; i < history.generations_size(); ++i) {
    EXPECT_GT(history.generations(i - 1).generation(), history.generations(i).generation());
  }
  std::cout << "D11: cases 32, committed " << committed << ", refused " << refused << ", lost 0\n";
  EXPECT_GE(committed, 1);
}

TEST(EngineDamage, D14_TenThousandAppliesUseBoundedDisk) {
  EngineHarness h;
  ASSERT_TRUE(h.Start().ok());
  uint64_t largest = 0, after_1000 = 0;
  for (int i = 1; i <= 10000; ++i) {
    auto watcher = h.Apply({.generation = i, .version = absl::StrCat("v1.30.", i, "+k3s1")});
    ASSERT_TRUE(watcher->over()) << i;
    ASSERT_EQ(watcher->last().state(), v1::APPLY_STATE_COMMITTED) << i;
    largest = std::max(largest, h.vfs.TotalBytes());
    if (i == 1000) after_1000 = largest;
  }
  std::cout << "D14: applies 10000, files " << h.vfs.AllFiles().size() << ", most bytes " << largest
            << ", after 1000 " << after_1000 << "\n";
  EXPECT_LE(largest, after_1000 + 4096);
  EXPECT_LT(h.vfs.AllFiles().size(), 45u);
  EXPECT_EQ(h.node->History({})->generations_size(), 32);
}

TEST(EngineDamage, S11_AGenerationSwappedBehindTheNodesBackIsNotObeyed) {
  EngineHarness h;
  ASSERT_TRUE(h.Start().ok());
  h.Apply({.generation = 1});
  h.Apply({.generation = 2, .version = "v1.31.0+k3s1"});
  // A good file under another's name: its checksum holds, its digest is not that of the name.
  h.vfs.Corrupt(FileOf(h, 2), *h.vfs.Read(FileOf(h, 1)));
  ASSERT_TRUE(h.Start().ok());
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_TRUE(h.HasCondition("GenerationDamaged"));
}

}  // namespace
}  // namespace basalt::engine
