#include "server/engine/node_state.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "google/protobuf/util/message_differencer.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/validate/validate.h"
#include "server/engine/config_secrets.h"
#include "server/engine/ledger.h"

namespace basalt::engine {

bool ApiPolicy::operator==(const ApiPolicy& other) const {
  return configured == other.configured && cluster == other.cluster &&
         google::protobuf::util::MessageDifferencer::Equals(api, other.api);
}

ApiPolicy PolicyOf(const v1::MachineConfig* config) {
  ApiPolicy policy;
  if (config == nullptr) return policy;
  policy.configured = true;
  policy.cluster = config->metadata().cluster();
  policy.api = config->api();
  return policy;
}

void NodeState::Alarm(const std::string& type, const std::string& reason,
                      const std::string& message) {
  v1::Condition& condition = alarms[type];
  if (condition.reason() == reason && condition.message() == message) return;
  condition.set_type(type);
  condition.set_holds(true);
  condition.set_alarm(true);
  condition.set_reason(reason);
  condition.set_message(message);
  condition.mutable_since()->set_seconds(Unix());
  std::cerr << "noded: " << type << ": " << message << std::endl;
}

sign::NodeFacts Facts(const NodeState& state) {
  const NodeDeps& deps = state.deps;
  sign::NodeFacts facts;
  facts.machine_id = deps.identity.machine_id();
  facts.serial = deps.platform.hardware().serial;
  facts.macs = deps.platform.hardware().macs;
  facts.medium_id = deps.medium_id;
  facts.cluster = deps.trust.policy().cluster();
  facts.epoch = deps.trust.policy().epoch();
  facts.has_config = state.committed != nullptr;
  facts.floor_epoch = state.floor.epoch();
  facts.floor_generation = state.floor.generation();
  if (auto digest = Digest::Parse(state.floor.digest()); digest.ok()) facts.floor_digest = *digest;
  if (state.committed != nullptr) {
    if (auto digest = Digest::Parse(state.committed->digest()); digest.ok()) {
      facts.active_digest = *digest;
    }
  }
  facts.now = deps.clock.Now();
  facts.time_synced = deps.clock.Synced();
  facts.time_floor = state.time_floor;
  return facts;
}

absl::StatusOr<GenerationPtr> LoadGeneration(const NodeState& state, const std::string& digest) {
  absl::StatusOr<stored::StoredGeneration> stored = state.store.Load(digest);
  if (!stored.ok()) return stored.status();
  // The chain holds every version from 1 on and each was checked when the chain was loaded.
  const v1::TrustChain& chain = state.deps.trust.chain().chain;
  int64_t version = stored->trust_version();
  if (version < 1 || version > chain.policies_size()) {
    return api::Coded(absl::StatusCode::kDataLoss, "trust-version-unknown",
                      absl::StrCat("the generation was accepted by version ", version,
                                   " of the trust policy, which this node does not have"));
  }
  const std::string& text = chain.policies(static_cast<int>(version - 1)).payload();
  absl::StatusOr<v1::TrustPolicy> policy = validate::LoadAcceptedTrustPolicy(text);
  if (!policy.ok()) return policy.status();
  absl::StatusOr<sign::VerifiedDocument> verified = sign::Verify(
      stored->document(), v1::DOCUMENT_TYPE_MACHINE_CONFIG, schema::Resolve(*std::move(policy)));
  if (!verified.ok()) return verified.status();
  absl::StatusOr<v1::MachineConfig> config = validate::LoadAccepted(verified->payload());
  if (!config.ok()) return config.status();
  auto loaded = std::make_shared<LoadedGeneration>();
  loaded->stored = *std::move(stored);
  loaded->unopened = OpenAccepted(*config, state.deps.sealing);
  loaded->config = Own(schema::Resolve(*std::move(config)));
  return loaded;
}

namespace {

// Digests to try, best first. Without a journal, what a later document was accepted on top of is
// known to have been good; the newest alone is not.
std::vector<std::string> Candidates(const NodeState& state, bool journal_lost) {
  const stored::Ledger& ledger = state.journal.ledger();
  std::vector<std::string> out;
  auto add = [&](const std::string& digest) {
    if (!digest.empty() && std::find(out.begin(), out.end(), digest) == out.end()) {
      out.push_back(digest);
    }
  };
  add(ledger.committed_digest());
  add(ledger.previous_digest());
  for (int i = ledger.history_size() - 1; i >= 0; --i) {
    if (ledger.history(i).state() == v1::APPLY_STATE_COMMITTED) add(ledger.history(i).digest());
  }
  if (!journal_lost) return out;
  std::vector<GenerationStore::Name> names = state.store.Names();
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    if (auto stored = state.store.Load(*name); stored.ok()) add(stored->base_digest());
  }
  if (names.size() == 1) add(names.front().digest);
  return out;
}

}  // namespace

void LoadFloors(NodeState& state) {
  const stored::Ledger& ledger = state.journal.ledger();
  state.floor = ledger.floor();
  state.time_floor = std::max(state.deps.build_time, absl::UnixEpoch());
  for (const GenerationStore::Name& name : state.store.Names()) {
    RaiseFloor(state.floor, name.epoch, name.generation, name.digest);
    if (auto stored = state.store.Load(name); stored.ok()) {
      state.time_floor =
          std::max(state.time_floor, absl::FromUnixSeconds(stored->signed_at_unix()));
    }
  }
  // A reset takes the generations; the order for it was signed at most a day before its end.
  for (const stored::UsedAction& used : ledger.used_actions()) {
    state.time_floor =
        std::max(state.time_floor, absl::FromUnixSeconds(used.not_after_unix()) - absl::Hours(24));
  }
}

void LoadCommitted(NodeState& state) {
  const Journal::Report& report = state.journal.report();
  LoadFloors(state);
  std::vector<GenerationStore::Name> names = state.store.Names();
  if (report.torn_bytes > 0) {
    std::cerr << "noded: dropped " << report.torn_bytes
              << " bytes at the end of the journal: a write that was interrupted" << std::endl;
  }
  if (report.damaged_bytes > 0) {
    state.Alarm("JournalDamaged", "Damaged",
                absl::StrCat(report.damaged_bytes, " bytes of the journal were damaged"));
  }
  if (!report.mended.ok()) {
    state.Alarm("StateNotDurable", "WriteFailed",
                absl::StrCat("the journal could not be mended: ", report.mended.message()));
  }
  // A journal without a record cannot have accepted what is stored: it was lost.
  bool journal_lost = report.records == 0 && !names.empty();
  if (journal_lost) {
    state.Alarm("JournalDamaged", "Lost",
                "the journal is gone; what is in force was found from the stored generations");
  }
  std::vector<std::string> candidates = Candidates(state, journal_lost);
  std::vector<std::string> failures;
  for (const std::string& digest : candidates) {
    absl::StatusOr<GenerationPtr> loaded = LoadGeneration(state, digest);
    if (!loaded.ok()) {
      failures.push_back(absl::StrCat(digest.substr(0, 12), ": ", loaded.status().message()));
      if (state.committed == nullptr) continue;
      break;
    }
    if (state.committed == nullptr) {
      state.committed = *std::move(loaded);
      continue;
    }
    state.previous = *std::move(loaded);
    break;
  }
  bool fell_back = state.committed != nullptr && state.committed->digest() != candidates.front();
  if (fell_back) {
    state.Alarm("GenerationDamaged", "FellBack",
                absl::StrCat("generation ", state.committed->stored.entry().generation(),
                             " is in force: ", failures.front()));
  }
  if (state.committed == nullptr && !(candidates.empty() && !journal_lost)) {
    state.Alarm("AllGenerationsBad", "NoConfig",
                failures.empty() ? "no stored generation is known to be good" : failures.front());
  }
}

void CheckCommittedSecrets(NodeState& state) {
  state.ClearAlarm("SecretsNotOpened");
  if (state.committed == nullptr || state.committed->unopened.empty()) return;
  state.Alarm("SecretsNotOpened", "OtherSealingKey",
              absl::StrCat("K3s is left as it is: ", state.committed->unopened,
                           "; pin the node again and apply its config again"));
}

void CheckMediumKey(NodeState& state) {
  state.ClearAlarm("SealedToMedium");
  const trust::SealingKey& sealing = state.deps.sealing;
  if (!sealing.has_medium_key() || state.committed == nullptr) return;
  const auto needed = [&](const GenerationPtr& generation) {
    if (generation == nullptr) return false;
    absl::StatusOr<v1::MachineConfig> config =
        validate::LoadAccepted(generation->stored.document().payload());
    if (!config.ok() || !schema::HasSealedSecrets(*config)) return false;
    const bool closed = !OpenAccepted(*config, sealing.own_keys()).empty();
    schema::CleanseSecrets(*config);
    return closed && generation->unopened.empty();
  };
  if (needed(state.committed)) {
    state.Alarm("SealedToMedium", "MediumKey",
                "the secrets of the config are sealed to the one-time key of the medium that this "
                "node was started from; pin the node (nodectl pin) and apply its config again: "
                "they are sealed to its own key then");
    return;
  }
  // What would be in force if the newest were damaged may need it still.
  if (needed(state.previous)) return;
  if (absl::Status gone = trust::SealingKey::RemoveMediumKey(state.deps.vfs); !gone.ok()) {
    std::cerr << "noded: the key of the boot medium stays: " << gone.message() << std::endl;
  }
}

void CheckCommittedSigners(NodeState& state) {
  state.ClearAlarm("SignedByRevokedKey");
  if (state.committed == nullptr) return;
  absl::Status status = sign::Verify(state.committed->stored.document(),
                                     v1::DOCUMENT_TYPE_MACHINE_CONFIG, state.deps.trust.policy())
                            .status();
  if (status.ok()) return;
  state.Alarm("SignedByRevokedKey", "NotTrustedToday",
              absl::StrCat("the config in force would not be accepted today: ", status.message()));
}

}  // namespace basalt::engine
