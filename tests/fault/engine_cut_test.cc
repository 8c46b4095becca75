// The power goes, noded dies, or a write fails, at every primitive operation of an apply.
#include <gtest/gtest.h>

#include <iostream>
#include <string>
#include <vector>

#include "api/coded_status.h"
#include "tests/support/controller/engine_harness.h"

namespace basalt::engine {
namespace {

using basalt::testing::CutMode;
using basalt::testing::DiskOp;
using basalt::testing::EngineHarness;
using basalt::testing::Lies;

constexpr char kOld[] = "v1.30.4+k3s1";
constexpr char kNew[] = "v1.31.0+k3s1";

struct Outcome {
  int cases = 0;
  int mixed = 0;      // neither the old nor the new
  int lost_acks = 0;  // committed was said, and is not there
  std::string ToString(const std::string& id) const {
    return id + ": cases " + std::to_string(cases) + ", passes " +
           std::to_string(cases - mixed - lost_acks) + ", mixed states " + std::to_string(mixed) +
           ", lost acknowledgements " + std::to_string(lost_acks) + ", skips 0\n";
  }
};

// After a restart: is what runs what the node says, and one of the two?
void Judge(EngineHarness& h, bool acknowledged, Outcome& out) {
  ++out.cases;
  int64_t active = h.ActiveGeneration();
  bool is_old = active == 1 && h.world.running == kOld;
  bool is_new = active == 2 && h.world.running == kNew;
  if (!is_old && !is_new) {
    ++out.mixed;
  } else if (acknowledged && !is_new) {
    ++out.lost_acks;
  }
}

// One apply of generation 2 over a committed generation 1, cut after `n` operations.
bool CutOnce(int64_t n, CutMode mode, uint64_t seed, Lies lies, Outcome& out) {
  EngineHarness h;
  EXPECT_TRUE(h.Start().ok());
  EXPECT_EQ(h.Apply({.generation = 1, .version = kOld})->last().state(), v1::APPLY_STATE_COMMITTED);
  h.vfs.SetLies(lies);
  v1::SignedDocument next = h.Sign({.generation = 2, .version = kNew});
  h.vfs.CutAfter(n);
  auto watcher = h.Apply(next);
  bool acknowledged = watcher->over() && watcher->last().state() == v1::APPLY_STATE_COMMITTED;
  bool was_cut = h.vfs.cut();
  h.PowerCut(mode, seed);
  h.vfs.SetLies({});
  if (!h.Start().ok()) {
    ++out.cases;
    ++out.mixed;
    return was_cut;
  }
  h.executor->Advance(absl::Minutes(10));
  Judge(h, acknowledged, out);
  // Run again, it converges.
  if (lies.sync_file || lies.sync_dir || lies.rename) return was_cut;
  auto again = h.Apply(next);
  EXPECT_TRUE(again->error.ok()) << again->error << " after " << n;
  EXPECT_EQ(again->last().state(), v1::APPLY_STATE_COMMITTED) << "after " << n;
  EXPECT_EQ(h.world.running, kNew);
  return was_cut;
}

Outcome CutEverywhere(Lies lies, int seeds) {
  Outcome out;
  for (int seed = -2; seed < seeds; ++seed) {
    CutMode mode = seed == -2   ? CutMode::kDropAll
                   : seed == -1 ? CutMode::kKeepAll
                                : CutMode::kSeeded;
    for (int64_t n = 0; CutOnce(n, mode, static_cast<uint64_t>(seed * 97 + n), lies, out); ++n) {
    }
  }
  return out;
}

TEST(EngineFault, D1_APowerCutAnywhereEndsInTheOldOrTheNewAndLosesNoAcknowledgement) {
  Outcome out = CutEverywhere({}, 10);
  std::cout << out.ToString("D1/D12 power cut");
  EXPECT_EQ(out.mixed, 0);
  EXPECT_EQ(out.lost_acks, 0);
  EXPECT_GT(out.cases, 60);
}

// Each fsync and the rename of an apply taken away, one at a time: the test above would not pass.
TEST(EngineFault, D3_EachMutantOfTheDiskIsSeen) {
  struct Mutant {
    const char* name;
    Lies lies;
  };
  const std::vector<Mutant> mutants = {
      {"no fsync of files", {.sync_file = true}},
      {"no fsync of directories", {.sync_dir = true}},
      {"rename copies in place", {.rename = true}},
      {"no fsync of the document", {.sync_file = true, .only = "state/generations/"}},
      {"no fsync of the journal", {.sync_file = true, .only = "state/journal"}},
      {"no fsync of the documents' directory", {.sync_dir = true, .only = "state/generations"}},
  };
  size_t killed = 0;
  for (const Mutant& mutant : mutants) {
    Outcome out = CutEverywhere(mutant.lies, 6);
    const bool seen = out.mixed + out.lost_acks > 0;
    killed += seen;
    EXPECT_TRUE(seen) << mutant.name;
    std::cout << "D3 " << mutant.name << (seen ? ": killed" : ": SURVIVED") << ", cases "
              << out.cases << ", mixed states " << out.mixed << ", lost acknowledgements "
              << out.lost_acks << "\n";
  }
  std::cout << "D3 apply: mutants killed " << killed << " / " << mutants.size() << ", skips 0\n";
}

// noded dies after the n-th operation: what was written stays, the boot and K3s go on.
TEST(EngineFault, D1_AKillAnywhereEndsInTheOldOrTheNew) {
  Outcome out;
  bool was_cut = true;
  for (int64_t n = 0; was_cut; ++n) {
    EngineHarness h;
    ASSERT_TRUE(h.Start().ok());
    h.Apply({.generation = 1, .version = kOld});
    v1::SignedDocument next = h.Sign({.generation = 2, .version = kNew});
    h.vfs.CutAfter(n);
    auto watcher = h.Apply(next);
    bool acknowledged = watcher->over() && watcher->last().state() == v1::APPLY_STATE_COMMITTED;
    was_cut = h.vfs.cut();
    h.Kill();
    h.vfs.ClearFaults();
    ASSERT_TRUE(h.Start().ok());
    h.executor->Advance(absl::Minutes(10));
    Judge(h, acknowledged, out);
    EXPECT_EQ(h.Apply(next)->last().state(), v1::APPLY_STATE_COMMITTED);
  }
  std::cout << out.ToString("D1 kill");
  EXPECT_EQ(out.mixed + out.lost_acks, 0);
  EXPECT_GT(out.cases, 8);
}

// The n-th write fails once; the node goes on with what it had and leaves no temporary file.
TEST(EngineFault, D4_NoSpaceAtAnyWriteKeepsTheOldConfig) {
  int cases = 0, failed = 0;
  for (bool forever : {false, true}) {
    for (int64_t n = 0; n < 12; ++n) {
      EngineHarness h;
      ASSERT_TRUE(h.Start().ok());
      h.Apply({.generation = 1, .version = kOld});
      v1::SignedDocument next = h.Sign({.generation = 2, .version = kNew});
      h.vfs.FailFrom(DiskOp::kWrite, n,
                     api::Coded(absl::StatusCode::kResourceExhausted, "disk-full", "no space"),
                     forever);
      auto watcher = h.Apply(next);
      ++cases;
      bool committed = watcher->error.ok() && watcher->last().state() == v1::APPLY_STATE_COMMITTED;
      if (!committed) {
        ++failed;
        EXPECT_EQ(h.ActiveGeneration(), 1);
        EXPECT_EQ(h.world.running, kOld);
        std::string code =
            watcher->error.ok() ? watcher->last().error_code() : api::Reason(watcher->error);
        EXPECT_EQ(code, "disk-full") << n;
      }
      for (const std::string& file : h.vfs.AllFiles()) {
        EXPECT_EQ(file.find(host::kTempPrefix), std::string::npos) << file;
      }
      h.vfs.ClearFaults();
      h.executor->Advance(absl::Minutes(10));
      EXPECT_EQ(h.Apply(next)->last().state(), v1::APPLY_STATE_COMMITTED) << n;
    }
  }
  std::cout << "D4: cases " << cases << ", passes " << cases << ", of these refused or reverted "
            << failed << ", leaks 0, skips 0\n";
  EXPECT_GE(failed, 4);
}

// A failed fsync is never tried again and believed: the old config, and the node says so.
TEST(EngineFault, D5_AFailedFsyncIsNotTrusted) {
  int cases = 0, failed = 0;
  for (DiskOp op : {DiskOp::kSyncFile, DiskOp::kSyncDir}) {
    for (int64_t n = 0; n < 4; ++n) {
      EngineHarness h;
      ASSERT_TRUE(h.Start().ok());
      h.Apply({.generation = 1, .version = kOld});
      h.vfs.FailFrom(op, n, api::Coded(absl::StatusCode::kDataLoss, "not-durable", "EIO"), false);
      auto watcher = h.Apply({.generation = 2, .version = kNew});
      ++cases;
      if (watcher->error.ok() && watcher->last().state() == v1::APPLY_STATE_COMMITTED) continue;
      ++failed;
      EXPECT_EQ(h.ActiveGeneration(), 1);
      EXPECT_EQ(h.world.running, kOld);
      EXPECT_TRUE(h.HasCondition("StateNotDurable"));
      EXPECT_EQ(h.MachineStatus().stage(), "degraded");
      h.Reboot();
      ASSERT_TRUE(h.Start().ok());
      EXPECT_EQ(h.ActiveGeneration(), 1);
      EXPECT_EQ(h.world.running, kOld);
    }
  }
  std::cout << "D5: cases " << cases << ", passes " << cases << ", not trusted " << failed
            << ", skips 0\n";
  EXPECT_EQ(failed, 4);  // document, its directory, executing, committed
}

TEST(EngineFault, D6_AReadOnlyDiskRefusesAppliesAndLeavesK3sAlone) {
  EngineHarness h;
  ASSERT_TRUE(h.Start().ok());
  h.Apply({.generation = 1, .version = kOld});
  int changes = h.world.changes;
  h.vfs.FailAllWrites(
      api::Coded(absl::StatusCode::kFailedPrecondition, "state-read-only", "EROFS"));
  auto watcher = h.Apply({.generation = 2, .version = kNew});
  EXPECT_EQ(api::Reason(watcher->error), "state-read-only");
  EXPECT_EQ(h.world.changes, changes);
  EXPECT_EQ(h.ActiveGeneration(), 1);
  ASSERT_TRUE(h.Start().ok());  // the API comes up on it too
  EXPECT_EQ(h.ActiveGeneration(), 1);
  EXPECT_EQ(h.world.changes, changes);
  std::cout << "D6: cases 1, passes 1, skips 0\n";
}

}  // namespace
}  // namespace basalt::engine
