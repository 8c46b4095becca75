// The table, the gate, the journal: the parts that decide, one by one.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/engine/apply_table.h"
#include "server/engine/gate.h"
#include "server/engine/journal.h"
#include "server/engine/ledger.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt::engine {
namespace {

using basalt::testing::CutMode;
using basalt::testing::FakeVfs;

TEST(ApplyTable, EveryStateHasOneStartRuleAndEveryPairOneRow) {
  std::set<int> states;
  for (const StartRule& rule : StartRules()) EXPECT_TRUE(states.insert(rule.state).second);
  for (int i = v1::ApplyState_MIN; i <= v1::ApplyState_MAX; ++i) {
    EXPECT_EQ(states.count(i), 1u) << StateName(static_cast<v1::ApplyState>(i));
  }
  std::set<std::pair<int, int>> pairs;
  for (const Transition& row : Transitions()) {
    EXPECT_TRUE(pairs.insert({row.from, static_cast<int>(row.event)}).second);
  }
}

TEST(ApplyTable, EveryStateButTheFinalOnesLeadsToAnEnd) {
  for (const Transition& row : Transitions()) {
    EXPECT_FALSE(IsFinal(row.from));
    std::set<int> reached = {row.to};
    for (bool grew = true; grew;) {
      grew = false;
      for (const Transition& next : Transitions()) {
        if (reached.count(next.from)) grew |= reached.insert(next.to).second;
      }
    }
    EXPECT_TRUE(reached.count(v1::APPLY_STATE_COMMITTED) ||
                reached.count(v1::APPLY_STATE_REVERTED));
  }
}

TEST(ApplyTable, ACommittedApplyHasFourFsyncs) {
  int fsyncs = 0;
  v1::ApplyState state = v1::APPLY_STATE_RECEIVED;
  while (!IsFinal(state)) {
    auto row = Next(state, ApplyEventKind::kOk);
    ASSERT_TRUE(row.has_value());
    fsyncs += row->persist == Persist::kDocument ? 2 : row->persist == Persist::kSync ? 1 : 0;
    state = row->to;
  }
  EXPECT_EQ(state, v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(fsyncs, 4);
}

TEST(ApplyTable, StartsGoBackFromExecutingAndResumeOnTheSameBootOnly) {
  EXPECT_EQ(AtStart(v1::APPLY_STATE_EXECUTING, true), OnStart::kRevert);
  EXPECT_EQ(AtStart(v1::APPLY_STATE_VERIFYING, true), OnStart::kResume);
  EXPECT_EQ(AtStart(v1::APPLY_STATE_VERIFYING, false), OnStart::kRevert);
  EXPECT_EQ(AtStart(v1::APPLY_STATE_AWAITING_CONFIRM, false), OnStart::kRevert);
  EXPECT_EQ(AtStart(v1::APPLY_STATE_REBOOTING, false), OnStart::kVerify);
  EXPECT_EQ(AtStart(v1::APPLY_STATE_STAGED, true), OnStart::kKeep);
  EXPECT_EQ(AtStart(v1::APPLY_STATE_STAGED, false), OnStart::kRecheck);
  EXPECT_EQ(StateName(v1::APPLY_STATE_AWAITING_CONFIRM), "awaiting-confirm");
}

struct GateCase {
  bool held, holds, hopeless;
  int seconds;
  GateVerdict::Kind want;
  size_t unhealthy;
};

TEST(Gate, FollowsItsTable) {
  using K = GateVerdict::Kind;
  for (const GateCase& c : std::vector<GateCase>{{true, true, false, 0, K::kPass, 0},
                                                 {true, false, false, 9, K::kWait, 0},
                                                 {true, false, false, 10, K::kFail, 1},
                                                 {true, false, true, 0, K::kFail, 1},
                                                 {false, true, false, 0, K::kPass, 0},
                                                 {false, false, false, 9, K::kWait, 0},
                                                 {false, false, false, 10, K::kPass, 1},
                                                 {false, false, true, 0, K::kPass, 1}}) {
    std::set<std::string> held;
    if (c.held) held.insert("Ready");
    GateVerdict verdict = JudgeGate(held, absl::Seconds(100), absl::Seconds(100 + c.seconds),
                                    {{.type = "Ready", .holds = c.holds, .hopeless = c.hopeless}},
                                    [](const std::string&) { return absl::Seconds(10); });
    EXPECT_EQ(verdict.kind, c.want) << c.held << c.holds << c.hopeless << c.seconds;
    EXPECT_EQ(verdict.unhealthy.size(), c.unhealthy);
    EXPECT_TRUE(c.want != K::kWait || verdict.wake == absl::Seconds(110));
  }
}

TEST(Gate, WhatTheNewConfigDoesNotAskForIsNotMissed) {
  GateVerdict verdict = JudgeGate({"K3sReady"}, {}, absl::Hours(1), {},
                                  [](const std::string&) { return absl::Seconds(10); });
  EXPECT_EQ(verdict.kind, GateVerdict::Kind::kPass);
}

std::vector<Condition> Ready(bool holds, bool hopeless = false) {
  return {{.type = "Ready", .holds = holds, .hopeless = hopeless}};
}

TEST(Baseline, WhatIsStillComingUpCountsAsHeldUntilItsDeadline) {
  const Deadlines deadline = [](const std::string&) { return absl::Seconds(10); };
  auto held = [&](const Baseline& baseline, const std::vector<Condition>& now, int64_t at) {
    return baseline.Held(now, absl::Seconds(at), deadline).count("Ready") > 0;
  };
  Baseline baseline;
  baseline.Observe(Ready(false), absl::Seconds(0));
  EXPECT_FALSE(held(baseline, Ready(false), 1));  // it never held: a first start
  EXPECT_TRUE(held(baseline, Ready(true), 1));
  baseline.Observe(Ready(true), absl::Seconds(2));
  EXPECT_TRUE(held(baseline, Ready(false), 500));  // the change was not even seen
  baseline.Observe(Ready(false), absl::Seconds(100));
  baseline.Observe(Ready(false), absl::Seconds(105));
  EXPECT_TRUE(held(baseline, Ready(false), 109));
  EXPECT_FALSE(held(baseline, Ready(false, /*hopeless=*/true), 109));
  EXPECT_FALSE(held(baseline, Ready(false), 110));
  baseline.Expect({"Ready"}, absl::Seconds(200));
  baseline.Observe(Ready(false), absl::Seconds(201));
  EXPECT_TRUE(held(baseline, Ready(false), 209));
  EXPECT_FALSE(held(baseline, {}, 209));  // the config asks for it no more
}

stored::Record Committed(const std::string& digest, int64_t generation) {
  stored::Record record;
  record.mutable_ended()->set_digest(digest);
  record.mutable_ended()->set_generation(generation);
  record.mutable_ended()->set_epoch(1);
  record.mutable_ended()->set_state(v1::APPLY_STATE_COMMITTED);
  return record;
}

TEST(Journal, RemembersAcrossReopening) {
  FakeVfs vfs;
  {
    auto journal = Journal::Open(vfs, "journal");
    ASSERT_TRUE(journal.ok());
    EXPECT_TRUE(journal->report().missing);
    ASSERT_TRUE(journal->Write(Committed("a", 1), true).ok());
    ASSERT_TRUE(journal->Write(Committed("b", 2), true).ok());
  }
  vfs.CutPower(CutMode::kDropAll);
  auto journal = Journal::Open(vfs, "journal");
  ASSERT_TRUE(journal.ok());
  EXPECT_EQ(journal->ledger().committed_digest(), "b");
  EXPECT_EQ(journal->ledger().previous_digest(), "a");
  EXPECT_EQ(journal->ledger().floor().generation(), 2);
  EXPECT_EQ(journal->report().records, 2);
}

TEST(Journal, D8_EveryTornTailIsDroppedAndReported) {
  FakeVfs vfs;
  std::string first = EncodeRecord(Committed("a", 1)), second = EncodeRecord(Committed("b", 2));
  for (size_t n = 1; n < second.size(); ++n) {
    vfs.Corrupt("journal", first + second.substr(0, n));
    auto journal = Journal::Open(vfs, "journal");
    ASSERT_TRUE(journal.ok());
    EXPECT_EQ(journal->ledger().committed_digest(), "a");
    EXPECT_EQ(journal->report().torn_bytes, n);
    EXPECT_EQ(*vfs.Read("journal"), first);
  }
}

TEST(Journal, D6_ATornTailOnAReadOnlyDiskIsReadAndNothingIsAppended) {
  FakeVfs vfs;
  std::string first = EncodeRecord(Committed("a", 1)), second = EncodeRecord(Committed("b", 2));
  vfs.Corrupt("journal", first + second.substr(0, 20));
  vfs.FailAllWrites(absl::FailedPreconditionError("EROFS"));
  auto journal = Journal::Open(vfs, "journal");
  ASSERT_TRUE(journal.ok()) << journal.status();
  EXPECT_EQ(journal->ledger().committed_digest(), "a");
  EXPECT_TRUE(journal->degraded());
  EXPECT_FALSE(journal->report().mended.ok());
  vfs.ClearFaults();  // behind the torn tail it would be lost
  EXPECT_TRUE(absl::IsFailedPrecondition(journal->Write(Committed("b", 2), true)));
}

TEST(Journal, D8_AFlippedByteIsFound) {
  FakeVfs vfs;
  std::string first = EncodeRecord(Committed("a", 1)), second = EncodeRecord(Committed("b", 2));
  for (size_t at = 0; at < first.size(); ++at) {
    std::string bad = first + second;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    vfs.Corrupt("journal", bad);
    auto journal = Journal::Open(vfs, "journal");
    ASSERT_TRUE(journal.ok());
    EXPECT_EQ(journal->report().damaged_bytes, first.size()) << at;
    EXPECT_EQ(journal->ledger().committed_digest(), "b");
    EXPECT_EQ(Journal::Open(vfs, "journal")->report().damaged_bytes, 0u);  // rewritten
  }
}

TEST(Journal, D5_AfterAFailedFsyncNothingMoreIsAppended) {
  FakeVfs vfs;
  auto journal = Journal::Open(vfs, "journal");
  vfs.FailNext(basalt::testing::DiskOp::kSyncFile, absl::DataLossError("EIO"));
  EXPECT_TRUE(absl::IsDataLoss(journal->Write(Committed("a", 1), true)));
  EXPECT_TRUE(journal->degraded());
  EXPECT_EQ(journal->ledger().committed_digest(), "");
  EXPECT_TRUE(absl::IsFailedPrecondition(journal->Write(Committed("a", 1), true)));
}

TEST(Ledger, TheFloorOnlyRisesAndAnEpochOutweighsAGeneration) {
  stored::Floor floor;
  RaiseFloor(floor, 1, 10, "a");
  RaiseFloor(floor, 1, 9, "b");
  EXPECT_EQ(floor.digest(), "a");
  RaiseFloor(floor, 2, 1, "c");
  EXPECT_EQ(floor.digest(), "c");
  RaiseFloor(floor, 1, 99, "d");
  EXPECT_EQ(floor.digest(), "c");
}

TEST(Ledger, S2_AnObeyedOrderIsRememberedWhenTheClockRanAheadAndCameBack) {
  stored::Ledger ledger;
  auto obey = [&](const std::string& digest, int64_t now) {
    stored::Record record;
    record.set_unix(now);
    record.mutable_action_begun()->set_digest(digest);
    record.mutable_action_begun()->set_not_after_unix(now + 3600);
    Fold(ledger, record);
  };
  obey("first", 1000);
  obey("years ahead", 300'000'000);
  ASSERT_EQ(ledger.used_actions_size(), 2);
  EXPECT_EQ(ledger.used_actions(0).digest(), "first");
  // They are few, and what is kept of them is bounded.
  for (int i = 0; i < 1000; ++i) obey(std::to_string(i), 600'000'000 + i * 86'400'000LL);
  EXPECT_EQ(ledger.used_actions_size(), 64);
  EXPECT_EQ(ledger.used_actions(63).digest(), "999");
}

}  // namespace
}  // namespace basalt::engine
