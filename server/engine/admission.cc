#include "server/engine/admission.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "machineconfig/diff/diff.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/validate/validate.h"
#include "server/engine/config_secrets.h"
#include "server/engine/ledger.h"

namespace basalt::engine {
namespace {

v1::ChangeKind Kind(diff::ChangeKind kind) {
  switch (kind) {
    case diff::ChangeKind::kAdd:
      return v1::CHANGE_KIND_ADD;
    case diff::ChangeKind::kRemove:
      return v1::CHANGE_KIND_REMOVE;
    case diff::ChangeKind::kModify:
      return v1::CHANGE_KIND_MODIFY;
    case diff::ChangeKind::kNotCompared:
      return v1::CHANGE_KIND_NOT_COMPARED;
  }
  return v1::CHANGE_KIND_UNSPECIFIED;
}

// The image has a controller of its own, and a name of its own for platforms and plans.
constexpr absl::string_view kImage = "system.image";

std::string SectionOf(const diff::Change& change) {
  if (change.path == kImage || absl::StartsWith(change.path, "system.image.")) {
    return std::string(kImage);
  }
  return change.path.substr(0, change.path.find_first_of(".["));
}

// A step for each section that changes and that this platform cannot apply, so that a plan says so
// instead of leaving it out. A controller that is there says it of its own section itself.
void AddUnimplemented(const host::Platform& platform, const std::vector<diff::Change>& changes,
                      std::vector<PlanStep>& steps) {
  std::map<std::string, v1::Effect> sections;  // and what it would cost
  for (const diff::Change& change : changes) {
    v1::Effect& effect = sections[SectionOf(change)];
    effect = std::max(effect, change.effect);
  }
  for (const PlanStep& step : steps) {
    if (!step.unimplemented.empty()) sections.erase(step.controller);
  }
  for (const auto& [section, effect] : sections) {
    std::string why = platform.Unimplemented(section);
    if (why.empty()) continue;
    steps.push_back({.controller = section,
                     .description = absl::StrCat("apply what changes in `", section, "`"),
                     .effect = effect,
                     .unimplemented = std::move(why)});
  }
}

// Changes, steps, effect and warnings.
absl::StatusOr<v1::PlanReply> MakePlan(const NodeState& state, const ControllerSet& controllers,
                                       const v1::MachineConfig& to,
                                       const std::vector<diff::Change>& changes,
                                       const std::vector<std::string>& warnings) {
  const v1::MachineConfig* from = state.committed_config();
  absl::StatusOr<ControllerPlan> steps = controllers.Plan(from, to);
  if (!steps.ok()) return steps.status();
  AddUnimplemented(state.deps.platform, changes, steps->steps);
  v1::PlanReply plan;
  v1::Effect effect = diff::TotalEffect(changes);
  for (const diff::Change& change : changes) {
    v1::PlannedChange& out = *plan.add_changes();
    out.set_path(change.path);
    out.set_kind(Kind(change.kind));
    out.set_old_value(change.old_value);
    out.set_new_value(change.new_value);
    out.set_effect(change.effect);
  }
  for (const PlanStep& step : steps->steps) {
    v1::PlannedStep& out = *plan.add_steps();
    out.set_controller(step.controller);
    out.set_description(step.description);
    out.set_effect(step.effect);
    out.set_unimplemented(step.unimplemented);
    effect = std::max(effect, step.effect);
  }
  for (const std::string& warning : warnings) plan.add_warnings(warning);
  for (const std::string& warning : steps->warnings) plan.add_warnings(warning);
  plan.set_effect(effect);
  plan.set_unchanged(from != nullptr && diff::SameMeaning(changes));
  if (state.committed != nullptr) {
    plan.set_base_digest(absl::StrCat("sha256:", state.committed->digest()));
    plan.set_base_generation(state.committed->stored.entry().generation());
  }
  return plan;
}

}  // namespace

absl::StatusOr<sign::VerifiedDocument> VerifyFor(const v1::SignedDocument& document,
                                                 v1::DocumentType type,
                                                 const v1::TrustPolicy& policy,
                                                 bool authenticated) {
  absl::StatusOr<sign::VerifiedDocument> verified = sign::Verify(document, type, policy);
  if (verified.ok() || authenticated) return verified;
  // Which key is known here is nobody's business before a signature has passed.
  return api::Coded(absl::StatusCode::kPermissionDenied, "bad-signature",
                    "the signatures of the document are not accepted by this node",
                    "nodectl verify names the cause");
}

CheckedDocument CheckDocument(const v1::SignedDocument& document, const v1::TrustPolicy& policy,
                              bool authenticated, const std::string& in_force) {
  CheckedDocument out;
  out.trust_version = policy.version();
  absl::StatusOr<sign::VerifiedDocument> verified =
      VerifyFor(document, v1::DOCUMENT_TYPE_MACHINE_CONFIG, policy, authenticated);
  if (!verified.ok()) {
    out.status = verified.status();
    return out;
  }
  out.document = *std::move(verified);
  if (out.document->digest().Hex() == in_force) return out;
  std::vector<api::Violation> warnings;
  absl::StatusOr<v1::MachineConfig> config =
      validate::Load(out.document->payload(), "", validate::Stage::kComplete, &warnings);
  if (!config.ok()) {
    out.status = config.status();
    return out;
  }
  for (const api::Violation& warning : warnings) out.warnings.push_back(warning.ToString());
  // Nothing is opened here: the target and the floor are asked on the loop.
  if (schema::HasSealedSecrets(*config)) out.as_signed = Own(*config);
  out.config = Own(schema::Resolve(*std::move(config)));
  return out;
}

absl::StatusOr<Admitted> Admit(const NodeState& state, const ControllerSet& controllers,
                               const CheckedDocument& checked) {
  const v1::TrustPolicy& policy = state.deps.trust.policy();
  const v1::MachineConfig* from = state.committed_config();
  const Digest& digest = checked.document->digest();
  const std::vector<sign::Signer>& signers = checked.document->signers();

  absl::Status status =
      sign::Admit(*checked.config, digest, Facts(state), sign::SignedByRoot(policy, signers));
  if (status.ok()) status = sign::CheckPlaintext(policy, *checked.config);
  if (!status.ok()) return status;
  // From here on opened values are compared: age gives the same value another text each time.
  ConfigPtr opened = checked.config;
  if (checked.as_signed != nullptr) {
    absl::StatusOr<v1::MachineConfig> config = OpenForApply(*checked.as_signed, state.deps.sealing);
    if (!config.ok()) return config.status();
    opened = Own(schema::Resolve(*std::move(config)));
  }
  const v1::MachineConfig& to = *opened;
  std::vector<diff::Change> changes = diff::Diff(from, to);
  status = sign::AuthorizeConfig(policy, signers, changes, from, to);
  if (!status.ok()) return status;
  status = sign::CheckDestructive(changes, from, to);
  if (!status.ok()) return status;
  if (state.journal.ledger().barred_digest() == digest.Hex()) {
    // Whoever waited for it over a reboot asks again, and hears here how it ended.
    const stored::Entry* ended = FindEntry(state.journal.ledger(), digest.Hex());
    const std::string why =
        ended == nullptr || ended->result_code().empty()
            ? ""
            : absl::StrCat(": ", ended->result(), " [", ended->result_code(), "]");
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "barred-digest",
        absl::StrCat("this document was applied before and the node was not healthy with it", why),
        "correct it and sign it as a new generation");
  }

  Admitted out;
  out.config = opened;
  for (const diff::Change& change : changes) {
    const std::string section = SectionOf(change);
    // Whoever changes how the node is reached has to come back.
    out.touches_api |= section == "api" || section == "network";
    out.changed_paths.push_back(change.path);
  }
  absl::StatusOr<v1::PlanReply> plan = MakePlan(state, controllers, to, changes, checked.warnings);
  if (!plan.ok()) return plan.status();
  plan->set_digest(digest.ToString());
  out.same_meaning = plan->unchanged();
  out.plan = *std::move(plan);
  return out;
}

absl::Status CheckImplemented(const v1::PlanReply& plan) {
  std::map<std::string, std::vector<std::string>> sections;  // by the reason
  for (const v1::PlannedStep& step : plan.steps()) {
    if (step.unimplemented().empty()) continue;
    std::vector<std::string>& of = sections[step.unimplemented()];
    const std::string name = absl::StrCat("`", step.controller(), "`");
    if (of.empty() || of.back() != name) of.push_back(name);
  }
  if (sections.empty()) return absl::OkStatus();
  std::vector<std::string> whats, names;
  for (const auto& [why, of] : sections) {
    whats.push_back(
        absl::StrCat(absl::StrJoin(of, ", "), " cannot be applied by this node: ", why));
    names.insert(names.end(), of.begin(), of.end());
  }
  return api::Coded(
      absl::StatusCode::kUnimplemented, "unimplemented-on-platform", absl::StrJoin(whats, "; "),
      absl::StrCat("leave ", absl::StrJoin(names, ", "), " out of the config of this node"));
}

absl::StatusOr<v1::PlanReply> PlanUnsigned(const NodeState& state, const ControllerSet& controllers,
                                           v1::MachineConfig source,
                                           const std::vector<std::string>& warnings) {
  const v1::MachineConfig* from = state.committed_config();
  if (from == nullptr) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "no-config",
                      "this node has no config to compare an unsigned source with",
                      "nodectl compares it with an empty one");
  }
  v1::Metadata& metadata = *source.mutable_metadata();
  if (!metadata.has_epoch()) metadata.set_epoch(from->metadata().epoch());
  if (!metadata.has_generation()) metadata.set_generation(from->metadata().generation());
  if (!metadata.has_signed_at()) metadata.set_signed_at(from->metadata().signed_at());
  if (!source.has_target()) *source.mutable_target() = from->target();
  std::vector<diff::Change> changes = diff::Diff(from, source, {.compare_secrets = false});
  std::vector<std::string> all = warnings;
  if (absl::Status status = sign::CheckDestructive(changes, from, source); !status.ok()) {
    all.push_back(absl::StrCat("an apply would refuse this: ", std::string(status.message())));
  }
  return MakePlan(state, controllers, WithSecretsOf(std::move(source), *from), changes, all);
}

void BlankOldValues(v1::PlanReply& plan) {
  for (v1::PlannedChange& change : *plan.mutable_changes()) change.clear_old_value();
}

}  // namespace basalt::engine
