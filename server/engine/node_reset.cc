// The orders that take things away: reset and wipe. Each is in the journal before anything is, so
// that a cut in between is followed by the rest of it at the next start, and none is obeyed twice.
//
//   reset of files        ends K3s, erases what controllers keep, the generations: the node runs on
//   reset of partitions   ends K3s, lays down what outlives STATE, marks the partitions, restarts;
//                         noded-init makes them anew (server/init/boot/volume.h)
//   wipe                  of a disk or volume that the node does not use, while it runs
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"
#include "server/engine/floor_text.h"
#include "server/engine/node_impl.h"

namespace basalt::engine {
namespace {

constexpr absl::Duration kAgain = absl::Seconds(30);

stored::Reset ToStored(const ResetSpec& spec) {
  stored::Reset out;
  out.set_state(spec.state);
  out.set_data(spec.data);
  out.set_forget_trust(spec.forget_trust);
  out.set_graceful(spec.graceful);
  out.set_method(static_cast<int>(spec.method));
  out.set_then(static_cast<int>(spec.then));
  return out;
}

ResetSpec FromStored(const stored::Ledger& ledger) {
  ResetSpec spec;  // of a journal of an older release: of files
  if (!ledger.has_reset()) return spec;
  const stored::Reset& reset = ledger.reset();
  spec.state = reset.state();
  spec.data = reset.data();
  spec.forget_trust = reset.forget_trust();
  spec.graceful = reset.graceful();
  spec.method = static_cast<WipeMethod>(reset.method());
  spec.then = static_cast<AfterReset>(reset.then());
  return spec;
}

std::string Promise(const ResetSpec& spec) {
  const std::string what = spec.state && spec.data ? "STATE and DATA are"
                           : spec.state            ? "STATE is"
                                                   : "DATA is";
  return absl::StrCat(
      what, " made anew at the next boot (", ToString(spec.method), "); ",
      spec.keeps_config() ? "identity, trust and config stay"
      : !spec.state       ? ""
      : spec.forget_trust ? "identity, trust, epoch and floor go with it"
                          : "the identity goes with it; trust, epoch and floor stay",
      spec.then == AfterReset::kPowerOff ? "; the machine powers off" : "; the machine restarts");
}

}  // namespace

absl::Status AuthorizeForgetting(const v1::TrustPolicy& policy,
                                 const std::vector<sign::Signer>& signers,
                                 const v1::Action& action) {
  if (action.verb() != "reset") return absl::OkStatus();
  absl::StatusOr<ResetSpec> spec = ParseResetSpec(action);
  if (!spec.ok()) return spec.status();
  if (!spec->forget_trust) return absl::OkStatus();
  v1::Action forgetting = action;
  forgetting.set_verb("forgetTrust");
  return sign::AuthorizeAction(policy, signers, forgetting);
}

void NodeImpl::Reset(const std::string& digest, const v1::Action& action,
                     Reply<v1::ApplyActionReply> reply) {
  if (absl::Status idle = CheckIdle(); !idle.ok()) return reply(idle);
  absl::StatusOr<ResetSpec> spec = ParseResetSpec(action);
  if (!spec.ok()) return reply(spec.status());
  if (!spec->partitions() && spec->then == AfterReset::kStay) {
    return BeginReset(digest, action, *spec, std::move(reply));
  }
  if (deps_.machine_orders == nullptr) {
    return reply(api::Coded(absl::StatusCode::kUnimplemented, "unimplemented-on-platform",
                            absl::StrCat("the ", deps_.platform.name(),
                                         " platform has no partitions and no power of its own"),
                            "a reset without these words erases the node's files"));
  }
  deps_.machine_orders->CheckReset(
      *spec, [this, digest, action, spec = *spec, reply](absl::Status status) {
        if (status.ok()) status = CheckIdle();  // it may have taken a while
        if (!status.ok()) return reply(status);
        BeginReset(digest, action, spec, reply);
      });
}

void NodeImpl::BeginReset(const std::string& digest, const v1::Action& action,
                          const ResetSpec& spec, Reply<v1::ApplyActionReply> reply) {
  stored::Record record;
  record.set_unix(state_->Unix());
  *record.mutable_action_begun() = Used(digest, action, deps_.clock.Now());
  *record.mutable_floor() = state_->floor;
  if (!(spec == ResetSpec())) *record.mutable_reset() = ToStored(spec);
  if (absl::Status status = state_->journal.Write(record, /*sync=*/true); !status.ok()) {
    reply(status);
    return;
  }
  absl::Time signed_at;
  if (absl::ParseTime(absl::RFC3339_full, action.signed_at(), &signed_at, nullptr)) {
    state_->time_floor = std::max(state_->time_floor, signed_at);
  }
  if (!spec.partitions()) return FinishReset(std::move(reply));
  // Answered before it is done: the network goes with the config, and then the machine.
  state_->Alarm("Resetting", "Ordered", Promise(spec));
  Publish();
  v1::ApplyActionReply out;
  out.set_message(Promise(spec));
  reply(std::move(out));
  deps_.executor.After(kFarewell, [this] { FinishReset([](auto) {}); });
}

void NodeImpl::FinishReset(Reply<v1::ApplyActionReply> reply) {
  const ResetSpec spec = FromStored(state_->journal.ledger());
  machine_->ForgetConverge();
  state_->committed.reset();
  state_->previous.reset();
  if (!spec.graceful) {
    return spec.partitions() ? MarkPartitions(spec)
                             : controllers_.Erase([this, reply](absl::Status erased) {
                                 AfterErase(std::move(erased), reply);
                               });
  }
  controllers_.Execute(nullptr, [this, spec, reply](absl::Status status) {
    if (spec.partitions()) {
      // A partition that is made anew does not wait for K3s to have ended well.
      if (!status.ok()) state_->Alarm("Resetting", "NotGraceful", std::string(status.message()));
      return MarkPartitions(spec);
    }
    if (!status.ok()) return AfterErase(std::move(status), reply);
    controllers_.Erase(
        [this, reply](absl::Status erased) { AfterErase(std::move(erased), reply); });
  });
}

void NodeImpl::MarkPartitions(const ResetSpec& spec) {
  if (deps_.machine_orders == nullptr) return;  // a journal that was carried to a sandbox
  Carried carried;
  if (spec.state && !spec.forget_trust) {
    carried.trust = sign::ChainToJson(deps_.trust.chain().chain);
    carried.floor = FloorToText(state_->floor, state_->time_floor);
  }
  deps_.machine_orders->MarkReset(spec, carried, [this, spec](absl::Status status) {
    const std::string before = state_->journal.ledger().reset().marked_boot_id();
    const std::string boot = deps_.clock.BootId();
    if (status.ok()) {
      stored::Record record;
      record.set_unix(state_->Unix());
      record.set_reset_marked(boot);
      status = state_->journal.Write(record, /*sync=*/true);
    }
    if (!status.ok()) {
      state_->Alarm("ResetFailed", "Retrying", std::string(status.message()));
      Publish();
      deps_.executor.After(kAgain, [this] { FinishReset([](auto) {}); });
      return;
    }
    if (!before.empty() && before != boot) {
      // A boot has failed to do it. Another one is a person's to order: no loop of restarts.
      state_->Alarm(
          "ResetFailed", "NotMadeAnew",
          absl::StrCat("the boot could not make the partitions anew: ",
                       deps_.machine_orders->BootFailure(), "; it is tried again at the next one"));
      Publish();
      return;
    }
    EndMachine(spec.then);
  });
}

void NodeImpl::EndMachine(AfterReset then) {
  absl::Status status = then == AfterReset::kPowerOff ? deps_.machine_orders->PowerOff()
                        : then == AfterReset::kReboot ? deps_.platform.Reboot()
                                                      : absl::OkStatus();
  if (status.ok()) return;
  state_->Alarm("RebootFailed", "EndMachine", std::string(status.message()));
  Publish();
}

// What a start finds of a reset.
void NodeImpl::ResumeReset() {
  const ResetSpec spec = FromStored(state_->journal.ledger());
  const std::string& marked = state_->journal.ledger().reset().marked_boot_id();
  const bool done = spec.keeps_config() && deps_.machine_orders != nullptr &&
                    deps_.machine_orders->DataIsNew() && !marked.empty() &&
                    marked != deps_.clock.BootId();
  if (done) {
    stored::Record record;
    record.set_unix(state_->Unix());
    record.set_reset_done(true);
    record.set_keeps_config(true);
    if (state_->journal.Write(record, /*sync=*/true).ok()) {
      LoadCommitted(*state_);
      return machine_->Recover();
    }
  }
  LoadFloors(*state_);
  FinishReset([](auto) {});
}

void NodeImpl::AfterErase(absl::Status status, const Reply<v1::ApplyActionReply>& reply) {
  const AfterReset then = FromStored(state_->journal.ledger()).then;
  if (status.ok()) status = state_->store.RemoveAll();
  if (status.ok()) {
    stored::Record record;
    record.set_unix(state_->Unix());
    record.set_reset_done(true);
    status = state_->journal.Write(record, /*sync=*/true);
  }
  if (!status.ok()) {
    state_->Alarm("ResetFailed", "Retrying", std::string(status.message()));
    deps_.executor.After(kAgain, [this] { FinishReset([](auto) {}); });
    Publish();
    reply(api::Annotate(status, "the reset has begun and is tried again"));
    return;
  }
  state_->alarms.clear();
  Publish();
  v1::ApplyActionReply out;
  out.set_message(absl::StrCat(
      "the node has no config; its K3s and data are gone; trust, epoch and floor are kept",
      then == AfterReset::kReboot     ? "; the machine restarts"
      : then == AfterReset::kPowerOff ? "; the machine powers off"
                                      : ""));
  reply(std::move(out));
  deps_.executor.After(kFarewell, [this, then] {
    if (then != AfterReset::kStay) return EndMachine(then);
    // A document that came meanwhile brings its own policy.
    if (machine_->pending() != nullptr || state_->committed_config() != nullptr) return;
    if (absl::Status closed = deps_.set_api_policy(ApiPolicy()); !closed.ok()) {
      state_->Alarm("ResetFailed", "ApiPolicy", std::string(closed.message()));
      Publish();
    }
  });
}

void NodeImpl::Wipe(const std::string& digest, const v1::Action& action,
                    Reply<v1::ApplyActionReply> reply) {
  if (absl::Status idle = CheckIdle(); !idle.ok()) return reply(idle);
  absl::StatusOr<WipeSpec> spec = ParseWipeSpec(action);
  if (!spec.ok()) return reply(spec.status());
  if (wiping_ || state_->journal.ledger().has_wipe()) {
    return reply(api::Coded(absl::StatusCode::kFailedPrecondition, "wiping",
                            "another wipe is under way", "one at a time: nodectl status shows it"));
  }
  stored::Record record;
  record.set_unix(state_->Unix());
  *record.mutable_used() = Used(digest, action, deps_.clock.Now());
  record.mutable_wipe_begun()->set_digest(digest);
  for (const auto& [name, value] : action.arguments()) {
    (*record.mutable_wipe_begun()->mutable_arguments())[name] = value;
  }
  RunWipe(
      *spec,
      [this, record, reply](const std::string& what) {
        if (absl::Status written = state_->journal.Write(record, /*sync=*/true); !written.ok()) {
          return written;
        }
        v1::ApplyActionReply out;
        out.set_message(absl::StrCat("wiping ", what));
        reply(std::move(out));
        return absl::OkStatus();
      },
      reply);
}

// What a start finds of a wipe: from the begin again, which harms nothing.
void NodeImpl::ResumeWipe() {
  const stored::Ledger& ledger = state_->journal.ledger();
  if (!ledger.has_wipe() || deps_.machine_orders == nullptr) return;
  v1::Action action;
  *action.mutable_arguments() = ledger.wipe().arguments();
  absl::StatusOr<WipeSpec> spec = ParseWipeSpec(action);
  if (!spec.ok()) return;  // this noded does not know that word
  RunWipe(
      *spec, [](const std::string&) { return absl::OkStatus(); }, [](auto) {});
}

void NodeImpl::RunWipe(const WipeSpec& spec,
                       std::function<absl::Status(const std::string& what)> begun,
                       Reply<v1::ApplyActionReply> refused) {
  wiping_ = true;
  auto what = std::make_shared<std::string>();
  deps_.machine_orders->Wipe(
      spec,
      [this, what, begun = std::move(begun)](const std::string& found) {
        *what = found;
        absl::Status status = begun(found);
        if (!status.ok()) return status;
        state_->ClearAlarm("WipeFailed");
        state_->Alarm("Wiping", "0%", found);
        Publish();
        return absl::OkStatus();
      },
      [this, what](int percent) {
        state_->Alarm("Wiping", absl::StrCat(percent, "%"), *what);
        Publish();
      },
      [this, what, refused = std::move(refused)](absl::StatusOr<std::string> done) {
        wiping_ = false;
        state_->ClearAlarm("Wiping");
        const bool had_begun = state_->journal.ledger().has_wipe();
        if (!done.ok() && !had_begun) return refused(done.status());
        if (!done.ok()) {
          // Not tried again by itself: the order is used up, and the disk says what it holds.
          state_->Alarm("WipeFailed", "Failed", absl::StrCat(*what, ": ", done.status().message()));
        }
        stored::Record record;
        record.set_unix(state_->Unix());
        record.set_wipe_done(true);
        if (absl::Status status = state_->journal.Write(record, true); !status.ok()) {
          state_->Alarm("StateNotDurable", "WriteFailed", std::string(status.message()));
        }
        Publish();
      });
}

}  // namespace basalt::engine
