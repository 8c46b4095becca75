// Takes K3s's rules and chains out of iptables and ip6tables: `iptables-save`, packet_rules.h,
// `iptables-restore`, each tool a supervised process of one run, since noded never forks. Both
// kinds are swept, nft and legacy: which one K3s used depends on the PATH of its start. On the loop
// thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/engine/executor.h"
#include "server/host/supervisor.h"

namespace basalt::k3s {

class RuleSweep {
 public:
  using Done = std::function<void(std::string note)>;
  virtual ~RuleSweep() = default;
  // Looks for the tools in `dirs`, in order. `note` says what could not be done, "" when all was:
  // a rule that is left sends packets astray at worst, so it does not fail a stop. One at a time.
  virtual void Sweep(std::vector<std::string> dirs, Done done) = 0;
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
};

std::unique_ptr<RuleSweep> MakeRuleSweep(engine::Executor& executor, host::Supervisor& supervisor);

}  // namespace basalt::k3s
