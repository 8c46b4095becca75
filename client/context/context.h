// The owner's directory: where keys, trust, certificates and the inventory are. Found by --context,
// else NODECTL_CONTEXT. Values; thread-compatible.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::client {

// All paths are absolute or relative to the working directory, ready to open.
struct Context {
  std::string path;
  std::string directory;
  std::string cluster;
  std::string inventory;
  std::string trust;    // trust.json, the chain
  std::string secrets;  // tokens of the cluster
  std::string key;      // signs configs when --key is not given
  std::string ca;
  std::string certificate;      // what nodectl shows to nodes; empty: none
  std::string certificate_key;  // its key
  std::string signed_directory;
  std::string identity;                 // opens sealed secrets
  std::vector<std::string> recipients;  // whom secrets are sealed to: age1...

  std::string SignedFile(absl::string_view node, int64_t generation) const;
};

// `flag` is the value of --context. NotFound/"no-context" says how to make one.
absl::StatusOr<Context> LoadContext(const std::string& flag);

// context.yaml as `nodectl init` writes it; paths are relative to it.
std::string NewContextText(absl::string_view cluster, absl::string_view recipient);

}  // namespace basalt::client
