// Whether a document may be applied, and what it would change. CheckDocument runs in the pool:
// signatures first, then decoding. Admit and PlanUnsigned decide on the loop; they change nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/coded_status.h"
#include "basalt/v1/node_service.pb.h"
#include "machineconfig/sign/document.h"
#include "server/engine/node_state.h"

namespace basalt::engine {

struct CheckedDocument {
  absl::Status status;  // the rest is there when it is OK
  std::optional<sign::VerifiedDocument> document;
  ConfigPtr config;     // resolved, sealed; null when the document is the one in force
  ConfigPtr as_signed;  // not resolved, when it holds sealed secrets
  std::vector<std::string> warnings;
  int64_t trust_version = 0;  // the policy that it was checked against
};

// Pure, any thread. A caller without a certificate gets one code for every fault of the signatures.
// A document with the digest `in_force` is not decoded.
CheckedDocument CheckDocument(const v1::SignedDocument& document, const v1::TrustPolicy& policy,
                              bool authenticated, const std::string& in_force);
// The same for signatures alone.
absl::StatusOr<sign::VerifiedDocument> VerifyFor(const v1::SignedDocument& document,
                                                 v1::DocumentType type,
                                                 const v1::TrustPolicy& policy, bool authenticated);

struct Admitted {
  ConfigPtr config;  // resolved, its secrets opened
  v1::PlanReply plan;
  bool same_meaning = false;
  bool touches_api = false;
  std::vector<std::string> changed_paths;
};

// Everything that section "Refused" of the trust model names, then the plan. Reasons: those of
// sign::Admit, AuthorizeConfig and CheckDestructive; those of config_secrets.h, which opens secrets
// once everything before has passed; barred-digest; those of the controllers'
// guards. The plan may hold steps that this platform cannot do: it is shown, and CheckImplemented
// refuses to apply it.
absl::StatusOr<Admitted> Admit(const NodeState& state, const ControllerSet& controllers,
                               const CheckedDocument& checked);

// Unimplemented "unimplemented-on-platform" when a step of the plan says so of itself.
absl::Status CheckImplemented(const v1::PlanReply& plan);

// An unsigned source against what runs. Fields that signing fills in are taken from what runs, and
// so are its secrets where they are sealed: its owners can open them, the node cannot.
absl::StatusOr<v1::PlanReply> PlanUnsigned(const NodeState& state, const ControllerSet& controllers,
                                           v1::MachineConfig source,
                                           const std::vector<std::string>& warnings);

// For callers who may not read: paths, effects and the document's own values stay.
void BlankOldValues(v1::PlanReply& plan);

}  // namespace basalt::engine
