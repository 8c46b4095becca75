// A signed order: made, kept in a file for other signers, or sent.
#include "client/commands/order.h"

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/commands/signers.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/validate/validate.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::client {
namespace {

constexpr absl::Duration kSentAtOnce = absl::Hours(1);
// As long as an action may live: a second signer is a person with a day of their own.
constexpr absl::Duration kSignedInTurn = absl::Hours(24);

std::string Rfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

absl::Status CheckOptions(const OrderOptions& o) {
  const bool signs = !o.signing.keys.empty() || !o.signing.sign_command.empty() ||
                     !o.reason.empty() || !o.to.empty();
  if (o.file.empty() || !signs) return absl::OkStatus();
  return api::Coded(absl::StatusCode::kInvalidArgument, "signed-already",
                    absl::StrCat(o.file, " is signed: keys, --reason and --to have nothing to do"),
                    "another signature: nodectl sign -f FILE --key KEY -o FILE");
}

v1::Action MakeAction(const Context& context, const v1::TrustPolicy& policy,
                      const InventoryNode& node, const Order& order, const OrderOptions& options) {
  const absl::Time now = absl::Now();
  v1::Action action;
  action.set_api_version("basalt/v1");
  action.set_kind("Action");
  action.set_cluster(context.cluster);
  action.set_epoch(policy.epoch());
  action.mutable_target()->set_machine_id(node.fingerprint);
  action.set_verb(order.verb);
  for (const auto& [name, value] : order.arguments) (*action.mutable_arguments())[name] = value;
  action.set_signed_at(Rfc3339(now));
  action.set_not_after(Rfc3339(now + (options.to.empty() ? kSentAtOnce : kSignedInTurn)));
  if (!options.reason.empty()) action.set_reason(options.reason);
  return action;
}

// What is in the file: signed well, this order, and of this machine.
absl::StatusOr<v1::SignedDocument> ReadOrder(const std::string& file, const InventoryNode& node,
                                             const Order& order, const v1::TrustPolicy& policy,
                                             v1::Action& action) {
  absl::StatusOr<std::string> text = ReadFile(file);
  if (!text.ok()) return text.status();
  absl::StatusOr<v1::SignedDocument> document = sign::FromDsseJson(*text);
  if (!document.ok()) return api::InFile(document.status(), file);
  auto verified = sign::Verify(*document, v1::DOCUMENT_TYPE_ACTION, policy);
  if (!verified.ok()) return api::InFile(verified.status(), file);
  absl::StatusOr<v1::Action> read = validate::LoadAction(document->payload(), file);
  if (!read.ok()) return read.status();
  if (read->verb() != order.verb) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kInvalidArgument, "other-action",
                   absl::StrCat(file, " orders ", read->verb(), ", not ", order.verb), ""),
        "file", file);
  }
  if (read->target().machine_id() != node.fingerprint) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kFailedPrecondition, "wrong-target",
                   absl::StrCat(file, " is for machine ", read->target().machine_id(), ", and ",
                                node.name, " is machine ", node.fingerprint),
                   "send it to its own node"),
        "file", file);
  }
  action = *std::move(read);
  return document;
}

}  // namespace

absl::StatusOr<int> RunOrder(Session& session, const Order& order, const OrderOptions& options,
                             SentOrder* sent) {
  Io& io = session.io();
  if (absl::Status s = CheckOptions(options); !s.ok()) return s;
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  absl::StatusOr<const sign::VerifiedChain*> trust = session.trust();
  if (!trust.ok()) return trust.status();
  const v1::TrustPolicy& policy = (*trust)->policy;
  absl::StatusOr<InventoryNode> node = session.Node(options.node);
  if (!node.ok()) return node.status();
  if (node->fingerprint.empty()) {
    return AtNode(api::Coded(absl::StatusCode::kFailedPrecondition, "not-pinned",
                             "an order names its machine, and this node is not pinned",
                             absl::StrCat("nodectl pin ", node->name, " ...")),
                  node->name);
  }
  v1::Action action;
  v1::SignedDocument document;
  if (options.file.empty()) {
    action = MakeAction(**context, policy, *node, order, options);
    validate::Findings findings = validate::Validate(action);
    if (!findings.ok()) return api::Invalid(findings.errors);
    document.set_type(v1::DOCUMENT_TYPE_ACTION);
    document.set_payload(yaml::Emit(action));
  } else {
    auto read = ReadOrder(options.file, *node, order, policy, action);
    if (!read.ok()) return AtNode(read.status(), node->name);
    document = *std::move(read);
  }
  absl::Status sure = Confirm(
      io, absl::StrCat(order.what, " ", node->name, ": ", order.consequence, "?"), options.yes);
  if (!sure.ok()) return AtNode(sure, node->name);
  if (options.file.empty()) {
    if (absl::Status s = AddSignatures(session, options.signing, document); !s.ok()) return s;
  }
  auto verified = sign::Verify(document, v1::DOCUMENT_TYPE_ACTION, policy);
  if (!verified.ok()) return AtNode(verified.status(), node->name);
  absl::Status granted = sign::AuthorizeAction(policy, verified->signers(), action);
  if (!options.to.empty()) {
    if (!granted.ok()) {
      if (api::Reason(granted) != "too-few-signers") return AtNode(granted, node->name);
      PrintWarning(io, absl::StrCat("the node will not accept it yet: ", granted.message()));
    }
    absl::Status written = WriteFileAtomically(options.to, sign::ToDsseJson(document), 0600);
    if (!written.ok()) return written;
    io.err << options.to << ": good until " << action.not_after() << "; others sign it with "
           << "nodectl sign -f " << options.to << " --key KEY -o " << options.to
           << "; it is sent with nodectl " << order.command << " -n " << node->name << " -f "
           << options.to << "\n";
    return 0;
  }
  if (!granted.ok()) return AtNode(granted, node->name);

  v1::ApplyActionRequest request;
  *request.mutable_document() = std::move(document);
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(*node);
  if (!client.ok()) return client.status();
  absl::StatusOr<v1::ApplyActionReply> reply = (*client)->ApplyAction(request);
  if (!reply.ok()) return AtNode(reply.status(), node->name);
  if (sent != nullptr) *sent = {.sent = true, .node = *node, .action = action};
  if (io.json()) {
    io.out << ToPrettyJson(*reply) << "\n";
  } else if (io.format == Format::kYaml) {
    io.out << ToYaml(*reply);
  } else {
    io.out << node->name << ": " << order.done
           << (reply->message().empty() ? "" : ": " + Escape(reply->message())) << "\n";
  }
  return 0;
}

}  // namespace basalt::client
