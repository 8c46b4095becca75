#include "server/init/boot/duties.h"

#include <cstring>

namespace basalt::init {

void MachineDuties::Start() {
  boot_ = Boot(machine_, watchdog_);
  entry_.Look();
  if (entry_.state() == EntryState::kTrial) trial_until_ns_ = machine_.Now() + kTrialNs;
}

int MachineDuties::Healthy() {
  int error = entry_.Bless();
  // What cannot be called good because the loader is confused is no reason to go back.
  if (entry_.state() != EntryState::kTrial) trial_until_ns_ = Os::kNever;
  return error;
}

int MachineDuties::SetWatchdog(int64_t* timeout_ns) { return watchdog_.SetTimeout(timeout_ns); }

void MachineDuties::Tell(BootReply* reply) const {
  *reply = {};
  reply->owns_kernel = boot_.owns_kernel;
  reply->state = static_cast<uint8_t>(boot_.state.state);
  reply->data = static_cast<uint8_t>(boot_.data.state);
  reply->entry = static_cast<uint8_t>(entry_.state());
  reply->watchdog = watchdog_.armed();
  reply->clock_raised = boot_.clock_raised;
  reply->installer = boot_.installer;
  reply->failed_steps = static_cast<uint16_t>(boot_.failed_steps);
  reply->state_error = boot_.state.error;
  reply->data_error = boot_.data.error;
  reply->entry_error = entry_.error();
  CopyText(reply->state_reason, sizeof reply->state_reason, boot_.state.reason);
  CopyText(reply->data_reason, sizeof reply->data_reason, boot_.data.reason);
  CopyText(reply->entry_reason, sizeof reply->entry_reason, entry_.reason());
}

const char* MachineDuties::OnTime(int64_t sign_ns) {
  watchdog_.OnTime(sign_ns);
  // In a container there is nothing that a restart of the machine could mend.
  if (!boot_.owns_kernel) return nullptr;
  if (watchdog_.lost(sign_ns)) return "noded gives no sign of life: the machine restarts";
  if (machine_.Now() < trial_until_ns_) return nullptr;
  trial_until_ns_ = Os::kNever;  // said once: the end has deadlines of its own
  return "nobody called this trial boot good: back to the last";
}

int64_t MachineDuties::NextDeadline(int64_t sign_ns) const {
  if (!boot_.owns_kernel) return Os::kNever;
  int64_t next = watchdog_.NextDeadline(sign_ns);
  return next < trial_until_ns_ ? next : trial_until_ns_;
}

}  // namespace basalt::init
