// A node that exists in memory only: it keeps generations, a pending apply, logs and a record of
// who called what, so that the API server and the client are tested against something that behaves.
// Signatures are not checked: a document without any is refused as "no-signatures", everything else
// counts as signed by "test".
//
// Thread-safe. Replies run on the caller's thread unless held back.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/engine/node_api.h"

namespace basalt::testing {

class FakeNodeApi : public engine::NodeApi {
 public:
  struct Call {
    std::string method;
    engine::Caller caller;
  };

  FakeNodeApi();

  // --- what the node is told by the test
  // The method named ("Plan", "Apply", ...) fails once with `status`.
  void FailNext(const std::string& method, absl::Status status);
  // From now on replies of `method` wait for Release. For Apply: the events after `received`.
  void Hold(const std::string& method);
  void Release(const std::string& method);
  // What Hello says; without it the node is one of a release that had no sealing key.
  void SetRecipient(v1::VouchedRecipient recipient);
  // Plans of unsigned sources say from now on that nothing would change.
  void FindSourcesUnchanged();
  // Hello and plans say from now on that a section cannot be applied, and why.
  void CannotApply(const std::string& section, const std::string& why);
  // Sends an event to everybody who watches an apply; a final one ends it.
  void Emit(const v1::ApplyEvent& event);
  void EmitError(const absl::Status& status);
  void AppendLog(const std::string& service, absl::string_view text);
  void PutResource(v1::Resource resource);

  // --- what the test asks the node
  std::vector<Call> calls() const;
  int CallCount(const std::string& method) const;
  // False when it did not come to that within `timeout`.
  bool WaitForCalls(const std::string& method, int count,
                    absl::Duration timeout = absl::Seconds(20)) const;
  bool WaitForWatchers(size_t count, absl::Duration timeout = absl::Seconds(20)) const;
  size_t watchers() const;
  int64_t active_generation() const;
  // The source of the last Plan; empty: it was signed, or there was none.
  std::string last_planned_source() const;

  // Serves `schema` instead of its own: a node of another release.
  void ServeSchema(v1::ServedSchema schema);

  // --- NodeApi
  v1::GetSchemaReply GetSchema() override;
  v1::HelloReply Hello(const engine::Caller& caller) override;
  absl::StatusOr<v1::GetReply> Get(const v1::GetRequest& request) override;
  absl::StatusOr<v1::ListReply> List(const v1::ListRequest& request) override;
  absl::StatusOr<v1::HistoryReply> History(const v1::HistoryRequest& request) override;
  absl::StatusOr<v1::GetConfigReply> GetConfig(const v1::GetConfigRequest& request) override;
  void Plan(const engine::Caller& caller, v1::PlanRequest request,
            engine::Reply<v1::PlanReply> reply) override;
  // Runs through to `committed` at once unless Apply is held; then it stops after `received`.
  void Apply(const engine::Caller& caller, v1::ApplyRequest request,
             std::shared_ptr<engine::ApplyWatcher> watcher) override;
  void Detach(const std::shared_ptr<engine::ApplyWatcher>& watcher) override;
  void ApplyTrust(const engine::Caller& caller, v1::ApplyTrustRequest request,
                  engine::Reply<v1::ApplyTrustReply> reply) override;
  void ApplyAction(const engine::Caller& caller, v1::ApplyActionRequest request,
                   engine::Reply<v1::ApplyActionReply> reply) override;
  // The token is "return-token"; it must come over another connection than the last Apply.
  void Return(const engine::Caller& caller, v1::ReturnRequest request,
              engine::Reply<v1::ReturnReply> reply) override;
  void Confirm(const engine::Caller& caller, v1::ConfirmRequest request,
               engine::Reply<v1::ConfirmReply> reply) override;
  void Cancel(const engine::Caller& caller, v1::CancelRequest request,
              engine::Reply<v1::CancelReply> reply) override;
  // `since` and `stored` are taken down in last_log_query alone.
  void Logs(const LogQuery& query, engine::Reply<LogChunk> reply) override;
  LogQuery last_log_query() const;
  void Kubeconfig(const engine::Caller& caller, engine::Reply<v1::KubeconfigReply> reply) override;
  void RestartService(const engine::Caller& caller, const std::string& service,
                      engine::Reply<v1::RestartServiceReply> reply) override;

 private:
  struct Stored {
    v1::Generation line;
    std::string yaml;
  };

  // Notes the call; the error that FailNext asked for, if any.
  absl::Status Note(const std::string& method, const engine::Caller& caller)
      ABSL_LOCKS_EXCLUDED(mu_);
  // Runs `reply` now, or when `method` is released.
  void Answer(const std::string& method, std::function<void()> reply) ABSL_LOCKS_EXCLUDED(mu_);
  int64_t Commit(const std::string& payload) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable absl::Mutex mu_;
  std::vector<Call> calls_ ABSL_GUARDED_BY(mu_);
  std::string planned_source_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, absl::Status> fail_next_ ABSL_GUARDED_BY(mu_);
  std::optional<v1::VouchedRecipient> recipient_ ABSL_GUARDED_BY(mu_);
  bool sources_unchanged_ ABSL_GUARDED_BY(mu_) = false;
  std::map<std::string, std::string> unimplemented_ ABSL_GUARDED_BY(mu_);
  std::set<std::string> held_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::vector<std::function<void()>>> waiting_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<engine::ApplyWatcher>> watchers_ ABSL_GUARDED_BY(mu_);
  std::string pending_ ABSL_GUARDED_BY(mu_);             // payload of the apply under way
  std::deque<Stored> generations_ ABSL_GUARDED_BY(mu_);  // newest first
  v1::ServedSchema schema_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::string> logs_ ABSL_GUARDED_BY(mu_);
  LogQuery last_log_query_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, v1::Resource> resources_ ABSL_GUARDED_BY(mu_);
  uint64_t apply_connection_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace basalt::testing
