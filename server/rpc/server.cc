#include "server/rpc/server.h"

#include <atomic>
#include <list>
#include <thread>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "api/coded_status.h"
#include "api/tls13.h"
#include "server/rpc/acceptor.h"
#include "server/rpc/endpoint.h"
#include "server/rpc/gate.h"

namespace basalt::rpc {
namespace {

// How many servers of earlier policies may still have calls; the oldest loses its own then.
constexpr size_t kMaxRetired = 4;

std::vector<std::string> ListenOf(const ServerOptions& options, const engine::ApiPolicy& policy) {
  if (policy.api.listen().empty()) return options.listen;
  return {policy.api.listen().begin(), policy.api.listen().end()};
}

absl::StatusOr<std::vector<Network>> NetworksOf(const engine::ApiPolicy& policy) {
  std::vector<Network> out;
  for (const std::string& text : policy.api.allowed_networks()) {
    absl::StatusOr<Network> network = Network::Parse(text);
    if (!network.ok()) return network.status();
    out.push_back(*network);
  }
  return out;
}

class ServerImpl final : public Server {
 public:
  ServerImpl(const ServerOptions& options, std::unique_ptr<Acceptor> acceptor,
             std::shared_ptr<const ClientPolicy> policy, engine::NodeApi& api)
      : options_(options),
        acceptor_(std::move(acceptor)),
        gate_(options.limits, *acceptor_, std::move(policy)),
        api_(api) {}

  ~ServerImpl() override { Shutdown(absl::ZeroDuration()); }

  std::vector<std::string> endpoints() const override { return acceptor_->endpoints(); }
  ServerStats stats() const override { return acceptor_->stats(); }
  bool AwaitStats(const std::function<bool(const ServerStats&)>& reached,
                  absl::Duration timeout) const override {
    return acceptor_->AwaitStats(reached, timeout);
  }

  absl::Status SetPolicy(const engine::ApiPolicy& policy) override {
    absl::MutexLock lock(&mu_);
    if (stopped_) {
      return api::Coded(absl::StatusCode::kFailedPrecondition, "server-stopped",
                        "the server has been shut down");
    }
    // 1. Everything that can fail, before anything changes.
    absl::StatusOr<std::shared_ptr<const ClientPolicy>> client = ClientPolicy::Make(policy);
    if (!client.ok()) return client.status();
    absl::StatusOr<std::vector<Network>> networks = NetworksOf(policy);
    if (!networks.ok()) return networks.status();
    std::vector<std::string> listen = ListenOf(options_, policy);
    absl::StatusOr<std::vector<Listener>> opened = acceptor_->Open(listen);
    if (!opened.ok()) return opened.status();
    Endpoint::Spec spec{(*client)->roots_pem(), policy.configured};
    std::unique_ptr<Endpoint> next;
    if (current_ == nullptr || !(current_->spec() == spec)) {
      absl::StatusOr<std::unique_ptr<Endpoint>> started =
          Endpoint::Start(options_, spec, gate_, api_);
      if (!started.ok()) return started.status();
      next = *std::move(started);
    }
    // 2. The switch. Calls are judged by the new policy from here on, on old connections too.
    gate_.SetPolicy(*client);
    acceptor_->SetAllowedNetworks(*networks);
    if (next != nullptr) {
      acceptor_->SetHandoff(++generation_, [raw = next.get()](int fd, int listener_fd) {
        raw->Handle(fd, listener_fd);
      });
      current_.swap(next);
    }
    acceptor_->Serve(listen, *std::move(opened));
    // 3. What the new policy refuses goes at once; the rest of the old server may finish.
    absl::Time now = absl::Now();
    acceptor_->Cut([&](const Acceptor::View& connection) {
      if (!Allowed(*networks, connection.peer)) return true;
      return !connection.identity.empty() &&
             !(*client)->Identify(connection.identity, now).refused.ok();
    });
    if (next != nullptr) Retire(std::move(next), generation_ - 1);
    return absl::OkStatus();
  }

  void Shutdown(absl::Duration grace) override {
    absl::MutexLock lock(&mu_);
    if (std::exchange(stopped_, true)) return;
    acceptor_->StopListening();
    acceptor_->SetHandoff(++generation_, nullptr);
    if (current_ != nullptr) current_->Shutdown(absl::Now() + grace);
    uint64_t last = generation_;
    acceptor_->Cut([&](const Acceptor::View& connection) { return connection.generation < last; });
    for (Retired& retired : retired_) retired.hurry.Notify();
    for (Retired& retired : retired_) retired.thread.join();
    retired_.clear();
    gate_.AwaitIdle();
    current_.reset();
    acceptor_->Stop();
  }

 private:
  // A server of an earlier policy, whose calls end in their own time.
  struct Retired {
    uint64_t generation;
    absl::Notification hurry;
    std::atomic<bool> done{false};
    std::unique_ptr<Endpoint> endpoint;
    std::thread thread;
  };

  void Retire(std::unique_ptr<Endpoint> endpoint, uint64_t generation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (auto it = retired_.begin(); it != retired_.end();) {
      if (it->done) {
        it->thread.join();
        it = retired_.erase(it);
      } else {
        ++it;
      }
    }
    if (retired_.size() >= kMaxRetired) {
      Retired& oldest = retired_.front();
      acceptor_->Cut([&](const Acceptor::View& connection) {
        return connection.generation == oldest.generation;
      });
      oldest.hurry.Notify();
      oldest.thread.join();
      retired_.pop_front();
    }
    Retired& retired = retired_.emplace_back();
    retired.generation = generation;
    retired.endpoint = std::move(endpoint);
    absl::Time deadline = absl::Now() + options_.limits.default_deadline;
    retired.thread = std::thread([&retired, deadline, handshake = options_.limits.handshake] {
      // gRPC drops handshakes under way when it shuts down: those that were handed over just before
      // the switch may finish first.
      retired.hurry.WaitForNotificationWithTimeout(handshake);
      retired.endpoint->Shutdown(deadline);
      retired.endpoint.reset();
      retired.done = true;
    });
  }

  const ServerOptions options_;
  const std::unique_ptr<Acceptor> acceptor_;
  Gate gate_;
  engine::NodeApi& api_;
  absl::Mutex mu_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t generation_ ABSL_GUARDED_BY(mu_) = 0;
  std::unique_ptr<Endpoint> current_ ABSL_GUARDED_BY(mu_);
  std::list<Retired> retired_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> StartServer(const ServerOptions& options,
                                                    const engine::ApiPolicy& policy,
                                                    engine::NodeApi& api) {
  if (absl::Status s = api::ForceTls13(); !s.ok()) return s;
  absl::StatusOr<std::shared_ptr<const ClientPolicy>> client = ClientPolicy::Make(policy);
  if (!client.ok()) return client.status();
  absl::StatusOr<std::unique_ptr<Acceptor>> acceptor = Acceptor::Start(options.limits);
  if (!acceptor.ok()) return acceptor.status();
  auto server = std::make_unique<ServerImpl>(options, *std::move(acceptor), *client, api);
  if (absl::Status s = server->SetPolicy(policy); !s.ok()) return s;
  return server;
}

}  // namespace basalt::rpc
