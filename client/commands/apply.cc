// nodectl apply: signs when it is given a source, shows the plan, delivers, waits for the end.
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/apply_report.h"
#include "client/commands/commands.h"
#include "client/commands/inputs.h"
#include "client/commands/planning.h"
#include "client/commands/recipients.h"
#include "client/commands/sealing.h"
#include "client/commands/signing.h"
#include "client/context/files.h"
#include "client/fleet/apply_session.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "client/output/plan_text.h"
#include "machineconfig/sign/document.h"

namespace basalt::client {
namespace {

void Pause(absl::Duration duration) {
  timespec left = absl::ToTimespec(duration);
  while (nanosleep(&left, &left) != 0) {
  }
}

// Ctrl-C while the node works: it ends the wait as --timeout does, and a person who does not know
// that would think that the change was stopped.
class InterruptNotice {
 public:
  explicit InterruptNotice(const std::string& node) {
    text_ = absl::StrCat("\n", node,
                         ": interrupted: the node goes on with the apply (nodectl status -n ", node,
                         " shows how it ends, nodectl cancel -n ", node, " takes it back)\n");
    data_ = text_.data();
    size_ = text_.size();
    struct sigaction action {};
    action.sa_handler = [](int) {
      ssize_t ignored = write(STDERR_FILENO, data_, size_);
      (void)ignored;
      _exit(130);
    };
    sigaction(SIGINT, nullptr, &before_);
    // Ignored by whoever started us (nohup, a job in the background): it stays so.
    if (before_.sa_handler != SIG_IGN) sigaction(SIGINT, &action, nullptr);
  }
  ~InterruptNotice() { sigaction(SIGINT, &before_, nullptr); }
  InterruptNotice(const InterruptNotice&) = delete;
  InterruptNotice& operator=(const InterruptNotice&) = delete;

 private:
  static inline std::string text_;
  // A handler may look at nothing else.
  static inline const char* data_ = nullptr;
  static inline size_t size_ = 0;
  struct sigaction before_ {};
};

// One document to one node. OK: it is committed and healthy, staged, awaits confirmation, or there
// was nothing to do.
class Delivery {
 public:
  Delivery(Session& session, const ApplyOptions& options, const Input& input)
      : session_(session), options_(options), input_(input), report_(session.io()) {}

  absl::Status Run() {
    if (absl::Status s = CheckSignatures(session_, input_); !s.ok()) return s;
    absl::StatusOr<Document> document = ReadDocument(input_);
    if (!document.ok()) return document.status();
    PrintViolations(session_.io(), "warning", document->warnings);
    absl::Status opened = OpenSealed(session_, options_.signing.identities, input_, *document);
    if (!opened.ok()) return opened;
    absl::StatusOr<InventoryNode> node = DestinationOf(session_, *document, options_.node);
    if (!node.ok()) return node.status();
    node_ = *node;
    report_.SetNode(node_.name);
    return AtNode(Deliver(*document), node_.name);
  }

 private:
  absl::Status Deliver(const Document& document) {
    // What is wrong with the envelope is found before anything goes over the network.
    if (document.is_signed) {
      if (absl::Status s = CheckEnvelope(session_, document, node_); !s.ok()) return s;
    }
    absl::StatusOr<std::unique_ptr<NodeClient>> client = session_.ConnectTo(node_);
    if (!client.ok()) return client.status();
    absl::StatusOr<v1::HelloReply> hello = (*client)->Hello(absl::Seconds(20));
    if (!hello.ok()) return hello.status();

    v1::SignedDocument envelope = document.envelope;
    v1::MachineConfig config = document.config;
    if (!document.is_signed) {
      if (absl::Status s = CheckTarget(document, node_); !s.ok()) return s;
      bool unchanged = false;
      if (absl::Status s = IsUnchanged(**client, *hello, document, unchanged); !s.ok()) return s;
      if (unchanged) {
        report_.Unchanged(hello->machine_id());
        return absl::OkStatus();
      }
      absl::StatusOr<SignedConfig> made =
          SignConfig(session_, input_.file, document.config, &node_, *hello, options_.signing);
      if (!made.ok()) return made.status();
      absl::StatusOr<const sign::VerifiedChain*> trust = session_.trust();
      if (!trust.ok()) return trust.status();
      absl::Status good = VerifyLocally(**trust, made->document, made->config);
      if (!good.ok()) return good;
      report_.Signed(made->filled_in, made->digest);
      envelope = made->document;
      config = made->config;
    }
    absl::StatusOr<v1::PlanReply> plan = PlanSigned(**client, envelope);
    if (!plan.ok()) return plan.status();
    report_.Planned(*plan);
    if (options_.dry_run) {
      report_.DryRun();
      return absl::OkStatus();
    }
    // The node would refuse it too: nobody shall be asked for his consent before.
    if (absl::Status able = CheckImplemented(*plan); !able.ok()) return able;
    if (IsDrastic(*plan)) {
      absl::Status sure = Confirm(session_.io(),
                                  absl::StrCat("The effect on ", node_.name, " is ",
                                               EffectWord(plan->effect()), ". Apply?"),
                                  options_.yes);
      if (!sure.ok()) return sure;
    }
    return Wait(*std::move(client), envelope, config);
  }

  // A source whose meaning equals what runs: nothing is signed and nothing is sent.
  absl::Status IsUnchanged(NodeClient& client, const v1::HelloReply& hello,
                           const Document& document, bool& unchanged) {
    unchanged = false;
    const SigningOptions& signing = options_.signing;
    if (hello.state() != "configured" || !signing.mode.empty()) return absl::OkStatus();
    absl::StatusOr<v1::PlanReply> plan = PlanSource(
        session_, client, hello, input_, document.config, kPlanTimeout, signing.identities);
    if (plan.ok()) {
      unchanged = plan->unchanged() && !SomethingWaits(client) && !SigningAnewHelps(client);
      return absl::OkStatus();
    }
    // Ignoring: who may only deliver cannot ask that; the signed document says it by its digest.
    if (plan.status().code() == absl::StatusCode::kPermissionDenied ||
        plan.status().code() == absl::StatusCode::kUnauthenticated) {
      return absl::OkStatus();
    }
    return plan.status();
  }

  // Equal to what is committed is not enough while another document is tried or staged: sending
  // this one says so, or takes its place.
  static bool SomethingWaits(NodeClient& client) {
    absl::StatusOr<v1::Resource> status = client.Get("ConfigStatus", "config");
    if (!status.ok()) return false;  // Ignoring: then `unchanged` is what can be said.
    const v1::ConfigStatus& config = status->config_status();
    return config.pending_generation() != 0 || config.staged_generation() != 0;
  }

  // What runs was signed by a key that is trusted no more: signing the same anew is what helps.
  static bool SigningAnewHelps(NodeClient& client) {
    absl::StatusOr<v1::Resource> machine = client.Get("MachineStatus", "machine");
    if (!machine.ok()) return false;  // Ignoring: as above.
    for (const v1::Condition& condition : machine->machine_status().conditions()) {
      // And of what is sealed to the key of a boot medium: sealing it to the node is.
      const bool helps =
          condition.type() == "SignedByRevokedKey" || condition.type() == "SealedToMedium";
      if (helps && condition.holds()) return true;
    }
    return false;
  }

  absl::Status Wait(std::unique_ptr<NodeClient> client, const v1::SignedDocument& envelope,
                    const v1::MachineConfig& config) {
    v1::ApplyRequest request;
    *request.mutable_document() = envelope;
    request.set_supersede(options_.supersede);
    bool kept = false;
    const ApplyObserver observer{
        [&](const v1::ApplyEvent& event) {
          report_.Event(event);
          awaits_confirm_ = event.state() == v1::APPLY_STATE_AWAITING_CONFIRM;
          const bool taken = event.unchanged() || event.state() >= v1::APPLY_STATE_PERSISTED;
          if (taken && !std::exchange(kept, true)) Keep(config, envelope);
        },
        [this](const std::string& note) { report_.Note(note); },
        [this](const std::string& endpoint) { Move(endpoint); }};
    const InterruptNotice notice(node_.name);
    absl::StatusOr<v1::ApplyEvent> last = RunApply(std::move(client), node_.endpoint, request,
                                                   absl::Now() + options_.timeout, observer, Pause);
    report_.EndLine();
    if (!last.ok()) return last.status();
    return report_.Result(*last, config.metadata().generation());
  }

  // The node has the document, whatever becomes of our copy.
  void Keep(const v1::MachineConfig& config, const v1::SignedDocument& envelope) {
    absl::StatusOr<const Context*> context = session_.context();
    absl::Status status = context.ok() ? KeepCopy(**context, config, envelope) : context.status();
    if (status.ok()) return;
    report_.EndLine();
    PrintWarning(session_.io(), absl::StrCat("no copy is kept for rollback: ", status.message()));
  }

  // Without this the node would be lost: nobody else was told where it went.
  void Move(const std::string& endpoint) {
    absl::StatusOr<const Context*> context = session_.context();
    absl::Status status = context.ok()
                              ? EditNode(**context, node_.name,
                                         [&](InventoryNode& node) { node.endpoint = endpoint; })
                              : context.status();
    report_.Moved(endpoint, status.ok());
    if (status.ok() && awaits_confirm_) {
      report_.Note(absl::StrCat("when it is not confirmed it goes back to ", node_.endpoint,
                                ": then nodectl pin ", node_.name, " --node ", node_.endpoint,
                                " --fingerprint ", node_.fingerprint));
    }
    if (status.ok()) return;
    PrintWarning(session_.io(),
                 absl::StrCat("the inventory still has ", node_.endpoint, ": ", status.message()));
  }

  Session& session_;
  const ApplyOptions& options_;
  Input input_;
  InventoryNode node_;
  bool awaits_confirm_ = false;
  ApplyReport report_;
};

}  // namespace

namespace {

// A mistake in the last file is found before the first is applied; all mistakes at once.
absl::Status CheckAll(Session& session, const ApplyOptions& options,
                      const std::vector<Input>& inputs) {
  std::vector<api::Violation> wrong;
  std::map<std::string, std::string> file_of;
  for (const Input& input : inputs) {
    absl::Status status = CheckSignatures(session, input);
    if (status.ok()) {
      absl::StatusOr<Document> document = ReadDocument(input);
      status = document.status();
      if (status.ok()) {
        status = OpenSealed(session, options.signing.identities, input, *document);
      }
      absl::StatusOr<InventoryNode> node = status.ok()
                                               ? DestinationOf(session, *document, options.node)
                                               : absl::StatusOr<InventoryNode>(status);
      status = node.status();
      if (node.ok()) {
        const auto [first, is_new] = file_of.emplace(node->name, input.file);
        if (!is_new) {
          return AtNode(api::Coded(absl::StatusCode::kInvalidArgument, "two-for-one-node",
                                   absl::StrCat(first->second, " and ", input.file,
                                                " are both for this node; nothing was applied"),
                                   "the later would undo the earlier: leave one of them out"),
                        node->name);
        }
      }
    }
    if (status.ok()) continue;
    std::vector<api::Violation> found = api::Violations(status);
    if (found.empty()) return status;
    wrong.insert(wrong.end(), found.begin(), found.end());
  }
  return wrong.empty() ? absl::OkStatus() : api::Invalid(wrong);
}

}  // namespace

absl::StatusOr<int> ApplyInputs(Session& session, const ApplyOptions& options,
                                const std::vector<Input>& inputs) {
  if (inputs.size() > 1) {
    if (absl::Status wrong = CheckAll(session, options, inputs); !wrong.ok()) return wrong;
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    absl::Status status = Delivery(session, options, inputs[i]).Run();
    if (status.ok()) continue;
    if (i + 1 < inputs.size()) {
      PrintWarning(session.io(), absl::StrCat(inputs.size() - i - 1, " more were not applied"));
    }
    return status;
  }
  return 0;
}

absl::StatusOr<int> RunApplyVerb(Session& session, const ApplyOptions& options) {
  absl::StatusOr<std::vector<Input>> inputs = ReadInputs(options.files);
  if (!inputs.ok()) return inputs.status();
  return ApplyInputs(session, options, *inputs);
}

}  // namespace basalt::client
