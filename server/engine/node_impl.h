// The parts of a node put together, and NodeApi's front: any thread comes in, checks run in the
// pool, decisions on the loop, reads are answered from the snapshot.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "server/engine/apply_machine.h"
#include "server/engine/node.h"
#include "server/engine/snapshot.h"

namespace basalt::engine {

// What the share of a caller is counted by: its source, else its address without the port.
std::string ShareOf(const Caller& caller);

// How many documents of one source may be under check at a time. Thread-safe.
class SourceQuota {
 public:
  static constexpr int kPerSource = 4;
  bool Take(const std::string& share);
  void Give(const std::string& share);

 private:
  std::mutex mu_;
  std::map<std::string, int> taken_;
};

class NodeImpl : public Node {
 public:
  explicit NodeImpl(NodeDeps deps);

  absl::Status Start() override;
  ApiPolicy api_policy() const override { return box_.Get()->policy; }
  void OnServiceEvents() override;
  void Tell(const std::string& type, const std::string& reason,
            const std::string& message) override;

  v1::HelloReply Hello(const Caller& caller) override;
  absl::StatusOr<v1::GetReply> Get(const v1::GetRequest& request) override;
  absl::StatusOr<v1::ListReply> List(const v1::ListRequest& request) override;
  absl::StatusOr<v1::HistoryReply> History(const v1::HistoryRequest& request) override;
  v1::GetSchemaReply GetSchema() override;
  absl::StatusOr<v1::GetConfigReply> GetConfig(const v1::GetConfigRequest& request) override;
  void Plan(const Caller& caller, v1::PlanRequest request, Reply<v1::PlanReply> reply) override;
  void Apply(const Caller& caller, v1::ApplyRequest request,
             std::shared_ptr<ApplyWatcher> watcher) override;
  void Detach(const std::shared_ptr<ApplyWatcher>& watcher) override;
  void ApplyTrust(const Caller& caller, v1::ApplyTrustRequest request,
                  Reply<v1::ApplyTrustReply> reply) override;
  void ApplyAction(const Caller& caller, v1::ApplyActionRequest request,
                   Reply<v1::ApplyActionReply> reply) override;
  void Return(const Caller& caller, v1::ReturnRequest request,
              Reply<v1::ReturnReply> reply) override;
  void Confirm(const Caller& caller, v1::ConfirmRequest request,
               Reply<v1::ConfirmReply> reply) override;
  void Cancel(const Caller& caller, v1::CancelRequest request,
              Reply<v1::CancelReply> reply) override;
  void Logs(const std::string& service, uint64_t from_offset, size_t max_bytes,
            Reply<LogChunk> reply) override;
  void Kubeconfig(const Caller& caller, Reply<v1::KubeconfigReply> reply) override;
  void RestartService(const Caller& caller, const std::string& service,
                      Reply<v1::RestartServiceReply> reply) override;

 private:
  // `work` in the pool, then `decide` with its result on the loop. `refused`: the queue or the
  // source's share of it is full.
  template <typename T>
  void Check(const Caller& caller, std::function<T()> work, std::function<void(T)> decide,
             std::function<void(absl::Status)> refused);
  absl::StatusOr<LogChunk> ReadLog(const std::string& service, uint64_t from, size_t max_bytes);
  void Reset(const std::string& digest, const v1::Action& action,
             Reply<v1::ApplyActionReply> reply);
  void RollBackImage(const std::string& digest, const v1::Action& action,
                     Reply<v1::ApplyActionReply> reply);
  // OK when nothing is under way that an order must not come between.
  absl::Status CheckIdle() const;
  void FinishReset(Reply<v1::ApplyActionReply> reply);
  void AfterErase(absl::Status status, const Reply<v1::ApplyActionReply>& reply);
  void Publish() { publisher_->Publish(); }

  NodeDeps deps_;
  SnapshotBox box_;
  SourceQuota quota_;
  // Made by Start, then the loop's.
  ControllerSet controllers_;
  std::unique_ptr<NodeState> state_;
  std::unique_ptr<ApplyMachine> machine_;
  std::unique_ptr<Publisher> publisher_;
  bool refresh_posted_ = false;
  bool started_ = false;
};

}  // namespace basalt::engine
