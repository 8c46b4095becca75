// The life of an apply as one table: which event leads from which state to which, what is made
// durable before the new state counts, and what a start finds to do in each state. The machine
// (apply_machine.h) does nothing that is not a row here. Pure data, thread-safe.
//
//   received → verified → decoded → validated → planned → persisted → [staged] → executing
//     → [rebooting] → verifying → [awaiting-confirm] → committed
//   from executing on: → reverting → reverted | revert-failed → reverted, or given up by an
//   operator
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "basalt/v1/resource.pb.h"

namespace basalt::engine {

enum class ApplyEventKind {
  kOk,           // the step of this state succeeded
  kFail,         // it did not, or a deadline passed
  kCancel,       // an operator ended it
  kStage,        // the document waits for the next boot
  kSameMeaning,  // nothing that a controller looks at changes
  kReboot,       // the change needs a new boot
  kConfirm,      // healthy, and the document wants a person's word
};

// What is written before the new state counts.
enum class Persist {
  kNothing,
  kDocument,  // the document: file and directory, two fsyncs
  kNote,      // a journal record without fsync: survives noded, not a power cut (another boot then)
  kSync,      // a journal record with fsync
};

struct Transition {
  v1::ApplyState from;
  ApplyEventKind event;
  v1::ApplyState to;
  Persist persist;
};

// What Start does with a document that it finds in a state.
enum class OnStart {
  kNothing,  // it is over
  kForget,   // nothing was changed: no document is pending
  kKeep,     // it goes on waiting
  kRecheck,  // every check again, then as if it had just been persisted
  kResume,   // goes on until its deadline
  kVerify,   // the reboot that it asked for has happened
  kRevert,   // back to what was committed
};

struct StartRule {
  v1::ApplyState state;
  OnStart same_boot;
  OnStart new_boot;
};

const std::vector<Transition>& Transitions();
const std::vector<StartRule>& StartRules();

// nullopt: the event has no meaning in that state.
std::optional<Transition> Next(v1::ApplyState from, ApplyEventKind event);
OnStart AtStart(v1::ApplyState state, bool same_boot);

// "awaiting-confirm"
std::string StateName(v1::ApplyState state);
bool IsFinal(v1::ApplyState state);  // committed, reverted
bool Ends(const Transition& row);    // no document is pending after it

}  // namespace basalt::engine
