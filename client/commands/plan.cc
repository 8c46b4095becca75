// nodectl plan and diff: what a document would change on a node.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/commands/inputs.h"
#include "client/commands/planning.h"
#include "client/commands/sealing.h"
#include "client/output/errors.h"
#include "client/output/external_diff.h"
#include "client/output/messages.h"
#include "client/output/plan_text.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/emit.h"
#include "machineconfig/yaml/flow.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

constexpr int kChanges = 1;          // kubectl diff
constexpr int kChangesDetailed = 2;  // terraform plan -detailed-exitcode

void Print(Io& io, const std::string& node, const std::string& file, const v1::PlanReply& plan,
           bool diff, bool name_it) {
  if (io.json()) {
    nlohmann::ordered_json out;
    out["node"] = node;
    out["file"] = file;
    out["plan"] = nlohmann::ordered_json::parse(ToJson(plan), nullptr, false);
    io.out << out.dump(-1, ' ', true) << "\n";
  } else if (io.format == Format::kYaml) {
    nlohmann::ordered_json out;
    out["node"] = node;
    out["file"] = file;
    out["plan"] = nlohmann::ordered_json::parse(ToJson(plan), nullptr, false);
    // One document each: a second `node:` beside the first would be a duplicate key.
    io.out << "---\n" << JsonToYaml(out.dump());
  } else if (diff) {
    const std::string text = DiffText(io, plan);
    // Of one file only its changes; of several, whose they are.
    if (name_it && !text.empty()) io.out << Bold(io, node) << " (" << Escape(file) << ")\n";
    io.out << text;
  } else {
    io.out << Bold(io, node) << " (" << Escape(file) << ")\n" << PlanText(io, plan);
  }
}

// One node: Hello, then the plan, within the timeout together.
absl::StatusOr<v1::PlanReply> PlanOf(Session& session, NodeClient& client, const Input& input,
                                     const Document& document, const PlanOptions& options) {
  const std::optional<absl::Duration>& timeout = options.timeout;
  const absl::Time end = absl::Now() + timeout.value_or(absl::InfiniteDuration());
  absl::StatusOr<v1::HelloReply> hello =
      client.Hello(std::min(kHelloTimeout, timeout.value_or(kHelloTimeout)));
  if (!hello.ok()) return hello.status();
  const absl::Duration left = timeout ? end - absl::Now() : kPlanTimeout;
  return document.is_signed ? PlanSigned(client, document.envelope, left)
                            : PlanSource(session, client, *hello, input, document.config, left,
                                         options.identities);
}

// What runs and what would, redacted, for a program that compares. Secrets that differ say so:
// their values are shown to nobody.
Compared Versions(NodeClient& client, const InventoryNode& node, const Document& document,
                  const v1::PlanReply& plan) {
  Compared out{.name = absl::StrCat(node.name, ".yaml")};
  absl::StatusOr<v1::GetConfigReply> running = client.GetConfig(0);
  v1::MachineConfig before;
  if (running.ok() && yaml::Decode(running->yaml(), "", before).ok()) out.before = running->yaml();
  v1::MachineConfig after = document.config;
  if (!document.is_signed) {  // what nodectl fills in is no difference
    v1::Metadata& metadata = *after.mutable_metadata();
    const v1::Metadata& old = before.metadata();
    if (!metadata.has_epoch() && old.has_epoch()) metadata.set_epoch(old.epoch());
    if (!metadata.has_generation() && old.has_generation()) {
      metadata.set_generation(old.generation());
    }
    if (!metadata.has_signed_at() && old.has_signed_at()) metadata.set_signed_at(old.signed_at());
    if (!after.has_target() && before.has_target()) *after.mutable_target() = before.target();
  }
  out.after = yaml::Emit(after, {.redact = true});
  for (const v1::PlannedChange& change : plan.changes()) {
    if (change.new_value() != yaml::QuotedText(yaml::kRedacted)) continue;
    absl::StrAppend(&out.after, "# ", Escape(change.path()), ": another secret\n");
  }
  return out;
}

}  // namespace

absl::StatusOr<int> RunPlan(Session& session, const PlanOptions& options) {
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs(options.files);
  if (!inputs.ok()) return inputs.status();
  bool changes = false;
  const std::string external = options.diff ? ExternalDiffCommand() : "";
  std::vector<Compared> compared;
  for (Input& input : *inputs) {
    if (absl::Status s = CheckSignatures(session, input); !s.ok()) return s;
    absl::StatusOr<Document> document = ReadDocument(input);
    if (!document.ok()) return document.status();
    PrintViolations(session.io(), "warning", document->warnings);
    absl::Status opened = OpenSealedIfAble(session, options.identities, input, *document);
    if (!opened.ok()) return opened;
    absl::StatusOr<InventoryNode> node = DestinationOf(session, *document, options.node);
    if (!node.ok()) return node.status();
    absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
    if (!client.ok()) return client.status();
    if (document->is_signed) {
      absl::Status good = CheckEnvelope(session, *document, *node);
      if (!good.ok()) return AtNode(good, node->name);
    }
    absl::StatusOr<v1::PlanReply> plan = PlanOf(session, **client, input, *document, options);
    if (!plan.ok()) return AtNode(plan.status(), node->name);
    changes = changes || !plan->unchanged();
    if (options.diff && !external.empty() && !session.io().json()) {
      compared.push_back(Versions(**client, *node, *document, *plan));
      continue;
    }
    Print(session.io(), node->name, input.file, *plan, options.diff, inputs->size() > 1);
  }
  if (!changes) return 0;
  if (!compared.empty()) return RunExternalDiff(session.io(), external, compared);
  if (options.diff) return kChanges;
  return options.detailed_exit_code ? kChangesDetailed : 0;
}

}  // namespace basalt::client
