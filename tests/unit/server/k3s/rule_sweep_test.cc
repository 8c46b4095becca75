// The order of tools and what they are given. The test is the tools.
#include "server/k3s/rule_sweep.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/supervisor/fake_supervisor.h"

namespace basalt::k3s {
namespace {

namespace fs = std::filesystem;
using testing::FakeClock;
using testing::FakeSupervisor;
using testing::ManualExecutor;
using Words = std::vector<std::string>;

constexpr char kService[] = "iptables";
constexpr char kOurs[] = "*nat\n:OUTPUT ACCEPT [0:0]\n:KUBE-SERVICES - [0:0]\nCOMMIT\n";

class RuleSweepTest : public ::testing::Test {
 protected:
  RuleSweepTest() {
    char pattern[] = "/tmp/basalt-sweep-XXXXXX";
    dir_ = mkdtemp(pattern);
    supervisor_.on_event = [this] { executor_.Post([this] { Pump(); }); };
  }
  ~RuleSweepTest() override { fs::remove_all(dir_); }

  void Install(const std::string& name) {
    std::ofstream(dir_ + "/" + name) << "a program";
    chmod((dir_ + "/" + name).c_str(), 0755);
  }
  void Pump() {
    for (const host::ServiceEvent& event :
         supervisor_.Events(seq_).value_or(std::vector<host::ServiceEvent>{})) {
      seq_ = event.seq;
      sweep_->OnServiceEvent(event);
    }
  }
  void Sweep() {
    note_.reset();
    sweep_->Sweep({"/nonexistent", dir_}, [this](std::string note) { note_ = std::move(note); });
    executor_.RunUntilIdle();
  }
  Words Argv() { return supervisor_.Spec(kService)->argv; }
  std::string File() {
    return absl::StrCat("/proc/self/fd/", supervisor_.Spec(kService)->fds[0].get());
  }
  // The tool that runs ends, having written `rules`.
  void End(const std::string& rules, int code = 0) {
    if (!rules.empty()) std::ofstream(File()) << rules;
    supervisor_.Exit(kService, code);
    executor_.RunUntilIdle();
  }

  std::string dir_;
  FakeClock clock_;
  ManualExecutor executor_{clock_};
  FakeSupervisor supervisor_{clock_};
  std::unique_ptr<RuleSweep> sweep_ = MakeRuleSweep(executor_, supervisor_);
  std::optional<std::string> note_;
  uint64_t seq_ = 0;
};

TEST_F(RuleSweepTest, EachKindAndFamilyIsSavedAndOnlyWhatChangesIsRestored) {
  Install("xtables-nft-multi");
  Install("xtables-legacy-multi");
  Sweep();
  EXPECT_EQ(Argv(), (Words{"iptables-nft-save", "-c", "-f", "/proc/self/fd/3"}));
  End(kOurs);
  EXPECT_EQ(Argv(), (Words{"iptables-nft-restore", "-c", "-w", "5", "/proc/self/fd/3"}));
  std::ifstream in(File());
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}),
            "*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n");
  End("");
  EXPECT_EQ(Argv()[0], "ip6tables-nft-save");
  End("*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n");
  EXPECT_EQ(Argv()[0], "iptables-legacy-save") << "nothing of K3s: nothing is restored";
  End("");
  EXPECT_EQ(Argv()[0], "ip6tables-legacy-save");
  EXPECT_FALSE(note_.has_value());
  End("");
  EXPECT_EQ(note_, "");
  EXPECT_EQ(supervisor_.started().size(), 5u);
}

TEST_F(RuleSweepTest, WithoutIptablesThereIsANoteAndNothingRuns) {
  Sweep();
  ASSERT_TRUE(note_.has_value());
  EXPECT_TRUE(absl::StrContains(*note_, "no iptables")) << *note_;
  EXPECT_TRUE(supervisor_.started().empty());
}

TEST_F(RuleSweepTest, AToolThatFailsIsNamedAndTheOthersAreRun) {
  Install("xtables-nft-multi");
  Sweep();
  supervisor_.Write(kService, "iptables-nft-save: no kernel for it\n");
  End(kOurs, 1);
  EXPECT_EQ(Argv()[0], "ip6tables-nft-save");
  End("");
  EXPECT_TRUE(absl::StrContains(note_.value_or(""),
                                "iptables-nft-save failed: iptables-nft-save: no kernel for it"))
      << note_.value_or("no end");
}

TEST_F(RuleSweepTest, AToolThatHangsIsGivenUp) {
  Install("xtables-nft-multi");
  Sweep();
  supervisor_.obeys_stop = false;
  executor_.Advance(absl::Seconds(31));
  EXPECT_FALSE(note_.has_value()) << "its name is free only when it has ended";
  supervisor_.Exit(kService, 0, 9);
  executor_.RunUntilIdle();
  EXPECT_EQ(Argv()[0], "ip6tables-nft-save");
  End("");
  EXPECT_TRUE(absl::StrContains(note_.value_or(""), "iptables-nft-save does not end")) << *note_;
}

TEST_F(RuleSweepTest, OneThatAnEarlierNodedStartedIsEndedFirst) {
  Install("xtables-nft-multi");
  Sweep();
  sweep_ = MakeRuleSweep(executor_, supervisor_);
  Sweep();
  EXPECT_EQ(supervisor_.stopped(), Words{kService});
  EXPECT_EQ(supervisor_.started().size(), 2u);
  End("");
  End("");
  EXPECT_EQ(note_, "");
}

}  // namespace
}  // namespace basalt::k3s
