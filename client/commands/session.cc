#include "client/commands/session.h"

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/context/files.h"
#include "client/output/errors.h"

namespace basalt::client {

absl::StatusOr<const Context*> Session::context() {
  if (!context_) {
    absl::StatusOr<Context> loaded = LoadContext(options_.context);
    if (!loaded.ok()) return loaded.status();
    context_ = *std::move(loaded);
  }
  return &*context_;
}

absl::StatusOr<const Inventory*> Session::inventory() {
  if (!inventory_) {
    absl::StatusOr<const Context*> context = this->context();
    if (!context.ok()) return context.status();
    absl::StatusOr<Inventory> loaded = Inventory::Load((*context)->inventory);
    if (!loaded.ok()) return loaded.status();
    inventory_ = *std::move(loaded);
  }
  return &*inventory_;
}

absl::StatusOr<const sign::VerifiedChain*> Session::trust() {
  if (!trust_) {
    absl::StatusOr<const Context*> context = this->context();
    if (!context.ok()) return context.status();
    absl::StatusOr<std::string> json = ReadFile((*context)->trust);
    if (!json.ok()) return json.status();
    absl::StatusOr<v1::TrustChain> chain = sign::ChainFromJson(*json);
    if (!chain.ok()) return api::InFile(chain.status(), (*context)->trust);
    // It was signed once: a rule that a later release brought must not keep the owner from it.
    absl::StatusOr<sign::VerifiedChain> verified =
        sign::VerifyChain(*chain, sign::ChainAge::kAccepted);
    if (!verified.ok()) return api::InFile(verified.status(), (*context)->trust);
    trust_ = *std::move(verified);
  }
  return &*trust_;
}

absl::StatusOr<InventoryNode> Session::Node(const std::string& name) {
  absl::StatusOr<const Inventory*> inventory = this->inventory();
  if (!inventory.ok()) return inventory.status();
  if (!name.empty()) return (*inventory)->Get(name);
  if ((*inventory)->nodes().size() == 1) return (*inventory)->nodes().front();
  return api::Coded(
      absl::StatusCode::kInvalidArgument, "which-node",
      absl::StrCat("the inventory has ", (*inventory)->nodes().size(), " nodes: which one?"),
      "-n NAME");
}

absl::StatusOr<std::unique_ptr<NodeClient>> Session::ConnectTo(const InventoryNode& node) {
  absl::StatusOr<const Context*> context = this->context();
  if (!context.ok()) return context.status();
  Dial dial{.name = node.name,
            .endpoint = node.endpoint,
            .fingerprint = node.fingerprint,
            .cluster = (*context)->cluster};
  if (Exists((*context)->ca)) {
    absl::StatusOr<std::string> ca = ReadFile((*context)->ca);
    if (!ca.ok()) return ca.status();
    dial.ca_pem = *ca;
  }
  if (Exists((*context)->certificate)) {
    absl::StatusOr<std::string> certificate = ReadFile((*context)->certificate);
    if (!certificate.ok()) return certificate.status();
    absl::StatusOr<sign::PrivateKey> key = LoadKey((*context)->certificate_key, passphrase());
    if (!key.ok()) return key.status();
    dial.certificate_pem = *certificate;
    dial.key_pem = key->Pem();
  }
  absl::StatusOr<std::unique_ptr<NodeClient>> client = Connect(dial);
  if (!client.ok()) return AtNode(client.status(), node.name);
  return client;
}

absl::StatusOr<std::unique_ptr<NodeClient>> Session::ConnectTo(const std::string& name) {
  absl::StatusOr<InventoryNode> node = Node(name);
  if (!node.ok()) return node.status();
  return ConnectTo(*node);
}

}  // namespace basalt::client
