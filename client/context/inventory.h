// inventory.yaml: which nodes there are, where they answer and by what they are known. Public,
// meant for Git: what a person wrote around the entries (comments, order, blank lines) stays as it
// is. Values; thread-compatible.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::client {

struct InventoryNode {
  std::string name;
  std::string endpoint;  // HOST:PORT
  std::string
      fingerprint;  // lower-hex sha256 of the SPKI of the node's identity key; empty: not pinned
  std::string recipient;  // whom secrets for it are sealed to, age1...; empty: not known
  bool operator==(const InventoryNode&) const = default;
};

class Inventory {
 public:
  // Errors: Invalid with positions; every node has a name and an endpoint, names differ.
  static absl::StatusOr<Inventory> Parse(absl::string_view text, const std::string& file);
  static absl::StatusOr<Inventory> Load(const std::string& path);

  const std::vector<InventoryNode>& nodes() const { return nodes_; }
  const InventoryNode* Find(absl::string_view name) const;
  // NotFound/"unknown-node" names the known ones and the remedy.
  absl::StatusOr<InventoryNode> Get(absl::string_view name) const;

 private:
  std::vector<InventoryNode> nodes_;
};

// The text with `node` added at the end or, when its name is known, with its endpoint, fingerprint
// and recipient replaced; an empty recipient takes away the one that is there. Fails when the
// result would not read back as meant (an entry in flow style).
absl::StatusOr<std::string> PutNode(absl::string_view text, const std::string& file,
                                    const InventoryNode& node);

std::string NewInventoryText();

// "[::1]:6050" → "[::1]"; "host:6050" → "host".
std::string HostOf(absl::string_view endpoint);
// Syntax of HOST:PORT. InvalidArgument/"bad-endpoint".
absl::Status CheckEndpoint(absl::string_view endpoint);

}  // namespace basalt::client
