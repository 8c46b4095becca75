// nodectl pin: by what a node is known and whom its secrets are sealed to, into the inventory.
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "client/commands/commands.h"
#include "client/commands/recipients.h"
#include "client/commands/trust_words.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "client/output/messages.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/format/format.h"
#include "machineconfig/seal/keys.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

constexpr absl::Duration kHelloForRecipient = absl::Seconds(3);
constexpr size_t kLeastWords = 4;

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

// Words off a screen in the place of hex digits, which have none of these letters.
bool IsWords(const std::string& fingerprint) {
  return absl::AsciiStrToLower(fingerprint).find_first_of("iou") != std::string::npos;
}

// Words as they were read out: with blanks, dashes, capitals. At least four (64 bits), in their
// order, from the first on.
absl::Status CompareWords(const std::string& said, const std::string& fingerprint) {
  const auto digest = Digest::Parse(fingerprint);
  if (!digest.ok()) return digest.status();
  const std::vector<std::string> there = absl::StrSplit(FingerprintWords(*digest), '-');
  const std::vector<std::string> words =
      absl::StrSplit(absl::AsciiStrToLower(said), absl::ByAnyChar(" -,\t"), absl::SkipEmpty());
  if (words.size() < kLeastWords || words.size() > there.size()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-words",
                      absl::StrCat(words.size(), " words: a screen shows ", there.size(), ", and ",
                                   kLeastWords, " have to be given"),
                      "--words \"lusab babad gutih tugad ...\" from the node's screen");
  }
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == there[i]) continue;
    return api::Coded(absl::StatusCode::kFailedPrecondition, "words-mismatch",
                      absl::StrCat("word ", i + 1, " is `", words[i],
                                   "`, and the node that answers has `", there[i], "`"),
                      "mistyped, or somebody stands between you and the node: it is not pinned");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> AskTheNode(Session& session, const PinOptions& options,
                                       std::optional<v1::HelloReply>& answer) {
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
         << "  in words " << FingerprintWords(Digest::Parse(seen).value_or(Digest())) << "\n";
  if (IsWords(options.fingerprint)) {
    if (absl::Status same = CompareWords(options.fingerprint, seen); !same.ok()) return same;
    io.err << "The words are those of the node's screen.\n";
    answer = *std::move(hello);
    return seen;
  }
  io.err << "Whoever stands between you and the node could show this as well: compare it with the "
            "node's console.\n";
  absl::Status sure = Confirm(io, absl::StrCat("Pin ", options.name, " to it?"), options.yes);
  if (!sure.ok()) return sure;
  answer = *std::move(hello);
  return seen;
}

// A pin needs no node that answers; its recipient does.
std::optional<v1::HelloReply> AskWithPin(Session& session, const InventoryNode& node,
                                         const std::string& given) {
  absl::StatusOr<std::unique_ptr<NodeClient>> client = session.ConnectTo(node);
  absl::StatusOr<v1::HelloReply> hello =
      client.ok() ? (*client)->Hello(kHelloForRecipient) : client.status();
  if (hello.ok()) return *std::move(hello);
  if (!given.empty()) return std::nullopt;
  PrintWarning(session.io(),
               absl::StrCat("whom secrets for ", node.name,
                            " are sealed to is not known: ", hello.status().message(),
                            ". nodectl pin ", node.name, " asks again when it answers"));
  return std::nullopt;
}

// What is missing on the command line stands in the inventory.
absl::Status TakeFromInventory(const Inventory& inventory, PinOptions& options) {
  if (!options.endpoint.empty()) return absl::OkStatus();
  absl::StatusOr<InventoryNode> known = inventory.Get(options.name);
  if (!known.ok()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "no-endpoint",
                      absl::StrCat("where is ", options.name, "? It is not in the inventory yet"),
                      "--node HOST:PORT");
  }
  options.endpoint = known->endpoint;
  if (options.fingerprint.empty() && !options.tofu) options.fingerprint = known->fingerprint;
  return absl::OkStatus();
}

// The recipient that is to be recorded; empty: none is known. Another one than before is nothing
// that happens by itself on a machine that is the same.
absl::StatusOr<std::string> NewRecipient(Session& session, const PinOptions& options,
                                         const InventoryNode& node, const InventoryNode* old,
                                         const std::optional<v1::HelloReply>& hello) {
  const bool same_machine = old != nullptr && old->fingerprint == node.fingerprint;
  const std::string before = same_machine ? old->recipient : "";
  if (!hello) return options.recipient.empty() ? before : options.recipient;
  absl::StatusOr<std::string> says = VouchedRecipientOf(node, *hello);
  if (!says.ok()) return says;
  if (says->empty()) {
    PrintWarning(session.io(),
                 absl::StrCat(node.name, " has no sealing key (noded ", Escape(hello->version()),
                              "): its secrets can be signed in the clear alone"));
    return before;
  }
  if (!options.recipient.empty() && options.recipient != *says) {
    return api::Coded(
        absl::StatusCode::kFailedPrecondition, "other-recipient",
        absl::StrCat("the node's identity vouches for ", *says, ", not for ", options.recipient),
        "leave --recipient out to take what the node says");
  }
  if (!before.empty() && before != *says) {
    absl::Status sure = Confirm(session.io(),
                                absl::StrCat("Secrets for ", node.name, " were sealed to ", before,
                                             "; its sealing key was lost or replaced, and is ",
                                             *says, " now. Seal to that one?"),
                                options.yes);
    if (!sure.ok()) return sure;
  }
  return says;
}

}  // namespace

absl::StatusOr<int> RunPin(Session& session, const PinOptions& given) {
  PinOptions options = given;
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  if (!format::Check(v1::FORMAT_HOSTNAME, options.name).ok()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-name",
                      absl::StrCat("'", options.name, "' cannot name a node"),
                      "1 to 63 lower-case letters, digits and dashes, as metadata.name has it");
  }
  absl::StatusOr<std::string> text = ReadFile((*context)->inventory);
  if (!text.ok()) return text.status();
  absl::StatusOr<Inventory> before = Inventory::Parse(*text, (*context)->inventory);
  if (!before.ok()) return before.status();
  if (absl::Status s = TakeFromInventory(*before, options); !s.ok()) return s;
  if (absl::Status s = CheckEndpoint(options.endpoint); !s.ok()) return s;
  if (!options.recipient.empty()) {
    if (absl::Status s = seal::Recipient::Parse(options.recipient).status(); !s.ok()) return s;
  }
  if (options.fingerprint.empty() && !options.tofu) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "no-fingerprint",
                      "by what shall the node be known?",
                      "--fingerprint F from the node's run/fingerprint or console; --words W from "
                      "its console; --tofu asks the node and you");
  }
  std::optional<v1::HelloReply> hello;
  absl::StatusOr<std::string> fingerprint =
      options.fingerprint.empty() || IsWords(options.fingerprint)
          ? AskTheNode(session, options, hello)
          : Normalize(options.fingerprint);
  if (!fingerprint.ok()) return AtNode(fingerprint.status(), options.name);
  InventoryNode node{
      .name = options.name, .endpoint = options.endpoint, .fingerprint = *fingerprint};
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
  if (!hello) hello = AskWithPin(session, node, options.recipient);
  absl::StatusOr<std::string> recipient =
      NewRecipient(session, options, node, before->Find(options.name), hello);
  if (!recipient.ok()) return AtNode(recipient.status(), options.name);
  node.recipient = *recipient;
  absl::StatusOr<std::string> changed = PutNode(*text, (*context)->inventory, node);
  if (!changed.ok()) return changed.status();
  if (*changed != *text) {
    absl::Status s = EditFileAtomically((*context)->inventory, *changed);
    if (!s.ok()) return s;
  }
  Io& io = session.io();
  if (io.json() || io.format == Format::kYaml) {
    nlohmann::ordered_json out;
    out["name"] = node.name;
    out["endpoint"] = node.endpoint;
    out["fingerprint"] = node.fingerprint;
    if (!node.recipient.empty()) out["recipient"] = node.recipient;
    io.out << (io.json() ? out.dump() + "\n" : JsonToYaml(out.dump()));
  } else if (io.format == Format::kName) {
    io.out << node.name << "\n";
  } else {
    session.io().out << options.name << " is pinned: " << node.endpoint << " "
                     << node.fingerprint.substr(0, 16) << "...\n";
    if (!node.recipient.empty()) {
      session.io().out << "its secrets are sealed to " << node.recipient << "\n";
    }
  }
  return 0;
}

}  // namespace basalt::client
