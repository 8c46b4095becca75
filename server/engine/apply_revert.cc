// The way back, and what a start finds to do.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/engine/apply_machine.h"
#include "server/engine/ledger.h"

namespace basalt::engine {
namespace {

absl::Duration Backoff(int attempt) {
  return std::min(absl::Seconds(5) * (int64_t{1} << std::min(attempt, 6)), absl::Minutes(5));
}

}  // namespace

void ApplyMachine::Fail(const absl::Status& status, bool bars) {
  std::string code = api::Reason(status);
  // Other bytes than a digest says are DataLoss too, and no fault of this disk.
  if (code == "not-durable" || state_.journal.degraded()) {
    state_.Alarm("StateNotDurable", "WriteFailed", std::string(status.message()));
  }
  Fail(code.empty() ? "apply-failed" : code, std::string(status.message()), api::Hint(status),
       bars);
}

void ApplyMachine::Fail(const std::string& code, const std::string& message,
                        const std::string& hint, bool bars) {
  Pending& p = *pending_;
  p.code = code;
  p.message = message;
  p.hint = hint;
  p.bars = bars;
  p.gate_open = false;
  ClearTimer();
  absl::Status status = Move(ApplyEventKind::kFail);
  if (p.state == v1::APPLY_STATE_REVERTING) {
    Revert();
    return;
  }
  // Persisted or staged: nothing was changed. When not even that could be written, the next start
  // finds the document as it was and checks it again.
  if (!status.ok()) state_.Alarm("StateNotDurable", "WriteFailed", std::string(status.message()));
  Finish(message);
}

void ApplyMachine::Revert() {
  Pending& p = *pending_;
  p.gate_open = false;
  p.reverting_now = true;
  ClearTimer();
  ForgetConverge();
  EmitState(absl::StrCat("going back: ", p.message));
  publish_();
  // First of all: when the controllers cannot go back, somebody must be able to come and look.
  absl::Status api = p.touches_api ? state_.deps.set_api_policy(PolicyOf(state_.committed_config()))
                                   : absl::OkStatus();
  controllers_.Execute(
      state_.committed == nullptr ? nullptr : state_.committed->config,
      [this, api](absl::Status status) { AfterRevert(status.ok() ? api : std::move(status)); });
}

void ApplyMachine::AfterRevert(absl::Status status) {
  Pending& p = *pending_;
  if (status.ok() && controllers_.WantsReboot()) {
    // Still reverting, and the next boot goes on from there: it finds nothing left to do.
    EmitState("going back: the machine restarts");
    publish_();
    status = state_.deps.platform.Reboot();
    if (status.ok()) return;
  }
  p.reverting_now = false;
  if (status.ok()) {
    status = Move(ApplyEventKind::kOk);
    // The node is as it was; a disk that keeps nothing more cannot be told, and the next start
    // finds the apply unfinished and goes back once more.
    if (!status.ok() && state_.journal.degraded()) {
      state_.Alarm("StateNotDurable", "WriteFailed", std::string(status.message()));
      p.state = v1::APPLY_STATE_REVERTED;
      status = absl::OkStatus();
    }
  }
  if (status.ok()) {
    state_.ClearAlarm("RevertFailed");
    baseline_.Expect(p.held, Now());
    baseline_.Observe(controllers_.Observe(), Now());
    Finish(p.message);
    return;
  }
  Move(ApplyEventKind::kFail).IgnoreError();  // a note
  state_.Alarm("RevertFailed", "Retrying", std::string(status.message()));
  TellEnd(absl::StrCat(p.message, "; going back failed and is tried again: ", status.message()));
  publish_();
  if (next_ && GiveUpRevert().ok()) return;  // what supersedes it waits for its end
  SetTimer(Now() + Backoff(p.revert_attempts++), &ApplyMachine::RetryRevert);
}

// What the way back needs may be missing, and is fetched first; going back is tried whatever comes
// of that.
void ApplyMachine::RetryRevert() {
  if (state_.committed == nullptr) {
    Revert();
    return;
  }
  controllers_.Prepare(
      state_.committed->config, [](const std::string&, int64_t, int64_t) {},
      [this](absl::Status) { Revert(); });
}

// The node is neither the one nor the other. The next document starts from there, and until one
// comes the committed config is made true again as after a start.
absl::Status ApplyMachine::GiveUpRevert() {
  Pending& p = *pending_;
  if (p.reverting_now) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "reverting",
                      "the document is reverting already", "wait for it");
  }
  const std::string why = state_.alarms["RevertFailed"].message();
  const std::string before = p.message;
  p.message = absl::StrCat(before, "; going back failed and was given up: ", why);
  if (absl::Status status = Move(ApplyEventKind::kCancel); !status.ok()) {
    p.message = before;
    return status;
  }
  controllers_.CancelPrepare();
  state_.ClearAlarm("RevertFailed");
  state_.Alarm("NotConverged", "Retrying", why);
  Finish(p.message);
  return absl::OkStatus();
}

void ApplyMachine::ForgetConverge() {
  ++converge_serial_;
  converge_attempts_ = 0;
  if (converge_timer_ != 0) {
    state_.deps.executor.CancelTimer(std::exchange(converge_timer_, 0));
  }
}

void ApplyMachine::Converge() {
  uint64_t serial = ++converge_serial_;
  ConfigPtr wanted = state_.committed == nullptr ? nullptr : state_.committed->config;
  controllers_.Execute(std::move(wanted), [this, serial](absl::Status status) {
    if (serial == converge_serial_) AfterConverge(std::move(status));
  });
}

// It was healthy when it was committed, so it will be again.
void ApplyMachine::ExpectCommitted() {
  if (state_.committed == nullptr || !state_.committed->stored.entry().result_code().empty())
    return;
  std::set<std::string> types;
  const std::vector<Condition> conditions = controllers_.Observe();
  for (const Condition& condition : conditions) types.insert(condition.type);
  baseline_.Expect(types, Now());
  baseline_.Observe(conditions, Now());
}

void ApplyMachine::AfterConverge(absl::Status status) {
  if (status.ok()) {
    state_.ClearAlarm("NotConverged");
    converge_attempts_ = 0;
    ExpectCommitted();
    publish_();
    return;
  }
  state_.Alarm("NotConverged", "Retrying", std::string(status.message()));
  publish_();
  ScheduleConverge();
}

void ApplyMachine::ScheduleConverge() {
  converge_timer_ = state_.deps.executor.After(Backoff(converge_attempts_++), [this] {
    converge_timer_ = 0;
    RetryConverge();
  });
}

// What was missing may have to be fetched first. A staged document waits and is in nobody's way;
// the end of any other asks again.
void ApplyMachine::RetryConverge() {
  if (pending_ != nullptr && pending_->state != v1::APPLY_STATE_STAGED) return;
  if (state_.committed == nullptr) {
    Converge();
    return;
  }
  uint64_t serial = converge_serial_;
  controllers_.Prepare(
      state_.committed->config, [](const std::string&, int64_t, int64_t) {},
      [this, serial](absl::Status status) {
        if (serial != converge_serial_) return;
        if (status.ok()) {
          Converge();
        } else {
          AfterConverge(std::move(status));
        }
      });
}

// A node without a config leaves alone what it finds.
void ApplyMachine::ConvergeAtStart() {
  if (state_.committed != nullptr) Converge();
}

void ApplyMachine::Recover() {
  const stored::Ledger& ledger = state_.journal.ledger();
  if (!ledger.has_in_flight()) {
    ConvergeAtStart();
    return;
  }
  const stored::InFlight was = ledger.in_flight();
  bool same_boot = was.boot_id() == state_.deps.clock.BootId();
  OnStart what = AtStart(was.state(), same_boot);

  pending_ = std::make_unique<Pending>();
  Pending& p = *pending_;
  p.state = was.state();
  if (const stored::Entry* entry = FindEntry(ledger, was.digest())) p.entry = *entry;
  p.entry.set_digest(was.digest());
  p.told = was.state() == v1::APPLY_STATE_STAGED;
  absl::StatusOr<GenerationPtr> target = LoadGeneration(state_, was.digest());
  if (target.ok()) {
    p.target = *std::move(target);
  } else {
    p.target = std::make_shared<LoadedGeneration>();
    if (what != OnStart::kNothing && what != OnStart::kForget) what = OnStart::kRevert;
  }
  p.touches_api = !(PolicyOf(p.target->config.get()) == PolicyOf(state_.committed_config()));
  p.code = was.code();
  p.message = was.message();
  p.bars = was.bars();
  p.held.insert(was.held().begin(), was.held().end());

  switch (what) {
    case OnStart::kNothing:
    case OnStart::kForget:
      pending_.reset();
      ConvergeAtStart();
      return;
    case OnStart::kKeep:
      ConvergeAtStart();
      return;
    case OnStart::kRecheck:
      ConvergeAtStart();
      RecheckStaged();
      return;
    case OnStart::kVerify:
    case OnStart::kResume:
      Resume(was);
      return;
    case OnStart::kRevert:
      break;
  }
  if (p.state == v1::APPLY_STATE_REVERTING || p.state == v1::APPLY_STATE_REVERT_FAILED) {
    Revert();
    return;
  }
  if (p.state == v1::APPLY_STATE_STAGED) {  // it had changed nothing: there is no way back to go
    ConvergeAtStart();
    Fail("staged-damaged",
         absl::StrCat("the staged document cannot be used: ", target.status().message()),
         "apply it again", /*bars=*/false);
    return;
  }
  Fail("interrupted", "the node stopped before the apply was committed", "apply the document again",
       /*bars=*/false);
}

// The controllers find what they made before, or make it again; then the wait goes on.
void ApplyMachine::Resume(const stored::InFlight& was) {
  Pending& p = *pending_;
  p.started = absl::Milliseconds(was.started_boot_ms());
  p.confirm_deadline = absl::Milliseconds(was.deadline_boot_ms());
  p.return_token_sha256 = was.return_token_sha256();
  p.return_deadline = absl::Milliseconds(was.return_deadline_boot_ms());
  p.returned = p.return_token_sha256.empty();
  if (p.state == v1::APPLY_STATE_AWAITING_CONFIRM) {
    SetTimer(p.confirm_deadline, &ApplyMachine::ConfirmDeadline);
  }
  controllers_.Execute(p.target->config, [this](absl::Status status) {
    // The deadline may have passed, or somebody cancelled, while the controllers were at it.
    if (pending_ == nullptr) return;
    Pending& now = *pending_;
    if (now.cancelled) {
      Move(ApplyEventKind::kCancel).IgnoreError();  // a note
      Revert();
    } else if (now.state == v1::APPLY_STATE_REBOOTING && status.ok()) {
      EnterVerifying();
    } else if (now.state == v1::APPLY_STATE_VERIFYING ||
               now.state == v1::APPLY_STATE_AWAITING_CONFIRM ||
               now.state == v1::APPLY_STATE_REBOOTING) {
      if (!status.ok()) {
        // What does not stand the boot that it asked for has failed the gate.
        Fail(status, /*bars=*/now.state == v1::APPLY_STATE_REBOOTING);
        return;
      }
      now.gate_open = now.state == v1::APPLY_STATE_VERIFYING;
      Judge();
    }
  });
}

// Signed long ago perhaps, against another policy and another config: everything is asked again.
void ApplyMachine::RecheckStaged() {
  Pending& p = *pending_;
  CheckedDocument checked = CheckDocument(p.target->stored.document(), state_.deps.trust.policy(),
                                          /*authenticated=*/true, "");
  absl::StatusOr<Admitted> admitted =
      checked.status.ok() ? Admit(state_, controllers_, checked) : checked.status;
  absl::Status status = admitted.ok() ? CheckImplemented(admitted->plan) : admitted.status();
  if (!status.ok()) {
    Fail(status, /*bars=*/false);
    return;
  }
  auto opened = std::make_shared<LoadedGeneration>(*p.target);
  opened->config = admitted->config;
  p.target = std::move(opened);
  p.plan = admitted->plan;
  p.touches_api = admitted->touches_api;
  Move(ApplyEventKind::kOk).IgnoreError();  // writes nothing: the journal says staged until it runs
  StartPrepare();
}

}  // namespace basalt::engine
