// nodectl pin: by what a node is known, into the inventory.
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/format/format.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

// A person may type it with colons or capitals, as it stands on a console.
absl::StatusOr<std::string> Normalize(const std::string& fingerprint) {
  std::string hex = absl::AsciiStrToLower(
      absl::StrReplaceAll(fingerprint, {{":", ""}, {" ", ""}, {"SHA256", ""}, {"sha256", ""}}));
  if (Digest::Parse(hex).ok()) return hex;
  return api::Coded(
      absl::StatusCode::kInvalidArgument, "bad-fingerprint",
      absl::StrCat("'", fingerprint, "' is not a fingerprint"),
      "64 hex digits: the node writes it to run/fingerprint and shows it on its console");
}

absl::StatusOr<std::string> AskTheNode(Session& session, const PinOptions& options) {
  Io& io = session.io();
  absl::StatusOr<std::unique_ptr<NodeClient>> client =
      Connect({.name = options.name, .endpoint = options.endpoint, .trust_any = true});
  if (!client.ok()) return client.status();
  absl::StatusOr<v1::HelloReply> hello = (*client)->Hello(absl::Seconds(20));
  if (!hello.ok()) return hello.status();
  const std::string seen = (*client)->seen_fingerprint();
  io.err << options.endpoint << " shows fingerprint\n  " << seen << "\n"
         << "  (noded " << Escape(hello->version()) << ", platform " << Escape(hello->platform())
         << ", " << Escape(hello->state()) << ", cluster " << Escape(hello->trust_cluster())
         << ")\n"
         << "Whoever stands between you and the node could show this as well: compare it with the "
            "node's console.\n";
  absl::Status sure = Confirm(io, absl::StrCat("Pin ", options.name, " to it?"), options.yes);
  if (!sure.ok()) return sure;
  return seen;
}

}  // namespace

absl::StatusOr<int> RunPin(Session& session, const PinOptions& options) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  if (!format::Check(v1::FORMAT_HOSTNAME, options.name).ok()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-name",
                      absl::StrCat("'", options.name, "' cannot name a node"),
                      "1 to 63 lower-case letters, digits and dashes, as metadata.name has it");
  }
  if (absl::Status s = CheckEndpoint(options.endpoint); !s.ok()) return s;
  if (options.fingerprint.empty() && !options.tofu) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "no-fingerprint",
                      "by what shall the node be known?",
                      "--fingerprint F from the node's run/fingerprint or console; --tofu asks the "
                      "node and you");
  }
  absl::StatusOr<std::string> fingerprint =
      options.fingerprint.empty() ? AskTheNode(session, options) : Normalize(options.fingerprint);
  if (!fingerprint.ok()) return AtNode(fingerprint.status(), options.name);

  absl::StatusOr<std::string> text = ReadFile((*context)->inventory);
  if (!text.ok()) return text.status();
  absl::StatusOr<Inventory> before = Inventory::Parse(*text, (*context)->inventory);
  if (!before.ok()) return before.status();
  const InventoryNode node{options.name, options.endpoint, *fingerprint};
  for (const InventoryNode& other : before->nodes()) {
    if (other.fingerprint != node.fingerprint || other.name == node.name) continue;
    return AtNode(
        api::Coded(absl::StatusCode::kAlreadyExists, "fingerprint-taken",
                   absl::StrCat(other.name, " (", other.endpoint, ") is pinned to ",
                                node.fingerprint, " already, and a machine is one node"),
                   absl::StrCat("is it the fingerprint of another machine? If ", other.name,
                                " was renamed, take its entry out of ", (*context)->inventory)),
        options.name);
  }
  if (const InventoryNode* old = before->Find(options.name);
      old != nullptr && !old->fingerprint.empty() && old->fingerprint != node.fingerprint) {
    absl::Status sure = Confirm(session.io(),
                                absl::StrCat(options.name, " is pinned to ", old->fingerprint,
                                             ". Replace it by ", node.fingerprint, "?"),
                                options.yes);
    if (!sure.ok()) return AtNode(sure, options.name);
  }
  absl::StatusOr<std::string> changed = PutNode(*text, (*context)->inventory, node);
  if (!changed.ok()) return changed.status();
  if (*changed != *text) {
    absl::Status s = EditFileAtomically((*context)->inventory, *changed);
    if (!s.ok()) return s;
  }
  if (session.io().json()) {
    nlohmann::ordered_json out;
    out["name"] = node.name;
    out["endpoint"] = node.endpoint;
    out["fingerprint"] = node.fingerprint;
    session.io().out << out.dump() << "\n";
  } else {
    session.io().out << options.name << " is pinned: " << node.endpoint << " "
                     << node.fingerprint.substr(0, 16) << "...\n";
  }
  return 0;
}

}  // namespace basalt::client
