#include "client/commands/planning.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/sealing.h"
#include "client/commands/signing.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/plan_text.h"
#include "machineconfig/diff/diff.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/sign/document.h"

namespace basalt::client {
namespace {

// A source leaves out what the signer fills in: those fields are no change by themselves.
v1::MachineConfig WithBookkeepingOf(v1::MachineConfig config, const v1::MachineConfig& running) {
  v1::Metadata& metadata = *config.mutable_metadata();
  if (!metadata.has_epoch()) metadata.set_epoch(running.metadata().epoch());
  if (!metadata.has_generation()) metadata.set_generation(running.metadata().generation());
  if (!metadata.has_signed_at()) metadata.set_signed_at(running.metadata().signed_at());
  if (!config.has_target() && running.has_target()) *config.mutable_target() = running.target();
  return config;
}

bool HasUncompared(const v1::PlanReply& plan) {
  for (const v1::PlannedChange& change : plan.changes()) {
    if (change.kind() == v1::CHANGE_KIND_NOT_COMPARED) return true;
  }
  return false;
}

// Of a first config: what the node would say of it once it is signed.
v1::PlanReply PlanOfFirst(const v1::HelloReply& hello, const v1::MachineConfig& config) {
  v1::PlanReply plan = ToPlan(diff::Diff(nullptr, schema::Resolve(config)));
  std::vector<std::string> sections;
  std::map<std::string, v1::Effect> effects;
  for (const v1::PlannedChange& change : plan.changes()) {
    const std::string section = change.path().substr(0, change.path().find_first_of(".["));
    auto [it, fresh] = effects.try_emplace(section, change.effect());
    it->second = std::max(it->second, change.effect());
    if (fresh && hello.unimplemented().count(section)) sections.push_back(section);
  }
  for (const std::string& section : sections) {
    v1::PlannedStep& step = *plan.add_steps();
    step.set_controller(section);
    step.set_description(absl::StrCat("apply what changes in `", section, "`"));
    step.set_effect(effects[section]);
    step.set_unimplemented(hello.unimplemented().at(section));
  }
  return plan;
}

}  // namespace

absl::StatusOr<InventoryNode> DestinationOf(Session& session, const Document& document,
                                            const std::string& name) {
  absl::StatusOr<InventoryNode> node =
      session.Node(name.empty() ? document.config.metadata().name() : name);
  if (!node.ok() && name.empty()) return api::InFile(node.status(), document.file);
  return node;
}

absl::Status CheckSignatures(Session& session, const Input& input) {
  if (!input.is_envelope) return absl::OkStatus();
  absl::StatusOr<v1::SignedDocument> envelope = sign::FromDsseJson(input.text);
  if (!envelope.ok()) return api::InFile(envelope.status(), input.file);
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  return api::InFile(
      sign::Verify(*envelope, v1::DOCUMENT_TYPE_MACHINE_CONFIG, (*trust)->policy).status(),
      input.file);
}

absl::Status CheckEnvelope(Session& session, const Document& document, const InventoryNode& node) {
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  absl::Status good = VerifyLocally(**trust, document.envelope, document.config);
  if (!good.ok()) return api::InFile(good, document.file);
  return CheckTarget(document, node);
}

absl::Status CheckTarget(const Document& document, const InventoryNode& node) {
  const v1::Target& target = document.config.target();
  if (target.has_machine_id() && !node.fingerprint.empty() &&
      target.machine_id() != node.fingerprint) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kFailedPrecondition, "wrong-target",
                   absl::StrCat(document.file, " is for machine ", target.machine_id(), " (",
                                document.config.metadata().name(), "), and ", node.name,
                                " is machine ", node.fingerprint),
                   document.is_signed
                       ? "send it to its own node, or sign one for this node"
                       : "correct target.machineId, or leave `target` out: it is filled in"),
        "file", document.file);
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::PlanReply> PlanSigned(NodeClient& client, const v1::SignedDocument& document,
                                         absl::Duration timeout) {
  v1::PlanRequest request;
  *request.mutable_signed_() = document;
  return client.Plan(request, timeout);
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

absl::StatusOr<v1::MachineConfig> FindSigned(const Context& context, const std::string& node,
                                             const std::string& digest) {
  const std::string directory = JoinPath(context.signed_directory, node);
  absl::StatusOr<std::vector<std::string>> files = ListFiles(directory);
  if (files.ok() && !digest.empty()) {
    // The newest first: what runs is nearly always the last one.
    for (auto it = files->rbegin(); it != files->rend(); ++it) {
      if (!absl::EndsWith(*it, ".json")) continue;
      const std::string path = JoinPath(directory, *it);
      absl::StatusOr<std::string> text = ReadFile(path);
      if (!text.ok()) continue;
      absl::StatusOr<v1::SignedDocument> document = sign::FromDsseJson(*text);
      if (!document.ok() || sign::DocumentDigest(*document).ToString() != digest) continue;
      absl::StatusOr<Document> read = ReadDocument({path, *text, true});
      if (!read.ok()) return read.status();
      return read->config;
    }
  }
  return api::Coded(absl::StatusCode::kNotFound, "no-copy",
                    absl::StrCat("no copy of ", digest, " in ", directory));
}

absl::StatusOr<v1::PlanReply> PlanSource(Session& session, NodeClient& client,
                                         const v1::HelloReply& hello, const Input& input,
                                         const v1::MachineConfig& config, absl::Duration timeout,
                                         const std::vector<std::string>& identity_files) {
  if (hello.state() != "configured") {
    return PlanOfFirst(hello, config);
  }
  v1::PlanRequest request;
  request.set_unsigned_yaml(input.text);
  absl::StatusOr<v1::PlanReply> plan = client.Plan(request, timeout);
  if (!plan.ok() || !HasUncompared(*plan)) return plan;
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<v1::MachineConfig> running =
      FindSigned(**context, config.metadata().name(), plan->base_digest());
  if (!running.ok() || !OpenForComparison(session, identity_files, *running)) {
    // Ignoring: without a copy that opens the secrets stay "not compared", and so it cannot be
    // called unchanged.
    plan->set_unchanged(false);
    return plan;
  }
  const v1::MachineConfig from = schema::Resolve(*running);
  const v1::MachineConfig to = schema::Resolve(WithBookkeepingOf(config, *running));
  const std::vector<diff::Change> changes = diff::Diff(&from, to);
  v1::PlanReply exact = ToPlan(changes);
  exact.set_unchanged(diff::SameMeaning(changes));
  exact.set_base_digest(plan->base_digest());
  exact.set_base_generation(plan->base_generation());
  *exact.mutable_warnings() = plan->warnings();
  if (exact.unchanged()) return exact;
  *exact.mutable_steps() = plan->steps();
  // The node takes secrets for unchanged: what another one costs only this side knows.
  v1::Effect told = v1::EFFECT_NONE;
  for (const v1::PlannedStep& step : plan->steps()) told = std::max(told, step.effect());
  if (exact.effect() > std::max(told, plan->effect())) {
    v1::PlannedStep& step = *exact.add_steps();
    step.set_controller("secrets");
    step.set_description("take over the secrets that are others");
    step.set_effect(exact.effect());
  }
  return exact;
}

}  // namespace basalt::client
