// All that can be said about a document without a node: required fields, formats, ranges, allowed
// values from the annotations; then the rules between fields and the catalogue of K3s's own keys.
// Reports everything at once, sorted by position. Pure, thread-safe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/coded_status.h"
#include "basalt/v1/machine_config.pb.h"
#include "basalt/v1/trust.pb.h"
#include "google/protobuf/message.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::validate {

enum class Stage {
  kSource,    // as a person wrote it: what nodectl fills in may be absent
  kComplete,  // as it is signed
};

struct Findings {
  std::vector<api::Violation> errors;
  std::vector<api::Violation> warnings;
  bool ok() const { return errors.empty(); }
};

// `source` may be empty: positions are then 0. `file` goes into the findings.
Findings Validate(const v1::MachineConfig& config, Stage stage, const yaml::SourceMap& source = {},
                  absl::string_view file = "");
Findings Validate(const v1::TrustPolicy& policy, const yaml::SourceMap& source = {},
                  absl::string_view file = "");
Findings Validate(const v1::Action& action, const yaml::SourceMap& source = {},
                  absl::string_view file = "");

// Decode + Validate, the whole way from bytes: what `nodectl validate` and a node both do. With
// errors the result is Invalid() with every violation; warnings go to `warnings` when it is not
// null.
absl::StatusOr<v1::MachineConfig> Load(absl::string_view text, absl::string_view file, Stage stage,
                                       std::vector<api::Violation>* warnings = nullptr);
absl::StatusOr<v1::TrustPolicy> LoadTrustPolicy(absl::string_view text, absl::string_view file);

// A machine config by the schema of another release (docs/source.h), into a `message` of it: its
// fields and annotations are those of that release, the rules between fields those of this one.
// With errors the message holds what could be read.
struct OtherSchema {
  std::function<bool(absl::string_view)> knows_k3s_key;
};
absl::Status LoadBy(const OtherSchema& schema, absl::string_view text, absl::string_view file,
                    Stage stage, google::protobuf::Message& message,
                    std::vector<api::Violation>* warnings = nullptr);

// Of a document that was accepted earlier, perhaps by a release that had fewer rules: decoded, not
// judged anew. A rule that a new release brings must not take away what a node runs and trusts.
absl::StatusOr<v1::MachineConfig> LoadAccepted(absl::string_view text);
absl::StatusOr<v1::TrustPolicy> LoadAcceptedTrustPolicy(absl::string_view text);

absl::StatusOr<v1::Action> LoadAction(absl::string_view text, absl::string_view file);

// A set of configs that were signed together. It has no rules that a later release could tighten:
// one that was accepted stays good.
absl::StatusOr<v1::ConfigSet> LoadConfigSet(absl::string_view text, absl::string_view file);

}  // namespace basalt::validate
