// Who comes in: the same document again, a key that was used before, a dry run, a second document
// while one is pending.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/engine/apply_machine.h"

namespace basalt::engine {
namespace {

constexpr size_t kMaxKeys = 256;

// Of a caller that went away.
class Nobody : public ApplyWatcher {
 public:
  void OnEvent(const v1::ApplyEvent&) override {}
  void OnError(const absl::Status&) override {}
};

std::string KeyOf(const Submission& submission) {
  const std::string& key = submission.request.idempotency_key();
  if (key.empty()) return "";
  return absl::StrCat(submission.caller.authenticated ? "certificate" : "anonymous", "/", key);
}

}  // namespace

void ApplyMachine::Submit(Submission submission) {
  const CheckedDocument& checked = submission.checked;
  if (!checked.status.ok()) {
    submission.watcher->OnError(checked.status);
    return;
  }
  const std::string digest = checked.document->digest().Hex();
  if (submission.request.dry_run()) {
    DryRun(submission);
    return;
  }
  if (state_.journal.ledger().resetting()) {
    submission.watcher->OnError(
        api::Coded(absl::StatusCode::kFailedPrecondition, "resetting",
                   "the node is being reset: what it took now would be gone with the rest",
                   "apply it when the reset is done; nodectl status shows when"));
    return;
  }
  if (AnswerByKey(submission, digest) || AnswerAtOnce(submission, digest)) return;

  if (pending_ != nullptr || next_) {
    if (!submission.request.supersede()) {
      submission.watcher->OnError(
          api::Coded(absl::StatusCode::kFailedPrecondition, "pending",
                     absl::StrCat("another document is being applied: generation ",
                                  pending_ == nullptr ? 0 : pending_->entry.generation()),
                     "wait for it, cancel it (nodectl cancel), or apply with --supersede"));
      return;
    }
    if (!submission.caller.Has(v1::ROLE_OPERATOR)) {
      submission.watcher->OnError(api::Coded(
          absl::StatusCode::kPermissionDenied, "supersede-needs-operator",
          "only an operator may end a pending document", "use a certificate with that role"));
      return;
    }
    if (next_) {
      submission.watcher->OnError(api::Coded(absl::StatusCode::kFailedPrecondition, "pending",
                                             "another document supersedes the pending one already",
                                             "wait for it"));
      return;
    }
    // Refused documents must not end a good one: admit it against what is committed first.
    absl::StatusOr<Admitted> admitted = Admit(state_, controllers_, checked);
    absl::Status status = admitted.ok() ? CheckImplemented(admitted->plan) : admitted.status();
    if (!status.ok()) {
      submission.watcher->OnError(status);
      return;
    }
    next_ = std::move(submission);
    // One that goes back already keeps its own reason.
    if (pending_->state != v1::APPLY_STATE_REVERTING &&
        pending_->state != v1::APPLY_STATE_REVERT_FAILED) {
      pending_->hint = "";
      pending_->code = "superseded";
      pending_->message = "an operator sent another document";
    }
    // Ignoring the reply: whatever state it is in, its end lets the next one in.
    Cancel("").IgnoreError();
    return;
  }
  absl::StatusOr<Admitted> admitted = Admit(state_, controllers_, checked);
  if (!admitted.ok()) {
    submission.watcher->OnError(admitted.status());
    return;
  }
  if (absl::Status status = CheckImplemented(admitted->plan); !status.ok()) {
    submission.watcher->OnError(status);
    return;
  }
  Begin(std::move(submission), *std::move(admitted));
}

// What runs already, or is on its way.
bool ApplyMachine::AnswerAtOnce(const Submission& submission, const std::string& digest) {
  if (pending_ != nullptr && pending_->entry.digest() == digest && !pending_->told) {
    Attach(submission);
    return true;
  }
  if (pending_ != nullptr && pending_->entry.digest() == digest &&
      pending_->state == v1::APPLY_STATE_STAGED) {
    v1::ApplyEvent event = Event();
    event.set_final(true);
    event.set_message("staged: takes effect at the next boot");
    submission.watcher->OnEvent(event);
    return true;
  }
  if (state_.committed == nullptr || state_.committed->digest() != digest) return false;
  v1::ApplyEvent event;
  event.set_state(v1::APPLY_STATE_COMMITTED);
  event.set_message("this document is what runs");
  event.set_digest(absl::StrCat("sha256:", digest));
  event.set_generation(state_.committed->stored.entry().generation());
  event.mutable_time()->set_seconds(state_.Unix());
  event.set_final(true);
  event.set_unchanged(true);
  submission.watcher->OnEvent(event);
  return true;
}

bool ApplyMachine::AnswerByKey(const Submission& submission, const std::string& digest) {
  std::string key = KeyOf(submission);
  if (key.empty()) return false;
  auto it = keys_.find(key);
  if (it == keys_.end()) return false;
  if (it->second.digest != digest) {
    submission.watcher->OnError(
        api::Coded(absl::StatusCode::kInvalidArgument, "idempotency-key-reused",
                   "the idempotency key was used with another document", "use a new key"));
    return true;
  }
  if (!it->second.end) return false;
  submission.watcher->OnEvent(*it->second.end);
  return true;
}

void ApplyMachine::DryRun(const Submission& submission) {
  v1::ApplyEvent event;
  event.set_state(v1::APPLY_STATE_PLANNED);
  event.set_digest(submission.checked.document->digest().ToString());
  event.mutable_time()->set_seconds(state_.Unix());
  event.set_final(true);
  event.set_message("dry run: nothing was changed");
  if (submission.checked.config == nullptr) {  // what runs
    event.set_generation(state_.committed->stored.entry().generation());
    event.mutable_plan()->set_digest(event.digest());
    event.mutable_plan()->set_unchanged(true);
    event.mutable_plan()->set_effect(v1::EFFECT_NONE);
    event.set_unchanged(true);
    submission.watcher->OnEvent(event);
    return;
  }
  absl::StatusOr<Admitted> admitted = Admit(state_, controllers_, submission.checked);
  if (!admitted.ok()) {
    submission.watcher->OnError(admitted.status());
    return;
  }
  event.set_generation(submission.checked.config->metadata().generation());
  if (!submission.caller.Has(v1::ROLE_READER)) BlankOldValues(admitted->plan);
  event.set_unchanged(admitted->plan.unchanged());
  *event.mutable_plan() = admitted->plan;
  submission.watcher->OnEvent(event);
}

void ApplyMachine::Attach(const Submission& submission) {
  pending_->watchers.push_back(submission.watcher);
  pending_->connections.insert(submission.caller.connection);
  v1::ApplyEvent event = Event();
  event.set_message("this document is being applied");
  submission.watcher->OnEvent(event);
}

void ApplyMachine::Detach(const std::shared_ptr<ApplyWatcher>& watcher) {
  if (pending_ != nullptr) std::erase(pending_->watchers, watcher);
  // What it superseded is on its way out already: without the new document nothing would come of
  // either.
  if (next_ && next_->watcher == watcher) next_->watcher = std::make_shared<Nobody>();
}

void ApplyMachine::Begin(Submission submission, Admitted admitted) {
  const CheckedDocument& checked = submission.checked;
  const v1::Metadata& metadata = checked.config->metadata();
  auto target = std::make_shared<LoadedGeneration>();
  target->config = admitted.config;
  stored::Entry& entry = *target->stored.mutable_entry();
  entry.set_digest(checked.document->digest().Hex());
  entry.set_epoch(metadata.epoch());
  entry.set_generation(metadata.generation());
  entry.set_state(v1::APPLY_STATE_PERSISTED);
  entry.set_accepted_unix(state_.Unix());
  for (const sign::Signer& signer : checked.document->signers()) entry.add_signers(signer.name);
  entry.set_reason(metadata.reason());
  const Caller& caller = submission.caller;
  entry.set_delivered_by(caller.found           ? absl::StrCat("found: ", caller.peer)
                         : caller.authenticated ? absl::StrCat(caller.name, " ", caller.peer)
                                                : absl::StrCat("anonymous ", caller.peer));
  // Bounded: a first config names every field that it has.
  size_t paths = std::min<size_t>(admitted.changed_paths.size(), 64);
  for (size_t i = 0; i < paths; ++i) entry.add_changed_paths(admitted.changed_paths[i]);
  *target->stored.mutable_document() = checked.document->document();
  target->stored.set_trust_version(checked.trust_version);
  absl::Time signed_at;
  if (absl::ParseTime(absl::RFC3339_full, metadata.signed_at(), &signed_at, nullptr)) {
    target->stored.set_signed_at_unix(absl::ToUnixSeconds(signed_at));
  }
  if (state_.committed != nullptr) target->stored.set_base_digest(state_.committed->digest());

  auto pending = std::make_unique<Pending>();
  pending->entry = entry;
  pending->target = std::move(target);
  pending->plan = std::move(admitted.plan);
  if (!caller.Has(v1::ROLE_READER)) BlankOldValues(pending->plan);
  pending->touches_api = admitted.touches_api;
  pending->watchers = {submission.watcher};
  pending->connections = {caller.connection};
  pending->has_caller = !caller.found;
  pending->key = KeyOf(submission);
  if (!pending->key.empty()) {
    if (keys_.emplace(pending->key, Remembered{entry.digest(), std::nullopt}).second) {
      key_order_.push_back(pending->key);
    }
    if (key_order_.size() > kMaxKeys) {
      keys_.erase(key_order_.front());
      key_order_.erase(key_order_.begin());
    }
  }
  pending_ = std::move(pending);
  pending_->state = v1::APPLY_STATE_RECEIVED;
  StartPrepare();
}

}  // namespace basalt::engine
