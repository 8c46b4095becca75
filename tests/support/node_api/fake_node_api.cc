#include "tests/support/node_api/fake_node_api.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"

namespace basalt::testing {
namespace {

using engine::Caller;

absl::Status NotFound(absl::string_view what) {
  return api::Coded(absl::StatusCode::kNotFound, "not-found", absl::StrCat(what, " not found"));
}

absl::Status NoSignatures() {
  return api::Coded(absl::StatusCode::kPermissionDenied, "no-signatures",
                    "the document carries no signature");
}

std::string DigestOf(const std::string& payload) {
  v1::SignedDocument document;
  document.set_type(v1::DOCUMENT_TYPE_MACHINE_CONFIG);
  document.set_payload(payload);
  return sign::DocumentDigest(document).ToString();
}

}  // namespace

FakeNodeApi::FakeNodeApi() {
  v1::Resource machine;
  machine.set_kind("MachineStatus");
  machine.set_name("machine");
  machine.mutable_machine_status()->set_stage("maintenance");
  PutResource(std::move(machine));
  AppendLog("k3s", "");
}

void FakeNodeApi::FailNext(const std::string& method, absl::Status status) {
  absl::MutexLock lock(&mu_);
  fail_next_[method] = std::move(status);
}

void FakeNodeApi::Hold(const std::string& method) {
  absl::MutexLock lock(&mu_);
  held_.insert(method);
}

void FakeNodeApi::Release(const std::string& method) {
  std::vector<std::function<void()>> run;
  {
    absl::MutexLock lock(&mu_);
    held_.erase(method);
    run.swap(waiting_[method]);
  }
  for (auto& fn : run) fn();
}

void FakeNodeApi::Emit(const v1::ApplyEvent& event) {
  std::vector<std::shared_ptr<engine::ApplyWatcher>> to;
  {
    absl::MutexLock lock(&mu_);
    to = watchers_;
    if (event.final()) watchers_.clear();
  }
  for (const auto& watcher : to) watcher->OnEvent(event);
}

void FakeNodeApi::EmitError(const absl::Status& status) {
  std::vector<std::shared_ptr<engine::ApplyWatcher>> to;
  {
    absl::MutexLock lock(&mu_);
    to.swap(watchers_);
  }
  for (const auto& watcher : to) watcher->OnError(status);
}

void FakeNodeApi::AppendLog(const std::string& service, absl::string_view text) {
  absl::MutexLock lock(&mu_);
  absl::StrAppend(&logs_[service], text);
}

void FakeNodeApi::FindSourcesUnchanged() {
  absl::MutexLock lock(&mu_);
  sources_unchanged_ = true;
}

void FakeNodeApi::CannotApply(const std::string& section, const std::string& why) {
  absl::MutexLock lock(&mu_);
  unimplemented_[section] = why;
}

void FakeNodeApi::PutResource(v1::Resource resource) {
  absl::MutexLock lock(&mu_);
  auto key = std::make_pair(resource.kind(), resource.name());
  resources_[key] = std::move(resource);
}

std::vector<FakeNodeApi::Call> FakeNodeApi::calls() const {
  absl::MutexLock lock(&mu_);
  return calls_;
}

int FakeNodeApi::CallCount(const std::string& method) const {
  absl::MutexLock lock(&mu_);
  return std::count_if(calls_.begin(), calls_.end(),
                       [&](const Call& call) { return call.method == method; });
}

bool FakeNodeApi::WaitForCalls(const std::string& method, int count, absl::Duration timeout) const {
  auto enough = [&] {
    mu_.AssertReaderHeld();
    return std::count_if(calls_.begin(), calls_.end(),
                         [&](const Call& call) { return call.method == method; }) >= count;
  };
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&enough), timeout);
}

bool FakeNodeApi::WaitForWatchers(size_t count, absl::Duration timeout) const {
  auto reached = [&] {
    mu_.AssertReaderHeld();
    return watchers_.size() == count;
  };
  absl::MutexLock lock(&mu_);
  return mu_.AwaitWithTimeout(absl::Condition(&reached), timeout);
}

size_t FakeNodeApi::watchers() const {
  absl::MutexLock lock(&mu_);
  return watchers_.size();
}

int64_t FakeNodeApi::active_generation() const {
  absl::MutexLock lock(&mu_);
  return generations_.empty() ? 0 : generations_.front().line.generation();
}

absl::Status FakeNodeApi::Note(const std::string& method, const Caller& caller) {
  absl::MutexLock lock(&mu_);
  calls_.push_back({method, caller});
  auto it = fail_next_.find(method);
  if (it == fail_next_.end()) return absl::OkStatus();
  absl::Status status = std::move(it->second);
  fail_next_.erase(it);
  return status;
}

void FakeNodeApi::Answer(const std::string& method, std::function<void()> reply) {
  {
    absl::MutexLock lock(&mu_);
    if (held_.count(method) > 0) {
      waiting_[method].push_back(std::move(reply));
      return;
    }
  }
  reply();
}

int64_t FakeNodeApi::Commit(const std::string& payload) {
  int64_t generation = generations_.empty() ? 1 : generations_.front().line.generation() + 1;
  for (Stored& old : generations_) old.line.set_active(false);
  Stored stored;
  stored.line.set_generation(generation);
  stored.line.set_digest(DigestOf(payload));
  stored.line.set_state(v1::APPLY_STATE_COMMITTED);
  stored.line.set_active(true);
  stored.line.add_signers("test");
  stored.yaml = payload;
  generations_.push_front(std::move(stored));
  return generation;
}

void FakeNodeApi::SetRecipient(v1::VouchedRecipient recipient) {
  absl::MutexLock lock(&mu_);
  recipient_ = std::move(recipient);
}

v1::HelloReply FakeNodeApi::Hello(const Caller& caller) {
  Note("Hello", caller).IgnoreError();
  absl::MutexLock lock(&mu_);
  v1::HelloReply reply;
  reply.set_version("0.0.0-test");
  reply.set_api_version("basalt/v1");
  reply.set_machine_id(std::string(64, 'a'));
  reply.set_platform("fake");
  reply.set_state(generations_.empty() ? "no-config" : "configured");
  reply.set_trust_cluster("home");
  reply.set_trust_epoch(1);
  reply.set_trust_version(1);
  if (caller.authenticated && !generations_.empty()) reply.set_name("n1");
  for (const auto& [section, why] : unimplemented_) (*reply.mutable_unimplemented())[section] = why;
  if (recipient_) *reply.mutable_recipient() = *recipient_;
  return reply;
}

absl::StatusOr<v1::GetReply> FakeNodeApi::Get(const v1::GetRequest& request) {
  if (absl::Status s = Note("Get", {}); !s.ok()) return s;
  absl::MutexLock lock(&mu_);
  auto it = resources_.find({request.kind(), request.name()});
  if (it == resources_.end()) return NotFound(absl::StrCat(request.kind(), " ", request.name()));
  v1::GetReply reply;
  *reply.mutable_resource() = it->second;
  return reply;
}

absl::StatusOr<v1::ListReply> FakeNodeApi::List(const v1::ListRequest& request) {
  if (absl::Status s = Note("List", {}); !s.ok()) return s;
  absl::MutexLock lock(&mu_);
  v1::ListReply reply;
  for (const auto& [key, resource] : resources_) {
    if (request.kind().empty() || request.kind() == key.first) *reply.add_resources() = resource;
  }
  return reply;
}

absl::StatusOr<v1::HistoryReply> FakeNodeApi::History(const v1::HistoryRequest& request) {
  if (absl::Status s = Note("History", {}); !s.ok()) return s;
  absl::MutexLock lock(&mu_);
  v1::HistoryReply reply;
  for (const Stored& stored : generations_) {
    if (request.limit() > 0 && reply.generations_size() >= request.limit()) break;
    *reply.add_generations() = stored.line;
  }
  return reply;
}

void FakeNodeApi::ServeSchema(v1::ServedSchema schema) {
  absl::MutexLock lock(&mu_);
  schema_ = std::move(schema);
}

v1::GetSchemaReply FakeNodeApi::GetSchema() {
  Note("GetSchema", {}).IgnoreError();
  absl::MutexLock lock(&mu_);
  v1::GetSchemaReply reply;
  *reply.mutable_schema() = schema_;
  return reply;
}

absl::StatusOr<v1::GetConfigReply> FakeNodeApi::GetConfig(const v1::GetConfigRequest& request) {
  if (absl::Status s = Note("GetConfig", {}); !s.ok()) return s;
  absl::MutexLock lock(&mu_);
  for (const Stored& stored : generations_) {
    if (request.generation() != 0 && request.generation() != stored.line.generation()) continue;
    v1::GetConfigReply reply;
    reply.set_yaml(stored.yaml);
    reply.set_digest(stored.line.digest());
    reply.set_generation(stored.line.generation());
    return reply;
  }
  return NotFound(absl::StrCat("generation ", request.generation()));
}

std::string FakeNodeApi::last_planned_source() const {
  absl::MutexLock lock(&mu_);
  return planned_source_;
}

void FakeNodeApi::Plan(const Caller& caller, v1::PlanRequest request,
                       engine::Reply<v1::PlanReply> reply) {
  if (absl::Status s = Note("Plan", caller); !s.ok()) return reply(s);
  if (request.has_signed_() && request.signed_().signatures().empty()) {
    return reply(NoSignatures());
  }
  v1::PlanReply plan;
  if (request.has_signed_()) plan.set_digest(DigestOf(request.signed_().payload()));
  {
    absl::MutexLock lock(&mu_);
    planned_source_ = request.unsigned_yaml();
    for (const auto& [section, why] : unimplemented_) {
      v1::PlannedStep& step = *plan.add_steps();
      step.set_controller(section);
      step.set_description(absl::StrCat("apply what changes in `", section, "`"));
      step.set_unimplemented(why);
    }
    if (!generations_.empty()) {
      plan.set_base_digest(generations_.front().line.digest());
      plan.set_base_generation(generations_.front().line.generation());
      plan.set_unchanged(request.has_signed_() ? plan.digest() == plan.base_digest()
                                               : sources_unchanged_);
    }
  }
  Answer("Plan", [plan = std::move(plan), reply = std::move(reply)] { reply(plan); });
}

void FakeNodeApi::Apply(const Caller& caller, v1::ApplyRequest request,
                        std::shared_ptr<engine::ApplyWatcher> watcher) {
  if (absl::Status s = Note("Apply", caller); !s.ok()) return watcher->OnError(s);
  if (request.document().signatures().empty()) return watcher->OnError(NoSignatures());
  const std::string payload = request.document().payload();
  v1::ApplyEvent event;
  event.set_digest(DigestOf(payload));
  bool unchanged = false;
  {
    absl::MutexLock lock(&mu_);
    apply_connection_ = caller.connection;
    if (!generations_.empty() && generations_.front().line.digest() == event.digest()) {
      unchanged = true;
      event.set_generation(generations_.front().line.generation());
    } else if (!pending_.empty() && pending_ != payload && !request.supersede()) {
      event.set_error_code("pending");
    } else {
      pending_ = payload;
      watchers_.push_back(watcher);
    }
  }
  if (event.error_code() == "pending") {
    return watcher->OnError(api::Coded(absl::StatusCode::kFailedPrecondition, "pending",
                                       "another document is pending"));
  }
  if (unchanged) {
    event.set_state(v1::APPLY_STATE_COMMITTED);
    event.set_unchanged(true);
    event.set_final(true);
    return watcher->OnEvent(event);
  }
  event.set_state(v1::APPLY_STATE_RECEIVED);
  watcher->OnEvent(event);
  Answer("Apply", [this, payload, event, dry_run = request.dry_run()]() mutable {
    for (v1::ApplyState state :
         {v1::APPLY_STATE_VERIFIED, v1::APPLY_STATE_DECODED, v1::APPLY_STATE_VALIDATED,
          v1::APPLY_STATE_PLANNED, v1::APPLY_STATE_PERSISTED, v1::APPLY_STATE_EXECUTING,
          v1::APPLY_STATE_VERIFYING}) {
      event.set_state(state);
      if (state == v1::APPLY_STATE_VERIFYING) event.set_return_token("return-token");
      event.set_final(dry_run && state == v1::APPLY_STATE_PLANNED);
      if (event.final()) {
        absl::MutexLock lock(&mu_);
        pending_.clear();
      }
      Emit(event);
      if (event.final()) return;
    }
    event.clear_return_token();
    event.set_state(v1::APPLY_STATE_COMMITTED);
    event.set_final(true);
    {
      absl::MutexLock lock(&mu_);
      event.set_generation(Commit(payload));
      pending_.clear();
    }
    Emit(event);
  });
}

void FakeNodeApi::Detach(const std::shared_ptr<engine::ApplyWatcher>& watcher) {
  absl::MutexLock lock(&mu_);
  watchers_.erase(std::remove(watchers_.begin(), watchers_.end(), watcher), watchers_.end());
}

void FakeNodeApi::ApplyTrust(const Caller& caller, v1::ApplyTrustRequest request,
                             engine::Reply<v1::ApplyTrustReply> reply) {
  if (absl::Status s = Note("ApplyTrust", caller); !s.ok()) return reply(s);
  v1::ApplyTrustReply out;
  out.set_version(request.chain().policies_size());
  out.set_epoch(1);
  Answer("ApplyTrust", [out, reply = std::move(reply)] { reply(out); });
}

void FakeNodeApi::ApplyAction(const Caller& caller, v1::ApplyActionRequest request,
                              engine::Reply<v1::ApplyActionReply> reply) {
  if (absl::Status s = Note("ApplyAction", caller); !s.ok()) return reply(s);
  if (request.document().signatures().empty()) return reply(NoSignatures());
  Answer("ApplyAction", [reply = std::move(reply)] { reply(v1::ApplyActionReply()); });
}

void FakeNodeApi::Return(const Caller& caller, v1::ReturnRequest request,
                         engine::Reply<v1::ReturnReply> reply) {
  if (absl::Status s = Note("Return", caller); !s.ok()) return reply(s);
  uint64_t apply_connection;
  {
    absl::MutexLock lock(&mu_);
    apply_connection = apply_connection_;
  }
  if (request.token() != "return-token" || caller.connection == apply_connection) {
    return reply(api::Coded(absl::StatusCode::kPermissionDenied, "bad-token",
                            "not the token, or the connection of the apply"));
  }
  Answer("Return", [reply = std::move(reply)] { reply(v1::ReturnReply()); });
}

void FakeNodeApi::Confirm(const Caller& caller, v1::ConfirmRequest,
                          engine::Reply<v1::ConfirmReply> reply) {
  if (absl::Status s = Note("Confirm", caller); !s.ok()) return reply(s);
  v1::ConfirmReply out;
  out.set_generation(active_generation());
  Answer("Confirm", [out, reply = std::move(reply)] { reply(out); });
}

void FakeNodeApi::Cancel(const Caller& caller, v1::CancelRequest,
                         engine::Reply<v1::CancelReply> reply) {
  if (absl::Status s = Note("Cancel", caller); !s.ok()) return reply(s);
  bool pending;
  {
    absl::MutexLock lock(&mu_);
    pending = !pending_.empty();
    pending_.clear();
  }
  if (!pending) return reply(NotFound("a pending document is"));
  v1::ApplyEvent event;
  event.set_state(v1::APPLY_STATE_REVERTED);
  event.set_error_code("cancelled");
  event.set_final(true);
  Emit(event);
  v1::CancelReply out;
  out.set_state(v1::APPLY_STATE_REVERTED);
  Answer("Cancel", [out, reply = std::move(reply)] { reply(out); });
}

FakeNodeApi::LogQuery FakeNodeApi::last_log_query() const {
  absl::MutexLock lock(&mu_);
  return last_log_query_;
}

void FakeNodeApi::Logs(const LogQuery& query, engine::Reply<LogChunk> reply) {
  if (absl::Status s = Note("Logs", {}); !s.ok()) return reply(s);
  LogChunk chunk;
  {
    absl::MutexLock lock(&mu_);
    last_log_query_ = query;
    auto it = logs_.find(query.service);
    if (it == logs_.end()) {
      chunk.next_offset = UINT64_MAX;
    } else {
      uint64_t from = std::min<uint64_t>(query.from_offset, it->second.size());
      chunk.data = it->second.substr(from, query.max_bytes);
      chunk.next_offset = from + chunk.data.size();
    }
  }
  if (chunk.next_offset == UINT64_MAX)
    return reply(NotFound(absl::StrCat("service ", query.service)));
  Answer("Logs", [chunk = std::move(chunk), reply = std::move(reply)] { reply(chunk); });
}

void FakeNodeApi::Kubeconfig(const Caller& caller, engine::Reply<v1::KubeconfigReply> reply) {
  if (absl::Status s = Note("Kubeconfig", caller); !s.ok()) return reply(s);
  v1::KubeconfigReply out;
  out.set_kubeconfig("apiVersion: v1\nkind: Config\n");
  Answer("Kubeconfig", [out, reply = std::move(reply)] { reply(out); });
}

void FakeNodeApi::RestartService(const Caller& caller, const std::string& service,
                                 engine::Reply<v1::RestartServiceReply> reply) {
  if (absl::Status s = Note("RestartService", caller); !s.ok()) return reply(s);
  bool known;
  {
    absl::MutexLock lock(&mu_);
    known = logs_.count(service) > 0;
  }
  if (!known) return reply(NotFound(absl::StrCat("service ", service)));
  Answer("RestartService", [reply = std::move(reply)] { reply(v1::RestartServiceReply()); });
}

}  // namespace basalt::testing
