#include "server/engine/node.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/validate/validate.h"
#include "server/engine/node_impl.h"

namespace basalt::engine {
namespace {

// The address without the port.
std::string Source(const std::string& peer) {
  size_t colon = peer.rfind(':');
  if (colon == std::string::npos) return peer;
  bool bracketed = colon > 0 && peer[colon - 1] == ']';
  bool single = peer.find(':') == colon;
  bool prefixed = absl::StartsWith(peer, "ipv4:") || absl::StartsWith(peer, "ipv6:");
  return bracketed || single || prefixed ? peer.substr(0, colon) : peer;
}

absl::Status Busy() {
  return api::Coded(absl::StatusCode::kResourceExhausted, "busy",
                    "the node checks as many documents as it may", "try again in a moment");
}

}  // namespace

std::unique_ptr<Node> MakeNode(NodeDeps deps) {
  return std::make_unique<NodeImpl>(std::move(deps));
}

std::string ShareOf(const Caller& caller) {
  return caller.source.empty() ? Source(caller.peer) : caller.source;
}

bool SourceQuota::Take(const std::string& share) {
  std::lock_guard lock(mu_);
  int& taken = taken_[share];
  if (taken >= kPerSource) return false;
  ++taken;
  return true;
}

void SourceQuota::Give(const std::string& share) {
  std::lock_guard lock(mu_);
  auto it = taken_.find(share);
  if (it != taken_.end() && --it->second == 0) taken_.erase(it);
}

NodeImpl::NodeImpl(NodeDeps deps) : deps_(std::move(deps)), controllers_(deps_.controllers) {
  // Nothing listens before Start has returned: what is served first is api_policy() then.
  deps_.set_api_policy = [this, real = std::move(deps_.set_api_policy)](const ApiPolicy& policy) {
    return started_ ? real(policy) : absl::OkStatus();
  };
}

absl::Status NodeImpl::Start() {
  const std::string& dir = deps_.platform.paths().state;
  if (absl::Status status = deps_.vfs.MakeDirs(dir); !status.ok()) return status;
  // A compaction that a cut interrupted.
  deps_.vfs.Remove(absl::StrCat(dir, "/", host::kTempPrefix, "journal")).IgnoreError();
  absl::StatusOr<Journal> journal = Journal::Open(deps_.vfs, absl::StrCat(dir, "/journal"));
  if (!journal.ok()) return journal.status();
  GenerationStore store(deps_.vfs, absl::StrCat(dir, "/generations"));
  if (absl::Status status = store.Open(); !status.ok()) return status;
  state_ = std::make_unique<NodeState>(
      NodeState{.deps = deps_, .journal = *std::move(journal), .store = std::move(store)});
  if (!state_->journal.ledger().resetting()) LoadCommitted(*state_);
  CheckCommittedSigners(*state_);
  CheckCommittedSecrets(*state_);
  CheckMediumKey(*state_);
  if (!deps_.sealing.warning().empty()) {
    state_->Alarm("SealingKeyReplaced", "Damaged", deps_.sealing.warning());
  }
  machine_ = std::make_unique<ApplyMachine>(*state_, controllers_, [this] { Publish(); });
  publisher_ = std::make_unique<Publisher>(*state_, *machine_, controllers_, box_);
  // Posted: a controller may say so from inside an execute, which is no place to decide in.
  controllers_.SetOnChange([this] { OnServiceEvents(); });
  if (state_->journal.ledger().resetting()) {
    LoadFloors(*state_);
    FinishReset([](auto) {});
  } else {
    machine_->Recover();
  }
  Publish();
  started_ = true;
  return absl::OkStatus();
}

void NodeImpl::OnServiceEvents() {
  if (std::exchange(refresh_posted_, true)) return;
  deps_.executor.Post([this] {
    refresh_posted_ = false;
    machine_->OnObservation();
  });
}

void NodeImpl::Tell(const std::string& type, const std::string& reason,
                    const std::string& message) {
  if (reason.empty()) {
    state_->ClearAlarm(type);
  } else {
    state_->Alarm(type, reason, message);
  }
  Publish();
}

template <typename T>
void NodeImpl::Check(const Caller& caller, std::function<T()> work, std::function<void(T)> decide,
                     std::function<void(absl::Status)> refused) {
  if (!quota_.Take(ShareOf(caller))) {
    refused(Busy());
    return;
  }
  auto result = std::make_shared<std::optional<T>>();
  bool queued = deps_.executor.RunBlocking(
      [result, work = std::move(work)] { *result = work(); },
      [this, result, share = ShareOf(caller), decide = std::move(decide)] {
        quota_.Give(share);
        decide(std::move(**result));
      });
  if (queued) return;
  quota_.Give(ShareOf(caller));
  refused(Busy());
}

void NodeImpl::Apply(const Caller& caller, v1::ApplyRequest request,
                     std::shared_ptr<ApplyWatcher> watcher) {
  if (request.idempotency_key().size() > 64) {
    watcher->OnError(api::Coded(absl::StatusCode::kInvalidArgument, "idempotency-key-too-long",
                                "an idempotency key has at most 64 bytes"));
    return;
  }
  std::shared_ptr<const Snapshot> snapshot = box_.Get();
  auto shared = std::make_shared<v1::ApplyRequest>(std::move(request));
  Check<CheckedDocument>(
      caller,
      // What was found is refused on the node's own console: the cause is told there.
      [snapshot, shared, authenticated = caller.authenticated || caller.found] {
        return CheckDocument(shared->document(), *snapshot->trust, authenticated,
                             snapshot->committed_digest);
      },
      [this, caller, shared, watcher](CheckedDocument checked) {
        bool in_force = state_->committed != nullptr && checked.document.has_value() &&
                        state_->committed->digest() == checked.document->digest().Hex();
        // Trust, or what is in force, changed while the pool was at it: once more, against today's.
        if (checked.trust_version != deps_.trust.policy().version() ||
            (checked.status.ok() && checked.config == nullptr && !in_force)) {
          Apply(caller, std::move(*shared), watcher);
          return;
        }
        machine_->Submit({caller, std::move(*shared), watcher, std::move(checked)});
      },
      [watcher](absl::Status status) { watcher->OnError(status); });
}

void NodeImpl::Detach(const std::shared_ptr<ApplyWatcher>& watcher) {
  deps_.executor.Post([this, watcher] { machine_->Detach(watcher); });
}

void NodeImpl::Plan(const Caller& caller, v1::PlanRequest request, Reply<v1::PlanReply> reply) {
  std::shared_ptr<const Snapshot> snapshot = box_.Get();
  auto shared = std::make_shared<v1::PlanRequest>(std::move(request));
  auto refused = [reply](absl::Status status) { reply(std::move(status)); };
  if (shared->has_signed_()) {
    Check<CheckedDocument>(
        caller,
        [snapshot, shared, authenticated = caller.authenticated] {
          return CheckDocument(shared->signed_(), *snapshot->trust, authenticated,
                               snapshot->committed_digest);
        },
        [this, caller, reply](CheckedDocument checked) {
          if (!checked.status.ok()) {
            reply(checked.status);
            return;
          }
          if (checked.config == nullptr) {
            v1::PlanReply same;
            same.set_digest(checked.document->digest().ToString());
            same.set_unchanged(true);
            same.set_effect(v1::EFFECT_NONE);
            same.set_base_digest(same.digest());
            same.set_base_generation(box_.Get()->committed_generation);
            reply(std::move(same));
            return;
          }
          absl::StatusOr<Admitted> admitted = Admit(*state_, controllers_, checked);
          if (!admitted.ok()) {
            reply(admitted.status());
            return;
          }
          if (!caller.Has(v1::ROLE_READER)) BlankOldValues(admitted->plan);
          reply(std::move(admitted->plan));
        },
        refused);
    return;
  }
  if (!caller.Has(v1::ROLE_READER)) {
    reply(api::Coded(absl::StatusCode::kPermissionDenied, "reader-needed",
                     "comparing an unsigned source with what runs needs the role reader",
                     "sign it, or use a certificate with that role"));
    return;
  }
  struct Loaded {
    absl::StatusOr<v1::MachineConfig> config;
    std::vector<std::string> warnings;
  };
  Check<Loaded>(
      caller,
      [shared] {
        Loaded out;
        std::vector<api::Violation> warnings;
        out.config =
            validate::Load(shared->unsigned_yaml(), "", validate::Stage::kSource, &warnings);
        for (const api::Violation& warning : warnings) out.warnings.push_back(warning.ToString());
        if (out.config.ok()) out.config = schema::Resolve(*std::move(out.config));
        return out;
      },
      [this, reply](Loaded loaded) {
        if (!loaded.config.ok()) {
          reply(loaded.config.status());
          return;
        }
        reply(PlanUnsigned(*state_, controllers_, *std::move(loaded.config), loaded.warnings));
      },
      refused);
}

void NodeImpl::Return(const Caller& caller, v1::ReturnRequest request,
                      Reply<v1::ReturnReply> reply) {
  deps_.executor.Post([this, caller, token = request.token(), reply] {
    absl::Status status = machine_->Return(caller, token);
    if (status.ok()) {
      reply(v1::ReturnReply());
    } else {
      reply(status);
    }
  });
}

void NodeImpl::Confirm(const Caller&, v1::ConfirmRequest request, Reply<v1::ConfirmReply> reply) {
  deps_.executor.Post(
      [this, digest = request.digest(), reply] { reply(machine_->Confirm(digest)); });
}

void NodeImpl::Cancel(const Caller&, v1::CancelRequest request, Reply<v1::CancelReply> reply) {
  deps_.executor.Post(
      [this, digest = request.digest(), reply] { reply(machine_->Cancel(digest)); });
}

void NodeImpl::Kubeconfig(const Caller&, Reply<v1::KubeconfigReply> reply) {
  deps_.executor.Post([this, reply] {
    absl::StatusOr<std::string> text = deps_.kubeconfig(absl::Hours(8));
    if (!text.ok()) {
      reply(text.status());
      return;
    }
    v1::KubeconfigReply out;
    out.set_kubeconfig(*std::move(text));
    out.mutable_expires()->set_seconds(absl::ToUnixSeconds(deps_.clock.Now() + absl::Hours(8)));
    reply(std::move(out));
  });
}

void NodeImpl::RestartService(const Caller&, const std::string& service,
                              Reply<v1::RestartServiceReply> reply) {
  deps_.executor.Post([this, service, reply] {
    absl::Status status = deps_.restart_service(service);
    if (status.ok()) {
      reply(v1::RestartServiceReply());
    } else {
      reply(status);
    }
  });
}

}  // namespace basalt::engine
