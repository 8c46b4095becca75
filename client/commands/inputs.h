// What -f names: files, directories and "-", as sources to sign or as signed envelopes. Not
// thread-safe.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "api/coded_status.h"
#include "basalt/v1/document.pb.h"
#include "basalt/v1/machine_config.pb.h"

namespace basalt::client {

struct Input {
  std::string file;  // as the user named it
  std::string text;
  // An envelope is JSON; a machine config is a YAML map and does not begin with a brace.
  bool is_envelope = false;
};

// A directory gives its *.yaml, *.yml and *.json files, sorted. "no-input" when nothing is there.
absl::StatusOr<std::vector<Input>> ReadInputs(const std::vector<std::string>& names);

// A config read from a source or from an envelope, with the envelope when there is one.
struct Document {
  std::string file;
  v1::MachineConfig config;
  bool is_signed = false;
  v1::SignedDocument envelope;
  std::vector<api::Violation> warnings;
};
absl::StatusOr<Document> ReadDocument(const Input& input);

// Every secret with its path, for reading or changing.
void VisitSecrets(v1::MachineConfig& config,
                  absl::FunctionRef<void(const std::string& path, v1::Secret& secret)> visit);

// Paths of the secrets that stand there in the clear.
std::vector<std::string> PlaintextSecrets(const v1::MachineConfig& config);
// Paths of those that are sealed.
std::vector<std::string> SealedSecrets(const v1::MachineConfig& config);

}  // namespace basalt::client
