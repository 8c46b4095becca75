#include "client/commands/recipients.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/context/files.h"
#include "client/output/errors.h"
#include "machineconfig/sign/vouching.h"

namespace basalt::client {

absl::StatusOr<std::string> VouchedRecipientOf(const InventoryNode& node,
                                               const v1::HelloReply& hello) {
  if (!hello.has_recipient()) return std::string();
  // Without a pin the node was believed for its certificate, and so is what it says of itself.
  return sign::CheckVouching(hello.recipient(),
                             node.fingerprint.empty() ? hello.machine_id() : node.fingerprint);
}

absl::StatusOr<std::string> RecipientOf(Session& session, const InventoryNode& node,
                                        const std::optional<v1::HelloReply>& hello) {
  if (!hello) return node.recipient;
  absl::StatusOr<std::string> says = VouchedRecipientOf(node, *hello);
  if (!says.ok()) return AtNode(says.status(), node.name);
  if (says->empty() || *says == node.recipient) return node.recipient;
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  if (!node.recipient.empty()) {
    return AtNode(
        api::Coded(absl::StatusCode::kFailedPrecondition, "recipient-changed",
                   absl::StrCat("secrets for it are sealed to ", *says, " now, and ",
                                (*context)->inventory, " has ", node.recipient),
                   absl::StrCat("its sealing key was lost or replaced: if you know why, nodectl "
                                "pin ",
                                node.name, " takes the new one")),
        node.name);
  }
  absl::Status saved =
      EditNode(**context, node.name, [&](InventoryNode& known) { known.recipient = *says; });
  if (saved.ok()) {
    session.io().err << node.name << ": its identity vouches for " << *says << ", recorded in "
                     << (*context)->inventory << "\n";
  } else {
    // Ignoring: it is asked again the next time; what is signed now is sealed to it all the same.
    PrintWarning(session.io(), absl::StrCat("the recipient of ", node.name,
                                            " is not recorded: ", saved.message()));
  }
  return says;
}

absl::StatusOr<std::vector<seal::Recipient>> RecipientsFor(Session& session,
                                                           const std::string& of_node) {
  absl::StatusOr<const Context*> context = session.context();
  if (!context.ok()) return context.status();
  std::vector<seal::Recipient> out;
  std::vector<std::string> texts = {of_node};
  texts.insert(texts.end(), (*context)->recipients.begin(), (*context)->recipients.end());
  for (const std::string& text : texts) {
    absl::StatusOr<seal::Recipient> one = seal::Recipient::Parse(text);
    if (!one.ok()) return api::InFile(one.status(), (*context)->path);
    if (std::find(out.begin(), out.end(), *one) == out.end()) out.push_back(*std::move(one));
  }
  return out;
}

absl::Status EditNode(const Context& context, const std::string& name,
                      absl::FunctionRef<void(InventoryNode& node)> edit) {
  absl::StatusOr<std::string> text = ReadFile(context.inventory);
  if (!text.ok()) return text.status();
  absl::StatusOr<Inventory> now = Inventory::Parse(*text, context.inventory);
  if (!now.ok()) return now.status();
  absl::StatusOr<InventoryNode> node = now->Get(name);
  if (!node.ok()) return node.status();
  edit(*node);
  absl::StatusOr<std::string> changed = PutNode(*text, context.inventory, *node);
  if (!changed.ok()) return changed.status();
  return *changed == *text ? absl::OkStatus() : EditFileAtomically(context.inventory, *changed);
}

}  // namespace basalt::client
