// The apply under way: at most one. Walks the table (apply_table.h), writes what each row asks for
// before the new state counts, and takes the node back when it must. Loop thread only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "google/protobuf/timestamp.pb.h"
#include "server/engine/admission.h"
#include "server/engine/apply_table.h"
#include "server/engine/gate.h"
#include "server/engine/node_state.h"

namespace basalt::engine {

// A document that came with a caller, checked.
struct Submission {
  Caller caller;
  v1::ApplyRequest request;
  std::shared_ptr<ApplyWatcher> watcher;
  CheckedDocument checked;
};

class ApplyMachine {
 public:
  struct Pending {
    v1::ApplyState state = v1::APPLY_STATE_PLANNED;
    GenerationPtr target;
    stored::Entry entry;  // the history line as it grows
    v1::PlanReply plan;
    bool touches_api = false;
    std::vector<std::shared_ptr<ApplyWatcher>> watchers;
    std::string key;                 // of idempotency; with the caller class
    std::set<uint64_t> connections;  // that the document came or was joined over
    bool has_caller = false;

    std::set<std::string> held;  // conditions of the baseline that held
    absl::Duration started;      // verifying: when the change had been made (boot clock)
    bool gate_open = false;      // verifying: the controllers are done
    std::string return_token;    // known to this process only
    std::string return_token_sha256;
    bool returned = true;
    absl::Duration return_deadline;
    absl::Duration confirm_deadline;
    std::vector<Condition> unhealthy;
    std::string last_progress;

    bool cancelled = false;  // while executing: goes back as soon as that is done
    std::string code;        // why it goes back
    std::string message;
    std::string hint;
    bool bars = false;
    bool told = false;  // the watchers have had their last event
    int revert_attempts = 0;
    bool reverting_now = false;  // the controllers are at it
  };

  // `publish`: something that readers see has changed.
  ApplyMachine(NodeState& state, ControllerSet& controllers, std::function<void()> publish);

  // Goes on with what the journal says, or makes the node as the committed config says.
  void Recover();
  void Submit(Submission submission);
  void Detach(const std::shared_ptr<ApplyWatcher>& watcher);
  absl::Status Return(const Caller& caller, const std::string& token);
  absl::StatusOr<v1::ConfirmReply> Confirm(const std::string& digest);
  absl::StatusOr<v1::CancelReply> Cancel(const std::string& digest);
  // A controller observed something.
  void OnObservation();
  // What is committed was taken away (reset) or must be made true again.
  void ForgetConverge();

  const Pending* pending() const { return pending_.get(); }
  // What is or is being made true: the pending config from `verifying` on, else the committed one.
  const v1::MachineConfig* config_in_force() const;

 private:
  // --- apply_machine.cc: the way forward
  void Begin(Submission submission, Admitted admitted);
  void StartPrepare();
  void StartExecute();
  void AfterExecute(absl::Status status);
  void EnterVerifying();
  void Judge();
  void ConfirmDeadline();
  absl::Status Commit();
  void Committed();
  // --- apply_submit.cc: who may come in
  bool AnswerAtOnce(const Submission& submission, const std::string& digest);
  bool AnswerByKey(const Submission& submission, const std::string& digest);
  void DryRun(const Submission& submission);
  void Attach(const Submission& submission);
  // --- apply_revert.cc: the way back, and starts
  void Fail(const absl::Status& status, bool bars);
  void Fail(const std::string& code, const std::string& message, const std::string& hint,
            bool bars);
  void Revert();
  void AfterRevert(absl::Status status);
  void RetryRevert();
  absl::Status GiveUpRevert();
  void Converge();
  void ConvergeAtStart();
  void AfterConverge(absl::Status status);
  void ExpectCommitted();
  void ScheduleConverge();
  void RetryConverge();
  void Resume(const stored::InFlight& was);
  void RecheckStaged();
  // --- apply_events.cc: rows, records and events
  absl::Status Move(ApplyEventKind event);
  absl::Status Persist(const Transition& row);
  absl::Status WriteEntered(v1::ApplyState from, bool sync);
  void Note();  // the state is the same, what a start must know of it is not
  v1::ApplyEvent Event() const;
  void Emit(const v1::ApplyEvent& event);
  void EmitState(const std::string& message);
  void TellEnd(const std::string& message);
  void Finish(const std::string& message);
  void SetTimer(absl::Duration at, void (ApplyMachine::*fn)());
  void ClearTimer();
  absl::Duration Now() const { return state_.deps.clock.SinceBoot(); }
  google::protobuf::Timestamp WallTime(absl::Duration boot) const;

  NodeState& state_;
  ControllerSet& controllers_;
  std::function<void()> publish_;
  std::unique_ptr<Pending> pending_;
  Baseline baseline_;
  std::optional<Submission> next_;  // supersedes the pending one
  Executor::TimerId timer_ = 0;
  Executor::TimerId converge_timer_ = 0;
  int converge_attempts_ = 0;
  uint64_t converge_serial_ = 0;  // an apply that executes ends a converge that is waiting

  struct Remembered {
    std::string digest;
    std::optional<v1::ApplyEvent> end;
  };
  std::map<std::string, Remembered> keys_;  // at most kMaxKeys
  std::vector<std::string> key_order_;
};

}  // namespace basalt::engine
