// A config with its secrets opened, in memory and nowhere else: what is stored and shown stays
// sealed. Opened only where signatures, target and floor have been asked first.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "basalt/v1/machine_config.pb.h"
#include "server/engine/controller_set.h"
#include "server/trust/sealing_key.h"

namespace basalt::engine {

// Shared and immutable; its secrets are overwritten when the last holder lets go of it.
ConfigPtr Own(v1::MachineConfig config);

// `config` as it was signed, with every secret opened and then judged by the same rules as one in
// the clear. Invalid with a violation for each value: wrong-recipient (sealed to keys that this
// node does not have), wrong-seal-context (for another cluster, node or field), the other reasons
// of seal::OpenField.
absl::StatusOr<v1::MachineConfig> OpenForApply(v1::MachineConfig config,
                                               const trust::SealingKey& key);

// The same for what was accepted before, without judging. What does not open stays sealed; why is
// returned, empty when all is open.
std::string OpenAccepted(v1::MachineConfig& config, const trust::SealingKey& key);
// With these keys alone.
std::string OpenAccepted(v1::MachineConfig& config, absl::Span<const seal::Identity> keys);

// FailedPrecondition/"secrets-not-opened" when some are sealed still: no controller may be given
// such a config.
absl::Status CheckOpened(const v1::MachineConfig* config);

// For the plan of an unsigned source: each secret that both have is taken to be what runs, also one
// in the clear. Whoever may only read could guess at secrets otherwise: by the steps of the plan.
v1::MachineConfig WithSecretsOf(v1::MachineConfig source, const v1::MachineConfig& running);

}  // namespace basalt::engine
