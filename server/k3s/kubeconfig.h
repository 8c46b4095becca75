// An administrator's kubeconfig with a short-lived certificate of its own, issued with the
// cluster's client CA on the server: K3s's own admin certificate, valid for a year, never leaves
// the node.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace basalt::k3s {

struct KubeconfigInput {
  std::string cluster;     // names the entries
  std::string node_name;   // CN=basalt:NAME
  std::string server_url;  // https://10.0.0.1:6443
  std::string server_ca_pem;
  std::string client_ca_pem;
  std::string client_ca_key_pem;  // SEC1 or PKCS#8
  absl::Time now;
  absl::Duration validity;
};

// Pure but for key generation. FailedPrecondition "k3s-ca-unusable" for a CA whose key is not
// ECDSA P-256.
absl::StatusOr<std::string> MakeKubeconfig(const KubeconfigInput& input);

}  // namespace basalt::k3s
