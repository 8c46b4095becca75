#include "client/commands/preview.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "client/commands/inputs.h"
#include "client/commands/planning.h"
#include "client/commands/sealing.h"
#include "client/commands/signing.h"
#include "client/commands/trust_words.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "client/output/plan_text.h"
#include "machineconfig/diff/diff.h"
#include "machineconfig/schema/resolve.h"
#include "machineconfig/sign/next_policy.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::client {
namespace {

constexpr absl::Duration kHello = absl::Seconds(3);
constexpr absl::Duration kPlan = absl::Seconds(10);

struct Comparison {
  v1::PlanReply plan;
  std::string with;
  bool with_something = true;               // there is a config that would be changed
  std::optional<v1::MachineConfig> before;  // that config, when it is known here
};

// The name under which the machine is known until the config is there.
const std::string& KnownAs(const Reached& reached, const v1::MachineConfig& config) {
  return reached.name.empty() ? config.metadata().name() : reached.name;
}

absl::StatusOr<Comparison> WithNode(Session& session, const v1::MachineConfig& config,
                                    const v1::MachineConfig& opened, const Reached& reached,
                                    const std::vector<std::string>& identity_files) {
  const std::string& name = KnownAs(reached, config);
  // The node gets the config as it will be signed: nothing of it was agreed to yet.
  absl::StatusOr<v1::PlanReply> plan = PlanSource(
      session, *reached.client, *reached.hello,
      {absl::StrCat(name, ".yaml"), yaml::Emit(config), false}, opened, kPlan, identity_files);
  if (!plan.ok()) return plan.status();
  Comparison out{.plan = *std::move(plan)};
  out.with_something = reached.hello->state() == "configured";
  out.with = out.with_something
                 ? absl::StrCat("what ", name, " runs now: generation ", out.plan.base_generation())
                 : absl::StrCat(name, " as it is now: without a config");
  absl::StatusOr<const Context*> context = session.context();
  if (out.with_something && context.ok()) {
    // Ignoring: without a copy of what runs there is nothing to say of grants.
    auto running = FindSigned(**context, name, out.plan.base_digest());
    if (running.ok()) {
      OpenForComparison(session, identity_files, *running);
      out.before = *std::move(running);
    }
  }
  return out;
}

absl::StatusOr<Comparison> WithLastSigned(Session& session, const v1::MachineConfig& config,
                                          const std::string& name, const std::string& why_not,
                                          const std::vector<std::string>& identity_files) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  // Ours may be kept already, when a second signature is added to it.
  const int64_t last =
      SignedBefore(**context, name, config.metadata().epoch(), config.metadata().generation());
  const v1::MachineConfig to = schema::Resolve(config);
  const std::string unasked = absl::StrCat(" (", name, " was not asked: ", why_not, ")");
  if (last == 0) {
    return Comparison{.plan = ToPlan(diff::Diff(nullptr, to)),
                      .with = absl::StrCat("nothing: none was signed here before", unasked),
                      .with_something = false};
  }
  const std::string file = (*context)->SignedFile(name, last);
  absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return text.status();
  const Input input{file, *text, true};
  // It lies in our own directory, and still: what is not signed well is no measure of anything.
  if (absl::Status s = CheckSignatures(session, input); !s.ok()) {
    return Comparison{.plan = ToPlan(diff::Diff(nullptr, to)),
                      .with = absl::StrCat("nothing: ", file, " is not trusted any more", unasked),
                      .with_something = false};
  }
  absl::StatusOr<Document> before = ReadDocument(input);
  if (!before.ok()) return before.status();
  // Ignoring: what does not open is shown as not compared.
  OpenForComparison(session, identity_files, before->config);
  const v1::MachineConfig from = schema::Resolve(before->config);
  Comparison out{.plan = ToPlan(diff::Diff(&from, to)),
                 .with = absl::StrCat("what was signed here last: generation ", last, unasked)};
  out.before = from;
  out.plan.set_base_digest("signed");  // there is one: PlanText says otherwise without
  return out;
}

}  // namespace

Reached Reach(Session& session, const InventoryNode* node) {
  Reached out;
  if (node == nullptr) {
    out.why_not = "it is not in the inventory";
    return out;
  }
  out.name = node->name;
  if (node->fingerprint.empty()) {
    out.why_not = "it is not pinned";
    return out;
  }
  if (session.io().err_terminal) session.io().err << "asking " << node->name << " ...\n";
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) {
    out.why_not = CodeOf(client.status());
    return out;
  }
  absl::StatusOr<v1::HelloReply> hello = (*client)->Hello(kHello);
  if (!hello.ok()) {
    out.why_not = CodeOf(hello.status());
    return out;
  }
  out.client = *std::move(client);
  out.hello = *std::move(hello);
  return out;
}

const InventoryNode* MachineOf(const Inventory& inventory, const std::string& name,
                               const v1::MachineConfig& config) {
  const InventoryNode* node = inventory.Find(name.empty() ? config.metadata().name() : name);
  if (node != nullptr || !name.empty() || !config.target().has_machine_id()) return node;
  for (const InventoryNode& known : inventory.nodes()) {
    if (known.fingerprint == config.target().machine_id()) return &known;
  }
  return nullptr;
}

absl::Status ShowConfig(Session& session, const v1::MachineConfig& config,
                        const v1::MachineConfig& opened, const Reached& reached, bool yes,
                        const std::vector<std::string>& identity_files,
                        std::optional<v1::MachineConfig>* before) {
  Io& io = session.io();
  std::string why_not = reached.why_not;
  absl::StatusOr<Comparison> shown = absl::UnavailableError("");
  if (reached.client != nullptr) {
    shown = WithNode(session, config, opened, reached, identity_files);
    // Ignoring: who may only deliver is not told; the last signed file is the guide.
    if (!shown.ok()) why_not = CodeOf(shown.status());
  }
  if (!shown.ok()) {
    shown = WithLastSigned(session, opened, KnownAs(reached, config), why_not, identity_files);
  }
  if (!shown.ok()) return shown.status();
  if (before != nullptr) *before = shown->before;
  const std::string& name = config.metadata().name();
  io.err << Bold(io, Escape(name));
  if (KnownAs(reached, config) != name) {
    io.err << ", a new name for the machine " << Escape(reached.name);
  }
  io.err << ", compared with " << Escape(shown->with) << "\n"
         << (shown->plan.unchanged() ? std::string("  nothing would change\n")
                                     : DiffText(io, shown->plan, PlanDetail::kWhole));
  for (const v1::PlannedStep& step : shown->plan.steps()) {
    io.err << "  * " << Escape(step.controller()) << ": " << Escape(step.description()) << "\n";
  }
  if (!shown->plan.unchanged()) {
    io.err << "  effect: " << EffectWord(shown->plan.effect()) << "\n";
  }
  if (!shown->with_something || !IsDrastic(shown->plan)) return absl::OkStatus();
  return AtNode(Confirm(io,
                        absl::StrCat("The effect on ", name, " is ",
                                     EffectWord(shown->plan.effect()), ". Sign?"),
                        yes),
                name);
}

absl::Status ShowPolicy(Session& session, const v1::SignedDocument& document) {
  Io& io = session.io();
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  absl::StatusOr<sign::NextPolicy> next = sign::CheckNext(**trust, document);
  if (!next.ok()) return next.status();
  io.err << Bold(io, absl::StrCat("trust policy of ", next->policy.cluster(), ", version ",
                                  (*trust)->policy.version(), " -> ", next->policy.version()))
         << "\n"
         << PolicyDiffText(io, PolicyChanges((*trust)->policy, next->policy));
  const std::vector<std::string> missing = MissingWords(*next);
  if (!missing.empty()) {
    io.err << "  awaits signatures: " << Escape(absl::StrJoin(missing, "; ")) << "\n";
  }
  return absl::OkStatus();
}

absl::Status ShowAction(Session& session, const v1::Action& action, bool yes) {
  Io& io = session.io();
  std::string where = absl::StrCat("machine ", action.target().machine_id());
  absl::StatusOr<const Inventory*> inventory = session.inventory();
  // Ignoring: without an inventory the machine has no name.
  if (inventory.ok()) {
    for (const InventoryNode& node : (*inventory)->nodes()) {
      if (node.fingerprint == action.target().machine_id()) {
        where = absl::StrCat(node.name, " (", where, ")");
      }
    }
  }
  io.err << Bold(io, Escape(absl::StrCat(action.verb(), " of ", where))) << "\n";
  for (const auto& [key, value] : action.arguments()) {
    io.err << "  " << Escape(key) << ": " << Escape(value) << "\n";
  }
  if (!action.reason().empty()) io.err << "  reason: " << Escape(action.reason()) << "\n";
  io.err << "  good from " << Escape(action.signed_at()) << " until " << Escape(action.not_after())
         << ", once\n";
  if (action.verb() == "reset") io.err << "  erases its config, its K3s and its data\n";
  return Confirm(io, absl::StrCat("Sign the order to ", Escape(action.verb()), "?"), yes);
}

}  // namespace basalt::client
