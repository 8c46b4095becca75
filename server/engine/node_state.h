// What the loop knows: the journal, the stored generations, what is in force, what is wrong. Plain
// data shared by the parts of the engine. Loop thread only.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "machineconfig/sign/policy.h"
#include "server/engine/controller_set.h"
#include "server/engine/generation_store.h"
#include "server/engine/journal.h"
#include "server/engine/node.h"

namespace basalt::engine {

// A stored document, checked and decoded.
struct LoadedGeneration {
  stored::StoredGeneration stored;
  // Resolved, its secrets opened where they open; null when it is known by its journal record
  // alone.
  ConfigPtr config;
  std::string unopened;  // why some do not
  const std::string& digest() const { return stored.entry().digest(); }
};
using GenerationPtr = std::shared_ptr<const LoadedGeneration>;

struct NodeState {
  NodeDeps deps;
  Journal journal;
  GenerationStore store;
  stored::Floor floor;
  absl::Time time_floor;
  GenerationPtr committed;  // in force; null: no config
  GenerationPtr previous;   // in force before; may be null
  // What is wrong with the node itself: type → condition. Present only while it is so.
  std::map<std::string, v1::Condition> alarms;
  std::string last_error;
  std::string last_error_code;

  v1::MachineConfig const* committed_config() const {
    return committed == nullptr ? nullptr : committed->config.get();
  }
  int64_t Unix() const { return absl::ToUnixSeconds(deps.clock.Now()); }
  void Alarm(const std::string& type, const std::string& reason, const std::string& message);
  void ClearAlarm(const std::string& type) { alarms.erase(type); }
};

sign::NodeFacts Facts(const NodeState& state);
ApiPolicy PolicyOf(const v1::MachineConfig* config);

// Reads a stored document back and checks it as it was checked when it was accepted: against the
// policy of that version, not against expiry or what was revoked later. Reasons: those of the store
// and of sign::Verify, plus "trust-version-unknown".
absl::StatusOr<GenerationPtr> LoadGeneration(const NodeState& state, const std::string& digest);

// Sets floor and time_floor from what is stored.
void LoadFloors(NodeState& state);

// Finds what is in force: the committed generation, else the newest good one before it, loudly.
// Sets committed, previous, the floors and the alarms.
void LoadCommitted(NodeState& state);

// The secrets of the committed config: condition SecretsNotOpened, when the sealing key was lost or
// is another one. The config stays in force (its API, its trust), but what needs the secrets cannot
// be made anew.
void CheckCommittedSecrets(NodeState& state);

// The key of the boot medium, which opens a first config that was sealed before there was a node:
// condition SealedToMedium while what is in force needs it; it is removed when nothing does.
void CheckMediumKey(NodeState& state);

// The committed document against today's policy: condition SignedByRevokedKey.
void CheckCommittedSigners(NodeState& state);

}  // namespace basalt::engine
