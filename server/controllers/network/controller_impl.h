// The controller: one Execute at a time, the newest wins. Everything on the loop thread; each call
// of the kernel is a local round trip. README.md has the order of the steps.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/controllers/network/converge.h"
#include "server/controllers/network/dhcp_client.h"
#include "server/controllers/network/network_controller.h"

namespace basalt::network {

// Events come in swarms: a pod's start alone has dozens.
inline constexpr absl::Duration kLookAfter = absl::Milliseconds(500);
inline constexpr int kMostDoublings = 7;  // about a minute

class ControllerImpl : public NetworkController {
 public:
  explicit ControllerImpl(const NetworkDeps& deps);
  ~ControllerImpl() override;

  std::string name() const override { return "network"; }
  absl::StatusOr<engine::ControllerPlan> Plan(const v1::MachineConfig* from,
                                              const v1::MachineConfig& to) const override;
  void Prepare(const v1::MachineConfig& to, engine::OnProgress progress,
               engine::Done done) override;
  void CancelPrepare() override {}
  void Execute(const v1::MachineConfig* to, engine::Done done) override;
  void Erase(engine::Done done) override;
  std::vector<engine::Condition> Observe() const override;
  absl::Duration Deadline(const v1::MachineConfig& to, const std::string& condition) const override;
  void SetOnChange(std::function<void()> on_change) override { on_change_ = std::move(on_change); }
  std::vector<v1::Resource> Resources() const override;
  void CollectGarbage(const std::vector<const v1::MachineConfig*>& kept) override {}

  void Start() override;
  void OnServiceEvent(const host::ServiceEvent& event) override;

 private:
  using Next = std::function<void(absl::Status)>;

  const v1::MachineConfig* config() const { return config_ ? &*config_ : nullptr; }
  std::string HostName() const { return config_ ? config_->metadata().name() : ""; }
  std::optional<host::ServiceStatus> FindDhcp() const;
  // Links of the spec that are there.
  std::set<std::string> Present(const host::NetworkState& state) const;

  // Steps of Execute; each is called with what the one before it found.
  void StopDhcpThen(const std::string& wanted_tag, Next next);
  void Finish(uint64_t epoch, engine::Done done);
  absl::Status StartDhcp(const DhcpPlan& plan);
  absl::Status WriteNames();
  absl::Status SetFirewall();
  absl::Status SetTunnels();
  // The config's, or the node's own, which is made when there is none.
  absl::StatusOr<std::string> PrivateKey(const v1::Interface& interface);
  void Resolve(std::set<std::string> names);
  void ResolveLater();
  absl::Status WriteFile(const std::string& path, const std::string& text);

  // Watching: somebody changed something.
  void ScheduleLook(absl::Duration delay);
  void Look();
  void Refresh();  // of the DHCP client
  void Changed();

  NetworkDeps deps_;
  std::function<void()> on_change_;
  uint64_t epoch_ = 0;
  int busy_ = 0;                             // Executes under way
  std::optional<v1::MachineConfig> config_;  // what Execute was last told
  NetworkSpec spec_;
  Convergence last_;
  absl::Status dhcp_status_, firewall_status_, tunnel_status_;
  std::map<std::string, std::string> public_keys_;  // of tunnels, as text
  std::map<std::string, std::string> resolved_;     // names of endpoints
  bool resolving_ = false;
  engine::Executor::TimerId resolve_timer_ = 0;
  Next stop_waiter_;
  engine::Executor::TimerId look_timer_ = 0;
  int corrections_ = 0;  // in a row: a quarrel with somebody else gets slower
  std::vector<engine::Condition> last_conditions_;  // that others were told of, with this
  host::NetworkState last_state_;
};

}  // namespace basalt::network
