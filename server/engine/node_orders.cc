// Orders that are not configs: trust, and signed actions.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/validate/validate.h"
#include "server/engine/node_impl.h"

namespace basalt::engine {

// Admitted: its times parse.
stored::UsedAction Used(const std::string& digest, const v1::Action& action, absl::Time now) {
  stored::UsedAction used;
  used.set_digest(digest);
  absl::ParseTime(absl::RFC3339_full, action.not_after(), &now, nullptr);
  used.set_not_after_unix(absl::ToUnixSeconds(now));
  return used;
}

// Takes effect at once and is never reverted. A chain is a few signatures: it is checked in the
// pool against a copy, and by the store again before it is kept.
void NodeImpl::ApplyTrust(const Caller& caller, v1::ApplyTrustRequest request,
                          Reply<v1::ApplyTrustReply> reply) {
  auto chain = std::make_shared<const v1::TrustChain>(request.chain());
  if (!quota_.Take(ShareOf(caller))) {
    reply(api::Coded(absl::StatusCode::kResourceExhausted, "busy",
                     "the node checks as many documents as it may", "try again in a moment"));
    return;
  }
  deps_.executor.Post([this, chain, reply, share = ShareOf(caller)] {
    auto current = std::make_shared<const sign::VerifiedChain>(deps_.trust.chain());
    auto checked = std::make_shared<absl::Status>();
    bool queued = deps_.executor.RunBlocking(
        [chain, current, checked] { *checked = sign::ExtendChain(*current, *chain).status(); },
        [this, chain, checked, reply, share] {
          quota_.Give(share);
          absl::StatusOr<bool> fresh =
              checked->ok() ? deps_.trust.Update(*chain) : absl::StatusOr<bool>(*checked);
          if (!fresh.ok()) {
            reply(fresh.status());
            return;
          }
          if (*fresh) {
            CheckCommittedSigners(*state_);
            Publish();
          }
          v1::ApplyTrustReply out;
          out.set_version(deps_.trust.policy().version());
          out.set_epoch(deps_.trust.policy().epoch());
          out.set_unchanged(!*fresh);
          reply(std::move(out));
        });
    if (queued) return;
    quota_.Give(share);
    reply(api::Coded(absl::StatusCode::kResourceExhausted, "busy",
                     "the node checks as many documents as it may", "try again in a moment"));
  });
}

void NodeImpl::ApplyAction(const Caller& caller, v1::ApplyActionRequest request,
                           Reply<v1::ApplyActionReply> reply) {
  struct Checked {
    absl::StatusOr<sign::VerifiedDocument> document = absl::UnknownError("not checked");
    absl::StatusOr<v1::Action> action = absl::UnknownError("not checked");
  };
  std::shared_ptr<const Snapshot> snapshot = box_.Get();
  if (!quota_.Take(ShareOf(caller))) {
    reply(api::Coded(absl::StatusCode::kResourceExhausted, "busy",
                     "the node checks as many documents as it may", "try again in a moment"));
    return;
  }
  auto document = std::make_shared<const v1::SignedDocument>(request.document());
  auto checked = std::make_shared<Checked>();
  bool queued = deps_.executor.RunBlocking(
      [snapshot, document, checked, authenticated = caller.authenticated] {
        checked->document =
            VerifyFor(*document, v1::DOCUMENT_TYPE_ACTION, *snapshot->trust, authenticated);
        if (!checked->document.ok()) return;
        checked->action = validate::LoadAction(checked->document->payload(), "");
      },
      [this, checked, snapshot, document, caller, reply] {
        quota_.Give(ShareOf(caller));
        if (snapshot->trust->version() != deps_.trust.policy().version()) {
          v1::ApplyActionRequest again;
          *again.mutable_document() = *document;
          ApplyAction(caller, std::move(again), reply);
          return;
        }
        absl::Status status =
            checked->document.ok() ? checked->action.status() : checked->document.status();
        if (status.ok()) status = sign::AdmitAction(*checked->action, Facts(*state_));
        if (status.ok()) {
          status = sign::AuthorizeAction(deps_.trust.policy(), checked->document->signers(),
                                         *checked->action);
        }
        if (status.ok()) {
          status = AuthorizeForgetting(deps_.trust.policy(), checked->document->signers(),
                                       *checked->action);
        }
        if (!status.ok()) {
          reply(status);
          return;
        }
        std::string digest = checked->document->digest().Hex();
        for (const stored::UsedAction& used : state_->journal.ledger().used_actions()) {
          if (used.digest() != digest) continue;
          reply(api::Coded(absl::StatusCode::kFailedPrecondition, "action-used",
                           "this action was obeyed once already", "sign a new one"));
          return;
        }
        if (checked->action->verb() == "imageRollback" && deps_.roll_back_image) {
          RollBackImage(digest, *checked->action, reply);
          return;
        }
        if (checked->action->verb() == "wipe" && deps_.machine_orders != nullptr) {
          Wipe(digest, *checked->action, reply);
          return;
        }
        if (checked->action->verb() != "reset") {
          reply(api::Coded(absl::StatusCode::kUnimplemented, "unimplemented-on-platform",
                           absl::StrCat("the ", deps_.platform.name(), " platform cannot ",
                                        checked->action->verb())));
          return;
        }
        Reset(digest, *checked->action, reply);
      });
  if (queued) return;
  quota_.Give(ShareOf(caller));
  reply(api::Coded(absl::StatusCode::kResourceExhausted, "busy",
                   "the node checks as many documents as it may", "try again in a moment"));
}

absl::Status NodeImpl::CheckIdle() const {
  if (machine_->pending() == nullptr && !state_->journal.ledger().resetting()) {
    return absl::OkStatus();
  }
  return api::Coded(absl::StatusCode::kFailedPrecondition, "pending", "a document is being applied",
                    "cancel it first: nodectl cancel");
}

// Obeyed once, whatever comes of it: the order is in the journal before the loader is told.
void NodeImpl::RollBackImage(const std::string& digest, const v1::Action& action,
                             Reply<v1::ApplyActionReply> reply) {
  if (absl::Status idle = CheckIdle(); !idle.ok()) return reply(idle);
  stored::Record record;
  record.set_unix(state_->Unix());
  *record.mutable_action_used() = Used(digest, action, deps_.clock.Now());
  if (absl::Status status = state_->journal.Write(record, /*sync=*/true); !status.ok()) {
    return reply(status);
  }
  deps_.roll_back_image(action, [this, reply](absl::Status status) {
    if (!status.ok()) return reply(api::Annotate(status, "the order is used up"));
    v1::ApplyActionReply out;
    out.set_message("the machine restarts with the image in the other slot");
    reply(std::move(out));
    deps_.executor.After(kFarewell, [this] {
      if (absl::Status ended = deps_.platform.Reboot(); !ended.ok()) {
        state_->Alarm("RebootFailed", "EndMachine", std::string(ended.message()));
        Publish();
      }
    });
  });
}

}  // namespace basalt::engine
