// What every verb needs: the streams, the owner's context and inventory read when they are first
// asked for, and connections to nodes. One per process; not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "client/context/context.h"
#include "client/context/inventory.h"
#include "client/context/passphrase.h"
#include "client/fleet/node_client.h"
#include "client/output/io.h"
#include "machineconfig/sign/policy.h"

namespace basalt::client {

struct GlobalOptions {
  std::string context;          // --context
  std::string output;           // -o
  std::string passphrase_file;  // --passphrase-file
};

class Session {
 public:
  Session(Io& io, GlobalOptions options) : io_(io), options_(std::move(options)) {}

  Io& io() { return io_; }
  absl::StatusOr<const Context*> context();
  absl::StatusOr<const Inventory*> inventory();
  // The verified trust chain of the context.
  absl::StatusOr<const sign::VerifiedChain*> trust();
  PassphraseSource passphrase() const { return {options_.passphrase_file, io_.in_terminal}; }

  // -n NAME, else the only node of the inventory; "which-node" when there are several.
  absl::StatusOr<InventoryNode> Node(const std::string& name);
  absl::StatusOr<std::unique_ptr<NodeClient>> ConnectTo(const InventoryNode& node);
  absl::StatusOr<std::unique_ptr<NodeClient>> ConnectTo(const std::string& name);

 private:
  Io& io_;
  const GlobalOptions options_;
  std::optional<Context> context_;
  std::optional<Inventory> inventory_;
  std::optional<sign::VerifiedChain> trust_;
};

}  // namespace basalt::client
