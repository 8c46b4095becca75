// What readers see: built by the loop, immutable, swapped as a whole.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "basalt/v1/node_service.pb.h"
#include "server/engine/apply_machine.h"
#include "server/engine/node_state.h"

namespace basalt::engine {

struct Snapshot {
  std::vector<v1::Resource> resources;  // by kind, then name
  v1::HelloReply hello;                 // without the time; with the name
  ApiPolicy policy;
  std::shared_ptr<const v1::TrustPolicy> trust;
  std::string committed_digest;  // lower-hex; "" when no config is in force
  int64_t committed_generation = 0;
  v1::HistoryReply history;                // newest first
  std::map<int64_t, std::string> digests;  // generation → digest, of those stored
};

// Thread-safe.
class SnapshotBox {
 public:
  std::shared_ptr<const Snapshot> Get() const {
    std::lock_guard lock(mu_);
    return current_;
  }
  void Set(std::shared_ptr<const Snapshot> next) {
    std::lock_guard lock(mu_);
    current_.swap(next);  // the old one is released outside of the lock
  }

 private:
  mutable std::mutex mu_;
  std::shared_ptr<const Snapshot> current_ = std::make_shared<Snapshot>();
};

// Builds snapshots and keeps the versions of resources rising. Loop thread only.
class Publisher {
 public:
  Publisher(NodeState& state, const ApplyMachine& machine, const ControllerSet& controllers,
            SnapshotBox& box)
      : state_(state), machine_(machine), controllers_(controllers), box_(box) {}

  // After anything that a reader could see. Asks the supervisor for its list.
  void Publish();

 private:
  v1::Resource Machine(const std::vector<Condition>& observed, const std::vector<Condition>& alarms,
                       const std::vector<v1::Resource>& others);
  v1::Resource Config() const;
  void AddServices(std::vector<v1::Resource>& out) const;
  void AddHistory(Snapshot& snapshot) const;
  void Version(v1::Resource& resource);

  NodeState& state_;
  const ApplyMachine& machine_;
  const ControllerSet& controllers_;
  SnapshotBox& box_;
  struct Seen {
    int64_t version = 0;
    int64_t updated = 0;
    std::string bytes;
  };
  std::map<std::string, Seen> seen_;                 // kind/name → as last published
  std::map<std::string, v1::Condition> conditions_;  // type → with its `since`
};

// A line of the history as readers see it.
v1::Generation ToGeneration(const stored::Entry& entry, bool active);

}  // namespace basalt::engine
