// The power goes at each step of an upgrade: the machine boots the old image or the new one, whole,
// and the upgrade can be done again.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/server/update/upgrade_world.h"

namespace basalt::testing {
namespace {

// After a cut: boots until nothing wants another one.
void SettleAfterCut(UpgradeWorld& w, uint64_t seed, CutMode mode) {
  w.Kill();
  w.disk.CutPower(seed);
  w.h.vfs.CutPower(mode, seed);
  w.h.world.running.clear();
  for (int boots = 0; boots < 5; ++boots) {
    const int before = w.machine->reboots;
    ASSERT_TRUE(w.Reboot()) << "nothing boots any more";
    w.Advance(absl::Minutes(10));
    if (w.machine->reboots == before) return;
  }
  FAIL() << "it restarts for ever";
}

struct Point {
  bool on_boot_disk;  // else in what is kept of it on STATE
  int64_t after;
};

// False when the upgrade was over before the power went.
bool CutAt(const Point& point, uint64_t seed, bool downgrade) {
  SCOPED_TRACE(absl::StrCat(point.on_boot_disk ? "boot disk, change " : "state, change ",
                            point.after, ", seed ", seed));
  UpgradeWorld w;
  const KitImage next = MakeKitImage({.version = downgrade ? "0.9.0" : "1.1.0"});
  const std::string section = w.Publish(next);
  if (point.on_boot_disk) {
    w.disk.CutAfter(point.after);
  } else {
    w.h.vfs.CutAfter(point.after);
  }
  w.Apply(2, section);
  const bool cut = w.disk.cut() || w.h.vfs.cut();
  EXPECT_FALSE(cut && w.machine->reboots > 0) << "a machine without power restarted";
  SettleAfterCut(w, seed, seed % 2 == 0 ? CutMode::kSeeded : CutMode::kKeepAll);
  if (::testing::Test::HasFatalFailure()) return false;
  const bool old = w.running() == "1.0.0";
  EXPECT_TRUE(old || w.running() == next.version) << w.running();
  EXPECT_EQ(w.h.ActiveGeneration(), old ? 1 : 2) << "config and image belong together";
  EXPECT_EQ(w.h.ConfigStatus().pending_generation(), 0);
  if (old) {
    std::shared_ptr<RecordingWatcher> again = w.Apply(3, section);
    EXPECT_EQ(again->last().state(), v1::APPLY_STATE_REBOOTING)
        << again->error << again->last().ShortDebugString();
    EXPECT_TRUE(w.Reboot());
    EXPECT_EQ(w.running(), next.version);
    EXPECT_EQ(w.h.ActiveGeneration(), 3);
  }
  return cut;
}

int CutEverywhere(bool on_boot_disk, bool downgrade) {
  int points = 0;
  for (int64_t after = 0; after < 200; ++after) {
    bool cut = false;
    for (uint64_t seed = 0; seed < 6; ++seed) {
      cut = CutAt({on_boot_disk, after}, seed, downgrade);
      if (::testing::Test::HasFailure()) return points;
      ++points;
    }
    if (!cut) return points;
  }
  return points;
}

TEST(ImageCutTest, U1_APowerCutAtEachChangeOfTheBootDisk) {
  const int points = CutEverywhere(true, /*downgrade=*/false);
  RecordProperty("cuts", points);
  EXPECT_GT(points, 20);
}

TEST(ImageCutTest, U1_APowerCutAtEachChangeOfTheBootDiskOnTheWayToAnOlderImage) {
  const int points = CutEverywhere(true, /*downgrade=*/true);
  RecordProperty("cuts", points);
  EXPECT_GT(points, 20);
}

TEST(ImageCutTest, U1_APowerCutAtEachChangeOfTheState) {
  const int points = CutEverywhere(false, /*downgrade=*/false);
  RecordProperty("cuts", points);
  EXPECT_GT(points, 40);
}

}  // namespace
}  // namespace basalt::testing
