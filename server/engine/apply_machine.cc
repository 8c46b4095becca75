// The way forward: persisted, prepared, executed, verified, committed.
#include "server/engine/apply_machine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "server/engine/ledger.h"

namespace basalt::engine {
namespace {

constexpr absl::Duration kReturnWithin = absl::Minutes(2);

bool Matches(const std::string& wanted, const std::string& digest) {
  absl::string_view hex = wanted;
  absl::ConsumePrefix(&hex, "sha256:");
  return hex.empty() || hex == digest;
}

}  // namespace

ApplyMachine::ApplyMachine(NodeState& state, ControllerSet& controllers,
                           std::function<void()> publish)
    : state_(state), controllers_(controllers), publish_(std::move(publish)) {}

const v1::MachineConfig* ApplyMachine::config_in_force() const {
  if (pending_ != nullptr && pending_->target->config != nullptr &&
      (pending_->state == v1::APPLY_STATE_VERIFYING ||
       pending_->state == v1::APPLY_STATE_AWAITING_CONFIRM)) {
    return pending_->target->config.get();
  }
  return state_.committed_config();
}

// From received on (a new document) or from persisted on (a staged one).
void ApplyMachine::StartPrepare() {
  Pending& p = *pending_;
  const ConfigPtr config = p.target->config;
  if (p.state == v1::APPLY_STATE_RECEIVED) {
    while (p.state != v1::APPLY_STATE_PLANNED) {
      Move(ApplyEventKind::kOk).IgnoreError();  // rows that write nothing
      EmitState("");
    }
    absl::Status status = state_.journal.degraded()
                              ? api::Coded(absl::StatusCode::kFailedPrecondition, "state-degraded",
                                           "the node's disk failed to keep what it was given",
                                           "check the disk, then restart noded")
                              : Move(ApplyEventKind::kOk);
    if (!status.ok()) {
      if (absl::IsDataLoss(status)) {
        state_.Alarm("StateNotDurable", "WriteFailed", std::string(status.message()));
      }
      auto watchers = std::move(p.watchers);
      pending_.reset();
      for (const auto& watcher : watchers) {
        watcher->OnError(api::Annotate(status, "the document could not be stored"));
      }
      publish_();
      return;
    }
    RaiseFloor(state_.floor, p.entry.epoch(), p.entry.generation(), p.entry.digest());
    state_.time_floor =
        std::max(state_.time_floor, absl::FromUnixSeconds(p.target->stored.signed_at_unix()));
    EmitState("accepted");
    if (p.plan.unchanged()) {
      absl::Status committed = Move(ApplyEventKind::kSameMeaning);
      if (!committed.ok()) {
        Fail(committed, /*bars=*/false);
        return;
      }
      Committed();
      return;
    }
    if (config->metadata().apply().mode() == v1::APPLY_MODE_STAGED) {
      absl::Status staged = Move(ApplyEventKind::kStage);
      if (!staged.ok()) {
        Fail(staged, /*bars=*/false);
        return;
      }
      TellEnd("staged: takes effect at the next boot");
      publish_();
      return;
    }
  }
  publish_();
  controllers_.Prepare(
      config,
      [this](const std::string& what, int64_t done, int64_t total) {
        v1::ApplyEvent event = Event();
        event.mutable_progress()->set_what(what);
        event.mutable_progress()->set_done(done);
        event.mutable_progress()->set_total(total);
        Emit(event);
      },
      [this](absl::Status status) {
        if (status.ok()) {
          StartExecute();
        } else {
          Fail(status, /*bars=*/false);
        }
      });
}

void ApplyMachine::StartExecute() {
  Pending& p = *pending_;
  ForgetConverge();
  if (state_.committed != nullptr) {
    p.held = baseline_.Held(controllers_.Observe(), Now(), [this](const std::string& type) {
      return controllers_.Deadline(*state_.committed->config, type);
    });
  }
  absl::Status status = Move(ApplyEventKind::kOk);
  if (!status.ok()) {
    Fail(status, /*bars=*/false);
    return;
  }
  EmitState("");
  publish_();
  controllers_.Execute(p.target->config,
                       [this](absl::Status result) { AfterExecute(std::move(result)); });
}

void ApplyMachine::AfterExecute(absl::Status status) {
  Pending& p = *pending_;
  if (p.cancelled) {
    Move(ApplyEventKind::kCancel).IgnoreError();  // a note
    Revert();
    return;
  }
  if (status.ok() && p.touches_api) {
    status = state_.deps.set_api_policy(PolicyOf(p.target->config.get()));
  }
  if (status.ok() && (p.plan.effect() == v1::EFFECT_REBOOT || controllers_.WantsReboot())) {
    status = Move(ApplyEventKind::kReboot);
    if (status.ok()) {
      EmitState("rebooting");
      publish_();
      status = state_.deps.platform.Reboot();
      if (status.ok()) return;
    }
  }
  if (!status.ok()) {
    Fail(status, /*bars=*/false);
    return;
  }
  EnterVerifying();
}

void ApplyMachine::EnterVerifying() {
  Pending& p = *pending_;
  p.started = Now();
  if (p.touches_api && p.has_caller) {
    p.return_token = HexEncode(state_.deps.random.Bytes(32));
    p.return_token_sha256 = Sha256(p.return_token).Hex();
    p.return_deadline = Now() + kReturnWithin;
    p.returned = false;
  }
  Move(ApplyEventKind::kOk).IgnoreError();  // a note
  p.gate_open = true;
  EmitState("");
  publish_();
  Judge();
}

void ApplyMachine::OnObservation() {
  // While a config is on trial its conditions are the gate's, not the baseline's.
  if (pending_ == nullptr || pending_->state <= v1::APPLY_STATE_STAGED) {
    baseline_.Observe(controllers_.Observe(), Now());
  }
  Judge();
  publish_();
}

void ApplyMachine::Judge() {
  if (pending_ == nullptr || pending_->state != v1::APPLY_STATE_VERIFYING || !pending_->gate_open) {
    return;
  }
  Pending& p = *pending_;
  const v1::MachineConfig& config = *p.target->config;
  GateVerdict verdict =
      JudgeGate(p.held, p.started, Now(), controllers_.Observe(),
                [&](const std::string& type) { return controllers_.Deadline(config, type); });
  if (verdict.kind == GateVerdict::Kind::kFail) {
    const Condition& failed = verdict.unhealthy.front();
    p.unhealthy = verdict.unhealthy;
    Fail(failed.code.empty() ? "gate-failed" : failed.code,
         absl::StrCat(failed.type, " held before and does not any more: ", failed.message),
         "the node went back to what ran before; correct the config and sign it again",
         /*bars=*/true);
    return;
  }
  if (!p.returned && Now() >= p.return_deadline) {
    Fail("no-return", "nobody came back over a new connection",
         "the API could not be reached with the new config: check api.listen, api.clientCas and "
         "api.allowedNetworks",
         /*bars=*/true);
    return;
  }
  if (verdict.kind == GateVerdict::Kind::kWait || !p.returned) {
    absl::Duration wake = verdict.wake;
    if (!p.returned) wake = std::min(wake, p.return_deadline);
    SetTimer(wake, &ApplyMachine::Judge);
    if (verdict.waiting.empty()) return;
    const Condition& waits = verdict.waiting.front();
    std::string progress =
        absl::StrCat("wait ", waits.type, waits.reason.empty() ? "" : ": ", waits.reason);
    if (progress == p.last_progress) return;
    p.last_progress = progress;
    v1::ApplyEvent event = Event();
    event.mutable_progress()->set_what(progress);
    Emit(event);
    return;
  }
  p.unhealthy = verdict.unhealthy;
  if (config.metadata().apply().mode() == v1::APPLY_MODE_TRY) {
    absl::Duration within = absl::Minutes(5);
    // Validated: a duration that does not parse cannot be here; the shipped default stands in.
    if (!absl::ParseDuration(config.metadata().apply().confirm_within(), &within)) {
      within = absl::Minutes(5);
    }
    p.confirm_deadline = Now() + within;
    Move(ApplyEventKind::kConfirm).IgnoreError();  // a note
    p.gate_open = false;
    SetTimer(p.confirm_deadline, &ApplyMachine::ConfirmDeadline);
    EmitState("nodectl confirm keeps it");
    publish_();
    return;
  }
  Commit().IgnoreError();  // a failure is the watchers' to hear, and goes back
}

void ApplyMachine::ConfirmDeadline() {
  Fail("no-confirm", "nobody confirmed it in time",
       "apply it again and run nodectl confirm before the deadline", /*bars=*/false);
}

absl::Status ApplyMachine::Commit() {
  Pending& p = *pending_;
  if (!p.unhealthy.empty()) {
    const Condition& first = p.unhealthy.front();
    p.code = first.code.empty() ? "not-healthy" : first.code;
    p.message = absl::StrCat(first.type, " does not hold: ", first.message);
    p.hint = "the config is in force; nodectl status shows the condition";
  }
  absl::Status status = Move(ApplyEventKind::kOk);
  if (!status.ok()) {
    Fail(status, /*bars=*/false);
    return status;
  }
  Committed();
  return absl::OkStatus();
}

// In force and on disk. What follows may fail without harm.
void ApplyMachine::Committed() {
  GenerationPtr target = pending_->target;
  auto kept = std::make_shared<LoadedGeneration>(*target);
  *kept->stored.mutable_entry() = pending_->entry;
  state_.previous = state_.committed;
  state_.committed = std::move(kept);
  for (const char* alarm :
       {"GenerationDamaged", "AllGenerationsBad", "JournalDamaged", "SealingKeyReplaced"}) {
    state_.ClearAlarm(alarm);
  }
  baseline_ = Baseline();
  baseline_.Observe(controllers_.Observe(), Now());
  // The same meaning once more has asked nothing of the controllers.
  if (!pending_->plan.unchanged()) state_.ClearAlarm("NotConverged");
  CheckCommittedSigners(state_);
  CheckCommittedSecrets(state_);
  CheckMediumKey(state_);
  std::vector<std::string> keep = {state_.committed->digest()};
  if (state_.previous != nullptr) keep.push_back(state_.previous->digest());
  state_.store.Prune(kGenerationsKept, keep);
  controllers_.CollectGarbage(
      {state_.committed->config, state_.previous == nullptr ? nullptr : state_.previous->config});
  Finish(pending_->code.empty() ? "committed" : pending_->message);
}

absl::Status ApplyMachine::Return(const Caller& caller, const std::string& token) {
  if (pending_ == nullptr || pending_->return_token_sha256.empty() ||
      (!pending_->returned && pending_->state != v1::APPLY_STATE_VERIFYING)) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "no-return-awaited",
                      "no apply waits for its caller");
  }
  Pending& p = *pending_;
  if (Sha256(token).Hex() != p.return_token_sha256) {
    return api::Coded(absl::StatusCode::kPermissionDenied, "unknown-token",
                      "this is not the token of the pending apply");
  }
  if (p.returned) return absl::OkStatus();
  if (p.has_caller && p.connections.count(caller.connection) > 0) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "same-connection",
                      "the token must come back over a new connection");
  }
  p.returned = true;
  Note();
  Judge();
  return absl::OkStatus();
}

absl::StatusOr<v1::ConfirmReply> ApplyMachine::Confirm(const std::string& digest) {
  if (pending_ == nullptr || pending_->state != v1::APPLY_STATE_AWAITING_CONFIRM ||
      !Matches(digest, pending_->entry.digest())) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "nothing-to-confirm",
                      "no such document awaits a confirmation", "nodectl status shows what does");
  }
  // The gate was passed before the wait: what has failed since would be committed with it.
  pending_->unhealthy.clear();
  for (const Condition& condition : controllers_.Observe()) {
    if (condition.holds) continue;
    if (pending_->held.count(condition.type) > 0) {
      return api::Coded(
          absl::StatusCode::kFailedPrecondition, "not-healthy",
          absl::StrCat(condition.type, " held before and does not now: ", condition.message),
          "confirm again when it holds, or go back: nodectl cancel");
    }
    pending_->unhealthy.push_back(condition);
  }
  v1::ConfirmReply reply;
  reply.set_generation(pending_->entry.generation());
  if (absl::Status status = Commit(); !status.ok()) return status;
  return reply;
}

absl::StatusOr<v1::CancelReply> ApplyMachine::Cancel(const std::string& digest) {
  if (pending_ == nullptr || !Matches(digest, pending_->entry.digest())) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "nothing-pending",
                      "no such document is pending", "nodectl status shows what is");
  }
  Pending& p = *pending_;
  if (p.code.empty()) {
    p.code = "cancelled";
    p.message = "an operator cancelled it";
  }
  v1::CancelReply reply;
  reply.set_generation(p.entry.generation());
  switch (p.state) {
    case v1::APPLY_STATE_PERSISTED:
    case v1::APPLY_STATE_STAGED: {
      controllers_.CancelPrepare();
      if (absl::Status status = Move(ApplyEventKind::kCancel); !status.ok()) return status;
      reply.set_state(p.state);
      Finish(p.message);
      return reply;
    }
    case v1::APPLY_STATE_EXECUTING:
      p.cancelled = true;
      reply.set_state(v1::APPLY_STATE_REVERTING);
      return reply;
    case v1::APPLY_STATE_VERIFYING:
    case v1::APPLY_STATE_AWAITING_CONFIRM:
      if (!p.gate_open && p.state == v1::APPLY_STATE_VERIFYING) {
        p.cancelled = true;  // resumed: the controllers are at it
        reply.set_state(v1::APPLY_STATE_REVERTING);
        return reply;
      }
      Move(ApplyEventKind::kCancel).IgnoreError();  // a note
      reply.set_state(v1::APPLY_STATE_REVERTING);
      Revert();
      return reply;
    case v1::APPLY_STATE_REVERT_FAILED:
      if (absl::Status status = GiveUpRevert(); !status.ok()) return status;
      reply.set_state(v1::APPLY_STATE_REVERT_FAILED);
      return reply;
    default:
      return api::Coded(absl::StatusCode::kFailedPrecondition, "reverting",
                        absl::StrCat("the document is ", StateName(p.state), " already"));
  }
}

}  // namespace basalt::engine
