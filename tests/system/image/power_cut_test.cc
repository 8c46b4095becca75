// The power goes while a node applies a config and upgrades its image: at every flush of the disk
// and in the middle of what was not flushed. The node runs in QEMU once and all that it writes is
// logged; the disk is then played forward and judged after every step. A few of these disks are
// booted. Only in `./dev test --all`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/system/image/cut_judge.h"
#include "tests/system/image/lab.h"
#include "tests/system/image/write_log.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kOld[] = "9.0.0", kNew[] = "9.1.0";
constexpr int kBooted = 3;

class PowerCut : public ::testing::Test {
 protected:
  void Copy(const std::string& from, const std::string& to) {
    Ran ran = Launch({"cp", "--sparse=always", from, to});
    ASSERT_EQ(ran.exit_code, 0) << ran.out;
  }
  Ran Upgrade(Machine& machine) {
    const std::string manifest = Lab::Name(kNew) + ".image.json";
    return lab_.NodectlMeanwhile(
        machine, {"upgrade", "-f", file_, "--image", web_.Url("127.0.0.1", manifest), "--url",
                  web_.Url("10.0.2.2", manifest), "--yes", "--timeout", "15m"});
  }
  CutJudge::Image Made(const std::string& version) {
    const std::string stem = lab_.web() + "/" + Lab::Name(version);
    return {version, stem + ".efi", stem + ".slot"};
  }
  void Record();
  void Replay();
  void BootSome();

  Lab lab_{{PROGRAMS, RECIPE, CACHE}};
  WebServer web_{lab_.web()};
  const int port_ = FreePort();
  std::string file_;
  const std::string before_ = lab_.root() + "/before.raw", log_ = lab_.root() + "/writes.log";
  uint64_t config_acknowledged_ = 0, image_acknowledged_ = 0;  // how long the log was then
  std::vector<std::string> booted_;                            // disks
};

// A node with a config, then one apply and one upgrade with all writes logged.
void PowerCut::Record() {
  const std::string disk = lab_.Build(kOld);
  lab_.Build(kNew);
  file_ = lab_.ConfigWithoutK3s("n1");
  {
    Machine machine(disk, lab_.root(), {.restarts = true, .api_port = port_});
    ASSERT_EQ(lab_.Pin(machine, "n1", port_), "");
    Ran ran = lab_.NodectlMeanwhile(machine, {"apply", "-f", file_, "--yes"});
    ASSERT_EQ(ran.exit_code, 0) << ran.out << machine.console();
  }
  Copy(disk, before_);
  std::fclose(std::fopen(log_.c_str(), "w"));
  Machine machine(disk, lab_.root(), {.restarts = true, .api_port = port_, .write_log = log_});
  ASSERT_TRUE(machine.Await({"metal serves"}, absl::Minutes(4))) << machine.console();
  Ran ran =
      lab_.Nodectl({"patch", "-f", file_, "--patch",
                    "{system: {kernel: {sysctls: {net.core.somaxconn: 4097}}}}", "--in-place"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  ran = lab_.NodectlMeanwhile(machine, {"apply", "-f", file_, "--yes"});
  config_acknowledged_ = fs::file_size(log_);
  ASSERT_EQ(ran.exit_code, 0) << ran.out << machine.console();
  ran = Upgrade(machine);
  image_acknowledged_ = fs::file_size(log_);
  ASSERT_EQ(ran.exit_code, 0) << ran.out << machine.console();
}

void PowerCut::Replay() {
  absl::StatusOr<std::vector<FlushEpoch>> epochs = ReadWriteLog(log_);
  ASSERT_TRUE(epochs.ok()) << epochs.status();
  CutJudge judge(lab_.root(), {Made(kOld), Made(kNew)});
  const std::string disk = lab_.root() + "/replayed.raw";
  Copy(before_, disk);
  ReplayedDisk replayed(disk, log_);
  std::mt19937 random(20261125);
  absl::StatusOr<CutVerdict> at = judge.Judge(disk);
  ASSERT_TRUE(at.ok()) << at.status();
  std::vector<std::string> configs = {at->committed};  // in the order in which they came in force
  int flushes = 0, cuts = 0, bricks = 0, lost = 0;
  for (size_t i = 0; i < epochs->size(); ++i) {
    const FlushEpoch& epoch = (*epochs)[i];
    const uint64_t flushed = i == 0 ? 0 : (*epochs)[i - 1].log_end;
    // What was acknowledged before this point of the log must be there.
    const size_t owed = flushed >= image_acknowledged_    ? 2
                        : flushed >= config_acknowledged_ ? 1
                                                          : 0;
    std::vector<CutVerdict> torn;
    for (int repeat = 0; repeat < 2 && !epoch.writes.empty(); ++repeat) {
      const bool keep = booted_.size() < kBooted && owed == 1 && random() % 16 == 0;
      absl::Status cut = replayed.Cut(epoch, random, [&] {
        ++cuts;
        absl::StatusOr<CutVerdict> verdict = judge.Judge(disk);
        if (!verdict.ok()) {
          ++bricks;
          ADD_FAILURE() << "flush " << i << ", torn: " << verdict.status();
          return;
        }
        torn.push_back(*verdict);
        if (!keep) return;
        booted_.push_back(absl::StrCat(lab_.root(), "/cut-", i, ".raw"));
        Copy(disk, booted_.back());
      });
      ASSERT_TRUE(cut.ok()) << cut;
    }
    ASSERT_TRUE(replayed.Play(epoch).ok());
    ++flushes;
    at = judge.Judge(disk);
    if (!at.ok()) {
      ++bricks;
      ADD_FAILURE() << "flush " << i << ": " << at.status();
      continue;
    }
    if (at->committed != configs.back()) configs.push_back(at->committed);
    for (const CutVerdict& verdict : torn) {
      // The config before this flush, or the one after it; never one that was gone already.
      EXPECT_TRUE(verdict.committed == configs.back() ||
                  (configs.size() > 1 && verdict.committed == configs[configs.size() - 2]))
          << "flush " << i << ": " << verdict.committed;
    }
    torn.push_back(*at);
    for (const CutVerdict& verdict : torn) {
      const size_t index = static_cast<size_t>(
          std::find(configs.begin(), configs.end(), verdict.committed) - configs.begin());
      if (index < owed) ++lost;
      // The config that names the new image, and the old one without anybody on the way to it.
      EXPECT_FALSE(index == 2 && verdict.version == kOld) << "flush " << i << ": mixed";
      EXPECT_FALSE(index < 2 && verdict.version == kNew && !verdict.pending)
          << "flush " << i << ": mixed";
    }
  }
  EXPECT_EQ(configs.size(), 3u) << "of the node, after the apply, after the upgrade";
  EXPECT_EQ(at->version, kNew);
  EXPECT_EQ(lost, 0) << "acknowledged, and not there after the cut";
  EXPECT_GE(flushes + cuts, 200);
  std::printf("power cuts: %d at a flush, %d within; bricks %d, lost acknowledgements %d\n",
              flushes, cuts, bricks, lost);
}

// Not judged but started: the node answers under its identity, and the upgrade can be done again.
void PowerCut::BootSome() {
  ASSERT_FALSE(booted_.empty());
  for (const std::string& disk : booted_) {
    SCOPED_TRACE(disk);
    Machine machine(disk, lab_.root(), {.restarts = true, .api_port = port_});
    ASSERT_TRUE(machine.Await({"metal serves"}, absl::Minutes(4))) << machine.console();
    Ran ran = Upgrade(machine);
    EXPECT_EQ(ran.exit_code, 0) << ran.out << machine.console();
    ran = lab_.Nodectl({"slots", "-n", "n1"});
    EXPECT_THAT(ran.out, HasSubstr(kNew));
  }
}

TEST_F(PowerCut, D2_D12_U1_AtEveryFlushTheOldOrTheNewConfigAndImageIsThereWhole) {
  Record();
  if (HasFatalFailure()) return;
  Replay();
  if (HasFatalFailure()) return;
  BootSome();
}

}  // namespace
}  // namespace basalt::testing
