#include "server/engine/apply_table.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace basalt::engine {

const std::vector<Transition>& Transitions() {
  using E = ApplyEventKind;
  using P = Persist;
  static const std::vector<Transition> table = {
      // from, event, to, persisted before
      {v1::APPLY_STATE_RECEIVED, E::kOk, v1::APPLY_STATE_VERIFIED, P::kNothing},
      {v1::APPLY_STATE_VERIFIED, E::kOk, v1::APPLY_STATE_DECODED, P::kNothing},
      {v1::APPLY_STATE_DECODED, E::kOk, v1::APPLY_STATE_VALIDATED, P::kNothing},
      {v1::APPLY_STATE_VALIDATED, E::kOk, v1::APPLY_STATE_PLANNED, P::kNothing},
      {v1::APPLY_STATE_PLANNED, E::kOk, v1::APPLY_STATE_PERSISTED, P::kDocument},
      // Persisted: downloads and preflight. Nothing that runs has changed.
      {v1::APPLY_STATE_PERSISTED, E::kOk, v1::APPLY_STATE_EXECUTING, P::kSync},
      {v1::APPLY_STATE_PERSISTED, E::kStage, v1::APPLY_STATE_STAGED, P::kSync},
      {v1::APPLY_STATE_PERSISTED, E::kSameMeaning, v1::APPLY_STATE_COMMITTED, P::kSync},
      {v1::APPLY_STATE_PERSISTED, E::kFail, v1::APPLY_STATE_REVERTED, P::kNote},
      {v1::APPLY_STATE_PERSISTED, E::kCancel, v1::APPLY_STATE_REVERTED, P::kNote},
      {v1::APPLY_STATE_STAGED, E::kOk, v1::APPLY_STATE_PERSISTED, P::kNothing},
      {v1::APPLY_STATE_STAGED, E::kFail, v1::APPLY_STATE_REVERTED, P::kSync},
      {v1::APPLY_STATE_STAGED, E::kCancel, v1::APPLY_STATE_REVERTED, P::kSync},
      {v1::APPLY_STATE_EXECUTING, E::kOk, v1::APPLY_STATE_VERIFYING, P::kNote},
      {v1::APPLY_STATE_EXECUTING, E::kReboot, v1::APPLY_STATE_REBOOTING, P::kSync},
      {v1::APPLY_STATE_EXECUTING, E::kFail, v1::APPLY_STATE_REVERTING, P::kNote},
      {v1::APPLY_STATE_EXECUTING, E::kCancel, v1::APPLY_STATE_REVERTING, P::kNote},
      {v1::APPLY_STATE_REBOOTING, E::kOk, v1::APPLY_STATE_VERIFYING, P::kNote},
      {v1::APPLY_STATE_REBOOTING, E::kFail, v1::APPLY_STATE_REVERTING, P::kNote},
      {v1::APPLY_STATE_VERIFYING, E::kOk, v1::APPLY_STATE_COMMITTED, P::kSync},
      {v1::APPLY_STATE_VERIFYING, E::kConfirm, v1::APPLY_STATE_AWAITING_CONFIRM, P::kNote},
      {v1::APPLY_STATE_VERIFYING, E::kFail, v1::APPLY_STATE_REVERTING, P::kNote},
      {v1::APPLY_STATE_VERIFYING, E::kCancel, v1::APPLY_STATE_REVERTING, P::kNote},
      {v1::APPLY_STATE_AWAITING_CONFIRM, E::kOk, v1::APPLY_STATE_COMMITTED, P::kSync},
      {v1::APPLY_STATE_AWAITING_CONFIRM, E::kFail, v1::APPLY_STATE_REVERTING, P::kNote},
      {v1::APPLY_STATE_AWAITING_CONFIRM, E::kCancel, v1::APPLY_STATE_REVERTING, P::kNote},
      {v1::APPLY_STATE_REVERTING, E::kOk, v1::APPLY_STATE_REVERTED, P::kSync},
      {v1::APPLY_STATE_REVERTING, E::kFail, v1::APPLY_STATE_REVERT_FAILED, P::kNote},
      {v1::APPLY_STATE_REVERT_FAILED, E::kOk, v1::APPLY_STATE_REVERTED, P::kSync},
      {v1::APPLY_STATE_REVERT_FAILED, E::kFail, v1::APPLY_STATE_REVERT_FAILED, P::kNothing},
      // An operator gives it up: over, and the history says how. What is committed is still wanted.
      {v1::APPLY_STATE_REVERT_FAILED, E::kCancel, v1::APPLY_STATE_REVERT_FAILED, P::kSync},
  };
  return table;
}

const std::vector<StartRule>& StartRules() {
  using S = OnStart;
  static const std::vector<StartRule> rules = {
      // state, on start on the same boot, on a new boot
      {v1::APPLY_STATE_UNSPECIFIED, S::kNothing, S::kNothing},
      {v1::APPLY_STATE_RECEIVED, S::kForget, S::kForget},
      {v1::APPLY_STATE_VERIFIED, S::kForget, S::kForget},
      {v1::APPLY_STATE_DECODED, S::kForget, S::kForget},
      {v1::APPLY_STATE_VALIDATED, S::kForget, S::kForget},
      {v1::APPLY_STATE_PLANNED, S::kForget, S::kForget},
      {v1::APPLY_STATE_PERSISTED, S::kForget, S::kForget},
      {v1::APPLY_STATE_STAGED, S::kKeep, S::kRecheck},
      {v1::APPLY_STATE_EXECUTING, S::kRevert, S::kRevert},
      {v1::APPLY_STATE_REBOOTING, S::kRevert, S::kVerify},
      {v1::APPLY_STATE_VERIFYING, S::kResume, S::kRevert},
      {v1::APPLY_STATE_AWAITING_CONFIRM, S::kResume, S::kRevert},
      {v1::APPLY_STATE_COMMITTED, S::kNothing, S::kNothing},
      {v1::APPLY_STATE_REVERTING, S::kRevert, S::kRevert},
      {v1::APPLY_STATE_REVERTED, S::kNothing, S::kNothing},
      {v1::APPLY_STATE_REVERT_FAILED, S::kRevert, S::kRevert},
  };
  return rules;
}

std::optional<Transition> Next(v1::ApplyState from, ApplyEventKind event) {
  for (const Transition& row : Transitions()) {
    if (row.from == from && row.event == event) return row;
  }
  return std::nullopt;
}

OnStart AtStart(v1::ApplyState state, bool same_boot) {
  for (const StartRule& rule : StartRules()) {
    if (rule.state == state) return same_boot ? rule.same_boot : rule.new_boot;
  }
  return OnStart::kRevert;  // a state of a newer version: what was committed is safe
}

std::string StateName(v1::ApplyState state) {
  absl::string_view name = v1::ApplyState_Name(state);
  absl::ConsumePrefix(&name, "APPLY_STATE_");
  return absl::StrReplaceAll(absl::AsciiStrToLower(name), {{"_", "-"}});
}

bool IsFinal(v1::ApplyState state) {
  return state == v1::APPLY_STATE_COMMITTED || state == v1::APPLY_STATE_REVERTED;
}

bool Ends(const Transition& row) {
  return IsFinal(row.to) ||
         (row.from == v1::APPLY_STATE_REVERT_FAILED && row.event == ApplyEventKind::kCancel);
}

}  // namespace basalt::engine
