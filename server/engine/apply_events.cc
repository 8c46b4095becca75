// Rows of the table, the records that they ask for, and what watchers are told.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/engine/apply_machine.h"
#include "server/engine/ledger.h"

namespace basalt::engine {
namespace {

void ToProto(const Condition& in, v1::Condition& out) {
  out.set_type(in.type);
  out.set_holds(in.holds);
  out.set_reason(in.reason);
  out.set_message(in.message);
}

}  // namespace

absl::Status ApplyMachine::Move(ApplyEventKind event) {
  std::optional<Transition> row = Next(pending_->state, event);
  if (!row) {
    return absl::InternalError(
        absl::StrCat("the apply table has no way out of ", StateName(pending_->state)));
  }
  v1::ApplyState before = pending_->state;
  stored::Entry line = pending_->entry;
  pending_->state = row->to;
  absl::Status status = Persist(*row);
  if (!status.ok()) {  // it has not happened, and the history does not say that it has
    pending_->state = before;
    pending_->entry = std::move(line);
  }
  return status;
}

absl::Status ApplyMachine::Persist(const Transition& row) {
  Pending& p = *pending_;
  p.entry.set_state(row.to);
  switch (row.persist) {
    case Persist::kNothing:
      return absl::OkStatus();
    case Persist::kDocument:
      return state_.store.Put(p.target->stored);
    case Persist::kNote:
    case Persist::kSync:
      break;
  }
  if (!Ends(row)) return WriteEntered(row.from, row.persist == Persist::kSync);
  stored::Record record;
  record.set_unix(state_.Unix());
  p.entry.set_ended_unix(state_.Unix());
  p.entry.set_result(p.message);
  p.entry.set_result_code(p.code);
  if (row.to == v1::APPLY_STATE_COMMITTED) {
    p.entry.set_committed_by_version(state_.deps.version);
  }
  *record.mutable_ended() = p.entry;
  record.set_bars(p.bars && row.to == v1::APPLY_STATE_REVERTED);
  bool sync = row.persist == Persist::kSync;
  absl::Status status = state_.journal.Write(record, sync);
  // Ignoring a note that could not be written: without it a start goes back to what was committed.
  return sync ? status : absl::OkStatus();
}

// What a start must know to go on from the state that the apply is in now.
absl::Status ApplyMachine::WriteEntered(v1::ApplyState from, bool sync) {
  const Pending& p = *pending_;
  stored::Record record;
  record.set_unix(state_.Unix());
  stored::InFlight& entered = *record.mutable_entered();
  entered.set_state(p.state);
  entered.set_digest(p.entry.digest());
  entered.set_boot_id(state_.deps.clock.BootId());
  entered.set_deadline_boot_ms(absl::ToInt64Milliseconds(p.confirm_deadline));
  entered.set_started_boot_ms(absl::ToInt64Milliseconds(p.started));
  for (const std::string& type : p.held) entered.add_held(type);
  if (!p.returned) {
    entered.set_return_token_sha256(p.return_token_sha256);
    entered.set_return_deadline_boot_ms(absl::ToInt64Milliseconds(p.return_deadline));
  }
  entered.set_code(p.code);
  entered.set_message(p.message);
  entered.set_bars(p.bars);
  if (FindEntry(state_.journal.ledger(), p.entry.digest()) == nullptr ||
      from == v1::APPLY_STATE_PERSISTED) {
    *record.mutable_entry() = p.entry;
  }
  absl::Status status = state_.journal.Write(record, sync);
  return sync ? status : absl::OkStatus();
}

void ApplyMachine::Note() {
  // Ignoring a failure, as of every note: a start then waits for the caller once more.
  WriteEntered(pending_->state, /*sync=*/false).IgnoreError();
}

google::protobuf::Timestamp ApplyMachine::WallTime(absl::Duration boot) const {
  google::protobuf::Timestamp out;
  out.set_seconds(absl::ToUnixSeconds(state_.deps.clock.Now() + (boot - Now())));
  return out;
}

v1::ApplyEvent ApplyMachine::Event() const {
  const Pending& p = *pending_;
  v1::ApplyEvent event;
  event.set_state(p.state);
  event.set_digest(absl::StrCat("sha256:", p.entry.digest()));
  event.set_generation(p.entry.generation());
  event.mutable_time()->set_seconds(state_.Unix());
  if (p.state == v1::APPLY_STATE_VERIFYING && !p.returned && !p.return_token.empty()) {
    event.set_return_token(p.return_token);
    for (const std::string& endpoint : state_.deps.endpoints())
      event.add_return_endpoints(endpoint);
    *event.mutable_deadline() = WallTime(p.return_deadline);
  }
  if (p.state == v1::APPLY_STATE_EXECUTING && p.touches_api && state_.deps.endpoints_with) {
    for (const std::string& endpoint : state_.deps.endpoints_with(*p.target->config)) {
      event.add_return_endpoints(endpoint);
    }
  }
  if (p.state == v1::APPLY_STATE_AWAITING_CONFIRM) {
    *event.mutable_deadline() = WallTime(p.confirm_deadline);
  }
  return event;
}

void ApplyMachine::Emit(const v1::ApplyEvent& event) {
  // A copy: a watcher may detach another one while it is told.
  std::vector<std::shared_ptr<ApplyWatcher>> watchers = pending_->watchers;
  for (const auto& watcher : watchers) watcher->OnEvent(event);
}

void ApplyMachine::EmitState(const std::string& message) {
  v1::ApplyEvent event = Event();
  event.set_message(message);
  if (pending_->state == v1::APPLY_STATE_PLANNED) *event.mutable_plan() = pending_->plan;
  Emit(event);
}

// The last event, once; later ends of the same apply are for the history alone.
void ApplyMachine::TellEnd(const std::string& message) {
  Pending& p = *pending_;
  if (p.told) return;
  p.told = true;
  v1::ApplyEvent event = Event();
  event.clear_return_token();
  event.set_final(true);
  event.set_message(message);
  event.set_error_code(p.code);
  event.set_hint(p.hint);
  for (const Condition& condition : p.unhealthy) ToProto(condition, *event.add_conditions());
  event.set_unchanged(p.plan.unchanged());
  if (auto it = keys_.find(p.key); !p.key.empty() && it != keys_.end()) it->second.end = event;
  Emit(event);
  p.watchers.clear();
}

void ApplyMachine::Finish(const std::string& message) {
  ClearTimer();
  TellEnd(message);
  if (pending_->state != v1::APPLY_STATE_COMMITTED) {
    state_.last_error = pending_->message;
    state_.last_error_code = pending_->code;
  } else {
    state_.last_error.clear();
    state_.last_error_code.clear();
  }
  pending_.reset();
  // After every end, not only a commit: a document that fails again and again must not fill the
  // disk.
  if (absl::Status status = state_.journal.CompactIfLarge(); !status.ok()) {
    state_.Alarm("StateNotDurable", "WriteFailed", std::string(status.message()));
  }
  publish_();
  // An apply stops the tries to make the committed config true; one that changed nothing, or whose
  // way back was given up, leaves that to do.
  if (state_.alarms.count("NotConverged") > 0 && converge_timer_ == 0) ScheduleConverge();
  if (!next_) return;
  Submission next = *std::exchange(next_, std::nullopt);
  state_.deps.executor.Post([this, next = std::move(next)]() mutable { Submit(std::move(next)); });
}

void ApplyMachine::SetTimer(absl::Duration at, void (ApplyMachine::*fn)()) {
  ClearTimer();
  if (at == absl::InfiniteDuration()) return;
  timer_ = state_.deps.executor.After(std::max(at - Now(), absl::ZeroDuration()), [this, fn] {
    timer_ = 0;
    (this->*fn)();
  });
}

void ApplyMachine::ClearTimer() {
  if (timer_ != 0) state_.deps.executor.CancelTimer(std::exchange(timer_, 0));
}

}  // namespace basalt::engine
