// The real noded dies at every point of an apply; noded-init starts the next one.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <iostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "tests/fault/process/process_fixture.h"
#include "tests/support/process/await.h"
#include "tests/support/process/fault_control.h"

namespace basalt::testing {
namespace {

using ConfigMaker = NodeConfig (*)(int64_t, const std::string&);

// noded-init waits longer before each restart that follows soon; a fresh one starts at once.
constexpr int kKillsALife = 3;

std::string Rendered(const NodeProcess& node) {
  return ReadAll(node.Path("etc/rancher/k3s/config.yaml"));
}

// Delivers over one connection, as a client would that does not come back.
absl::Status Deliver(const NodeProcess& node, const v1::SignedDocument& document,
                     const std::function<bool(const v1::ApplyEvent&)>& on_event) {
  auto client = node.Connect();
  if (!client.ok()) return client.status();
  v1::ApplyRequest request;
  *request.mutable_document() = document;
  return (*client)->Apply(request, absl::Now() + absl::Seconds(90), on_event);
}

class Crashes {
 public:
  Crashes(NodeProcess& node, FaultControl& control) : node_(node), control_(control) {}

  // One apply, struck at call `at`. False when the apply ended before that call.
  bool Once(FaultOp op, FaultAction action, uint32_t at, ConfigMaker maker) {
    const int64_t old_generation = generation_, next_generation = ++last_;
    const std::string old_file = Rendered(node_);
    const pid_t noded = node_.noded_pid();
    const host::UniqueFd life = PidFd(noded);
    const v1::SignedDocument next =
        node_.Sign(maker(next_generation, absl::StrCat("v", next_generation)));
    bool acknowledged = false;
    control_.Arm(op, action, at);
    absl::Status ended = Deliver(node_, next, [&](const v1::ApplyEvent& event) {
      acknowledged = acknowledged || event.state() == v1::APPLY_STATE_COMMITTED;
      return !event.final();
    });
    control_.Disarm();
    const bool struck = control_.struck();
    last_count_ = control_.count();
    if (!struck) {
      EXPECT_TRUE(acknowledged) << ended;
      generation_ = next_generation;
      return false;
    }
    ++cases_;
    // A failed call may end noded, or not.
    const bool died = action != FaultAction::kFail ||
                      (absl::IsUnavailable(ended) && AwaitEnd(life, absl::Seconds(5)));
    if (died && !node_.AwaitNoded(noded)) {
      ADD_FAILURE() << "no noded after call " << at << "\n" << node_.Log();
      return false;
    }
    Judge(old_generation, old_file, next, next_generation, acknowledged, at);
    if (died) Renew();
    return !::testing::Test::HasFailure();
  }

  void KillIn(v1::ApplyState state, ConfigMaker maker) {
    const int64_t old_generation = generation_, next_generation = ++last_;
    const std::string old_file = Rendered(node_);
    const pid_t noded = node_.noded_pid();
    const v1::SignedDocument next =
        node_.Sign(maker(next_generation, absl::StrCat("v", next_generation)));
    bool acknowledged = false;
    absl::Status ended = Deliver(node_, next, [&](const v1::ApplyEvent& event) {
      acknowledged = acknowledged || event.state() == v1::APPLY_STATE_COMMITTED;
      if (event.state() < state) return true;
      node_.KillNoded();
      return false;
    });
    ++cases_;
    ASSERT_TRUE(node_.AwaitNoded(noded)) << ended << node_.Log();
    Judge(old_generation, old_file, next, next_generation, acknowledged, 0);
    Renew();
  }

  std::string ToString(const std::string& id) const {
    return absl::StrCat(id, ": crash points ", cases_, ", passes ", cases_ - mixed_ - lost_,
                        ", mixed states ", mixed_, ", lost acknowledgements ", lost_,
                        ", skips 0\n");
  }
  int cases() const { return cases_; }
  uint32_t last_count() const { return last_count_; }

 private:
  void Renew() {
    if (++kills_ % kKillsALife != 0 || ::testing::Test::HasFailure()) return;
    node_.Stop();
    absl::Status started = node_.Start();
    EXPECT_TRUE(started.ok()) << started;
  }

  // What runs is the old or the new one, and says so; the same document again converges.
  void Judge(int64_t old_generation, const std::string& old_file, const v1::SignedDocument& next,
             int64_t next_generation, bool acknowledged, uint32_t at) {
    absl::StatusOr<v1::ConfigStatus> config = node_.AwaitSettled();
    ASSERT_TRUE(config.ok()) << config.status() << "\n" << node_.Log();
    ASSERT_TRUE(config->pending_digest().empty()) << config->ShortDebugString();
    const bool is_new = config->generation() == next_generation;
    const std::string file = Rendered(node_);
    if (!is_new && config->generation() != old_generation) ++mixed_;
    if (acknowledged && !is_new) ++lost_;
    auto end = node_.Apply(next);
    ASSERT_TRUE(end.ok()) << end.status() << " after call " << at << "\n" << node_.Log();
    EXPECT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message() << " after call " << at;
    EXPECT_EQ(end->error_code(), "") << end->message();
    const std::string new_file = Rendered(node_);
    // The rendered file follows the config: with the old one in force it is the old one's.
    if (file != (is_new ? new_file : old_file)) ++mixed_;
    EXPECT_EQ(mixed_, 0) << "after call " << at;
    EXPECT_EQ(lost_, 0) << "after call " << at;
    for (const char* dir : {"state", "state/generations", "etc/rancher/k3s"}) {
      // One that is being written at this moment goes; one that was left behind stays.
      std::string left;
      EXPECT_TRUE(AwaitChange(node_.Path(dir), [&] {
        left = RunProgram({"/usr/bin/find", node_.Path(dir), "-name", ".tmp-*"}).out;
        return left.empty();
      })) << left;
    }
    generation_ = next_generation;
  }

  NodeProcess& node_;
  FaultControl& control_;
  int64_t generation_ = 1, last_ = 1;
  int cases_ = 0, mixed_ = 0, lost_ = 0, kills_ = 0;
  uint32_t last_count_ = 0;
};

void KillAtEveryCall(ConfigMaker maker, const std::string& id, int at_least) {
  FaultControl control;
  NodeProcess node(TheOwner(), {.environment = control.Environment()});
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  Crashes crashes(node, control);
  for (uint32_t at = 1; crashes.Once(FaultOp::kStorage, FaultAction::kKillBefore, at, maker);) ++at;
  ASSERT_FALSE(::testing::Test::HasFailure());
  const uint32_t calls = crashes.last_count();
  // Dying after one call is dying before the next, but for the last.
  for (uint32_t at : {calls / 2, calls}) {
    crashes.Once(FaultOp::kStorage, FaultAction::kKillAfter, at, maker);
  }
  std::cout << crashes.ToString(id);
  EXPECT_GE(crashes.cases(), at_least);
}

TEST(Crash, D1_AKillAtEveryWriteOfALiveChangeEndsInTheOldOrTheNew) {
  KillAtEveryCall(&WithLabel, "D1 live change", 8);
}

TEST(Crash, D1_AKillAtEveryWriteOfARestartEndsInTheOldOrTheNew) {
  KillAtEveryCall(&WithRestart, "D1 restart of K3s", 10);
}

// kill -9 as soon as the state is told.
TEST(Crash, D1_AKillInEachStateEndsInTheOldOrTheNew) {
  FaultControl control;
  NodeProcess node(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  Crashes crashes(node, control);
  for (v1::ApplyState state :
       {v1::APPLY_STATE_RECEIVED, v1::APPLY_STATE_VERIFIED, v1::APPLY_STATE_DECODED,
        v1::APPLY_STATE_VALIDATED, v1::APPLY_STATE_PLANNED, v1::APPLY_STATE_PERSISTED,
        v1::APPLY_STATE_EXECUTING, v1::APPLY_STATE_VERIFYING}) {
    SCOPED_TRACE(v1::ApplyState_Name(state));
    crashes.KillIn(state, &WithRestart);
    ASSERT_FALSE(HasFailure());
  }
  std::cout << crashes.ToString("D1 states");
  EXPECT_EQ(crashes.cases(), 8);
}

TEST(Crash, D1_AKillWhileItRevertsEndsInTheOld) {
  NodeProcess node(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  const std::string old_file = Rendered(node);
  NodeConfig bad = WithRestart(2, "bad");
  bad.env += "    - {name: BASALT_DOUBLE_FAULTS, value: never-ready}\n";
  bad.health = "{readyz: 1s, nodeReady: 1s, liveness: 60s}";
  const pid_t noded = node.noded_pid();
  bool killed = false;
  absl::Status ignored = Deliver(node, node.Sign(bad), [&](const v1::ApplyEvent& event) {
    if (event.state() != v1::APPLY_STATE_REVERTING) return true;
    node.KillNoded();
    killed = true;
    return false;
  });
  ASSERT_TRUE(killed) << ignored;
  ASSERT_TRUE(node.AwaitNoded(noded)) << node.Log();
  auto config = node.AwaitSettled();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->generation(), 1);
  EXPECT_TRUE(config->pending_digest().empty());
  EXPECT_EQ(Rendered(node), old_file);
  // What did not work is not tried again.
  auto again = node.Apply(node.Sign(bad));
  ASSERT_FALSE(again.ok() && again->state() == v1::APPLY_STATE_COMMITTED);
  std::cout << "D1 reverting: cases 1, passes 1, skips 0\n";
}

NodeConfig Try(int64_t generation, const std::string& within) {
  NodeConfig config = WithLabel(generation, absl::StrCat("try", generation));
  config.metadata = absl::StrCat("  apply: {mode: try, confirmWithin: ", within, "}\n");
  return config;
}

TEST(Crash, D1_AKillWhileItAwaitsConfirmationKeepsWaiting) {
  NodeProcess node(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  const pid_t noded = node.noded_pid();
  auto end = node.Apply(Try(2, "5m"));
  ASSERT_TRUE(end.ok()) << end.status();
  ASSERT_EQ(end->state(), v1::APPLY_STATE_AWAITING_CONFIRM) << end->message();
  node.KillNoded();
  ASSERT_TRUE(node.AwaitNoded(noded)) << node.Log();
  ASSERT_TRUE(AwaitChange(node.Path("state"), [&] {
    auto config = node.Config();
    return config.ok() && config->pending_state() == v1::APPLY_STATE_AWAITING_CONFIRM;
  }));
  // A noded that has just started has not seen K3s yet, and confirms nothing that it has not seen.
  absl::Status confirmed;
  EXPECT_TRUE(AwaitChange(node.Path("state"), [&] {
    confirmed = (*node.Connect())->Confirm("").status();
    return api::Reason(confirmed) != "not-healthy";
  }));
  ASSERT_TRUE(confirmed.ok()) << confirmed;
  auto config = node.AwaitSettled();
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->generation(), 2);
  std::cout << "D1 awaiting-confirm: cases 1, passes 1, skips 0\n";
}

TEST(Crash, D13_ATryThatNobodyConfirmsIsRevertedByItsDeadlineEvenWhenNodedDies) {
  NodeProcess node(TheOwner());
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  const pid_t noded = node.noded_pid();
  auto end = node.Apply(Try(2, "10s"));
  const absl::Time asked = absl::Now();
  ASSERT_TRUE(end.ok()) << end.status();
  ASSERT_EQ(end->state(), v1::APPLY_STATE_AWAITING_CONFIRM) << end->message();
  node.KillNoded();
  ASSERT_TRUE(node.AwaitNoded(noded)) << node.Log();
  auto config = node.AwaitSettled(absl::Seconds(90));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->pending_digest().empty()) << config->ShortDebugString();
  EXPECT_EQ(config->generation(), 1);
  const double seconds = absl::ToDoubleSeconds(absl::Now() - asked);
  EXPECT_GT(seconds, 5);  // not before its time
  std::cout << "D13: cases 1, passes 1, reverted " << seconds
            << " s after a deadline of 10 s, skips 0\n";
}

// Counted in the shipped program, whoever calls.
TEST(Crash, D12_ACommittedApplyCostsFourFsyncsAndTheSameDocumentAgainNoWriteAtAll) {
  FaultControl control;
  NodeProcess node(TheOwner(), {.environment = control.Environment()});
  ASSERT_TRUE(node.Start().ok());
  auto config = [](int64_t generation) {
    return NodeConfig{.generation = generation,
                      .metadata = absl::StrCat("  labels: {case: n", generation, "}\n")};
  };
  ASSERT_TRUE(node.Apply(config(1)).ok());
  v1::SignedDocument last;
  for (int64_t generation = 2; generation <= 4; ++generation) {
    last = node.Sign(config(generation));
    control.Arm(FaultOp::kSync, FaultAction::kFail, 0);
    auto end = node.Apply(last);
    control.Disarm();
    ASSERT_TRUE(end.ok()) << end.status();
    ASSERT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
    EXPECT_EQ(control.count(), 4u);
  }
  control.Arm(FaultOp::kStorage, FaultAction::kFail, 0);
  auto again = node.Apply(last);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->unchanged());
  control.Disarm();
  EXPECT_EQ(control.count(), 0u);
  std::cout << "fsyncs of a committed apply: 4; writes of the same document again: 0; cases 4, "
               "passes 4, skips 0\n";
}

// An allocation fails once, at points spread over a whole apply.
TEST(Crash, D7_AFailedAllocationNeverEndsNodedInitNorMixesConfigs) {
  rlimit none{};
  setrlimit(RLIMIT_CORE, &none);
  FaultControl control;
  NodeProcess node(TheOwner(), {.environment = control.Environment()});
  ASSERT_NO_FATAL_FAILURE(StartWithK3s(node));
  Crashes crashes(node, control);
  EXPECT_FALSE(crashes.Once(FaultOp::kMemory, FaultAction::kFail, 0, &WithLabel));
  uint32_t calls = crashes.last_count();
  const uint32_t first_calls = calls;
  ASSERT_GT(calls, 100u) << "the library is not loaded";
  constexpr uint32_t kPoints = 24;
  const pid_t init = node.init_pid();
  for (uint32_t i = 0; i < 4 * kPoints && crashes.cases() < int{kPoints} && !HasFailure(); ++i) {
    const uint32_t at = 1 + i % kPoints * (calls - 1) / kPoints;
    crashes.Once(FaultOp::kMemory, FaultAction::kFail, at, &WithLabel);
    // How many an apply takes depends on how often K3s is probed meanwhile.
    if (crashes.last_count() < at) calls = std::max(crashes.last_count(), 100u);
  }
  EXPECT_NE(init, 0);
  std::cout << crashes.ToString(absl::StrCat("D7 (of ", first_calls, " allocations of an apply)"));
  EXPECT_GE(crashes.cases(), 20);
}

}  // namespace
}  // namespace basalt::testing
