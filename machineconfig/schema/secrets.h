// The secrets of a config, wherever the schema has them. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "basalt/v1/machine_config.pb.h"

namespace basalt::schema {

// Every value of the type Secret with its path ("k3s.registries.configs[ghcr.io].password"), for
// reading or changing.
void VisitSecrets(v1::MachineConfig& config,
                  absl::FunctionRef<void(const std::string& path, v1::Secret& secret)> visit);

// Paths of the secrets that stand in the clear: also those keys of k3s.config that the catalogue
// knows as secret, which cannot be sealed.
std::vector<std::string> PlaintextSecrets(const v1::MachineConfig& config);
// Paths of those that are sealed.
std::vector<std::string> SealedSecrets(const v1::MachineConfig& config);
bool HasSealedSecrets(const v1::MachineConfig& config);

// Overwrites the secrets that stand in the clear, before their memory is given back.
void CleanseSecrets(v1::MachineConfig& config);

}  // namespace basalt::schema
