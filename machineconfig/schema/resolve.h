// Defaults. `Resolve` fills in every absent scalar that has a shipped default, in messages that are
// present (an absent section stays absent, but `metadata.apply` and `k3s.health` are made). Diffs
// and controllers work on resolved configs; what is signed is not resolved. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"

namespace basalt::schema {

v1::MachineConfig Resolve(v1::MachineConfig config);
v1::TrustPolicy Resolve(v1::TrustPolicy policy);

// A copy whose secrets are empty `plain` values of "(redacted)".
v1::MachineConfig Redact(v1::MachineConfig config);

// Every opened secret of the config, for scrubbing texts that others wrote (K3s's log lines). Those
// shorter than 4 bytes are left out.
std::vector<std::string> SecretValues(const v1::MachineConfig& config);

}  // namespace basalt::schema
