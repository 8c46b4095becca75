// A network with memory. It keeps the rules of the kernel that a controller has to live with (the
// conformance suite in tests/unit/server/host runs against both): addresses and routes go with
// their link, routes go when it is down, a router must be reachable, a member of a bond joins it
// down. What hardware, K3s and DHCP do, the test does. Single-threaded.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "server/host/network.h"

namespace basalt::testing {

class FakeNetwork : public host::Network {
 public:
  FakeNetwork();

  absl::StatusOr<host::NetworkState> Observe() override;
  absl::Status Make(const host::NewLink& link) override;
  absl::Status Remove(int link) override;
  absl::Status Change(int link, const host::LinkChange& change) override;
  absl::Status Add(const host::Address& address) override;
  absl::Status Remove(const host::Address& address) override;
  absl::Status Add(const host::Route& route) override;
  absl::Status Remove(const host::Route& route) override;
  absl::Status Add(const host::Rule& rule) override;
  absl::Status Remove(const host::Rule& rule) override;
  absl::Status SetBridgeVlan(int member, int vlan, bool passes) override;
  int event_fd() const override { return 1000; }
  void DrainEvents() override {}

  // --- What others do ---
  host::Link& AddDevice(const std::string& name, const std::string& mac);
  host::Link& AddForeign(const std::string& name, const std::string& kind);
  void AddForeign(const host::Address& address) { state.addresses.push_back(address); }
  void AddForeign(const host::Route& route) { state.routes.push_back(route); }

  // The next call of `op` ("Make", "AddRoute") fails with `status` and does nothing.
  void FailNext(const std::string& op, absl::Status status) { failures_[op].push_back(status); }

  host::NetworkState state;
  std::vector<std::string> calls;       // that change something
  std::vector<std::string> no_modules;  // kinds that this kernel does not have

 private:
  absl::Status Begin(const std::string& op, const std::string& what);
  host::Link* Find(int index);
  bool Reachable(const host::Route& route) const;

  int next_index_ = 2;
  std::map<std::string, std::deque<absl::Status>> failures_;
};

}  // namespace basalt::testing
