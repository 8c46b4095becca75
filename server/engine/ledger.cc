#include "server/engine/ledger.h"

#include <algorithm>
#include <tuple>

namespace basalt::engine {
namespace {

// Actions live at most 24 h; the margin is for a clock that was set back. The newest are kept
// whatever the clock says: one that ran ahead and was put right must not make an order new again.
constexpr int64_t kUsedActionMargin = 14 * 24 * 3600;
constexpr int kUsedActionsKept = 64;

void Put(stored::Ledger& ledger, const stored::Entry& entry) {
  for (stored::Entry& line : *ledger.mutable_history()) {
    if (line.digest() == entry.digest()) {
      line = entry;
      return;
    }
  }
  *ledger.add_history() = entry;
  while (ledger.history_size() > kGenerationsKept) {
    // The line of what runs stays, however old it is.
    int drop = ledger.history(0).digest() == ledger.committed_digest() ? 1 : 0;
    ledger.mutable_history()->DeleteSubrange(drop, 1);
  }
}

void SetState(stored::Ledger& ledger, const std::string& digest, v1::ApplyState state) {
  for (stored::Entry& line : *ledger.mutable_history()) {
    if (line.digest() == digest) line.set_state(state);
  }
}

void Use(stored::Ledger& ledger, const stored::UsedAction& action, int64_t now) {
  *ledger.add_used_actions() = action;
  auto& used = *ledger.mutable_used_actions();
  auto newest = used.end() - std::min(used.size(), kUsedActionsKept);
  used.erase(std::remove_if(used.begin(), newest,
                            [&](const stored::UsedAction& old) {
                              return old.not_after_unix() + kUsedActionMargin < now;
                            }),
             newest);
}

}  // namespace

void RaiseFloor(stored::Floor& floor, int64_t epoch, int64_t generation,
                const std::string& digest) {
  if (std::tie(epoch, generation) <= std::make_tuple(floor.epoch(), floor.generation())) {
    return;
  }
  floor.set_epoch(epoch);
  floor.set_generation(generation);
  floor.set_digest(digest);
}

const stored::Entry* FindEntry(const stored::Ledger& ledger, const std::string& digest) {
  for (const stored::Entry& line : ledger.history()) {
    if (line.digest() == digest) return &line;
  }
  return nullptr;
}

void Fold(stored::Ledger& ledger, const stored::Record& record) {
  if (record.has_entry()) {
    Put(ledger, record.entry());
    RaiseFloor(*ledger.mutable_floor(), record.entry().epoch(), record.entry().generation(),
               record.entry().digest());
  }
  if (record.has_floor()) {
    RaiseFloor(*ledger.mutable_floor(), record.floor().epoch(), record.floor().generation(),
               record.floor().digest());
  }
  switch (record.event_case()) {
    case stored::Record::kSnapshot:
      ledger = record.snapshot();
      break;
    case stored::Record::kEntered:
      *ledger.mutable_in_flight() = record.entered();
      SetState(ledger, record.entered().digest(), record.entered().state());
      break;
    case stored::Record::kEnded: {
      const stored::Entry& end = record.ended();
      Put(ledger, end);
      RaiseFloor(*ledger.mutable_floor(), end.epoch(), end.generation(), end.digest());
      if (end.state() == v1::APPLY_STATE_COMMITTED && ledger.committed_digest() != end.digest()) {
        ledger.set_previous_digest(ledger.committed_digest());
        ledger.set_committed_digest(end.digest());
      }
      if (record.bars()) ledger.set_barred_digest(end.digest());
      ledger.clear_in_flight();
      break;
    }
    case stored::Record::kActionBegun:
      Use(ledger, record.action_begun(), record.unix());
      ledger.set_resetting(true);
      if (record.has_reset()) *ledger.mutable_reset() = record.reset();
      break;
    case stored::Record::kResetMarked:
      ledger.mutable_reset()->set_marked_boot_id(record.reset_marked());
      break;
    case stored::Record::kWipeBegun:
      Use(ledger, record.used(), record.unix());
      *ledger.mutable_wipe() = record.wipe_begun();
      break;
    case stored::Record::kWipeDone:
      ledger.clear_wipe();
      break;
    case stored::Record::kActionUsed:
      Use(ledger, record.action_used(), record.unix());
      break;
    case stored::Record::kResetDone:
      ledger.clear_reset();
      ledger.set_resetting(false);
      if (record.keeps_config()) break;
      ledger.clear_committed_digest();
      ledger.clear_previous_digest();
      ledger.clear_history();
      ledger.clear_in_flight();
      break;
    case stored::Record::EVENT_NOT_SET:
      break;  // of a newer version
  }
}

}  // namespace basalt::engine
