// What -f names: files, directories and "-", as sources to sign or as signed envelopes. Not
// thread-safe.
#pragma once

#include <string>
#include <vector>

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

}  // namespace basalt::client
