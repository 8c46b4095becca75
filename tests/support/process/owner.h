// The owner of test nodes: root and config keys, a trust chain, a client authority and an admin
// certificate. Makes complete machine configs and signs them. Immutable after construction,
// thread-safe.
#pragma once

#include <string>

#include "basalt/v1/document.pb.h"
#include "machineconfig/sign/keys.h"

namespace basalt::testing {

struct NodeConfig {
  int64_t generation = 1;
  std::string machine_id;
  std::string name = "n1";
  std::string metadata;                  // more lines below `metadata:`, two spaces deep
  std::string api;                       // more lines below `api:`, two spaces deep
  bool with_k3s = false;                 // false: `k3s` is absent
  std::string version = "v1.30.4+k3s1";  // what the double says that it is
  std::string role = "server";  // or "agent", which needs `cluster: {server: ...}` in `k3s`
  std::string k3s;              // more lines below `k3s:`, two spaces deep
  std::string env;              // of the double: more items of `k3s.env`, four spaces deep
  std::string health = "{readyz: 100s, nodeReady: 100s, liveness: 60s}";
  // Where the binary comes from; default: the double's own file.
  std::string url;
  std::string sha256;
  int64_t size = 0;  // 0: not declared
  std::string server_token = "0123456789abcdefghijklmn";
};

class Owner {
 public:
  Owner();

  const std::string& trust_json() const { return trust_json_; }
  const std::string& ca_pem() const { return ca_pem_; }
  const std::string& admin_pem() const { return admin_pem_; }
  std::string admin_key_pem() const { return admin_key_.Pem(); }

  std::string Yaml(const NodeConfig& config) const;
  v1::SignedDocument Sign(const NodeConfig& config) const;
  v1::SignedDocument SignYaml(v1::DocumentType type, const std::string& yaml) const;

 private:
  sign::PrivateKey root_key_;
  sign::PrivateKey config_key_;
  sign::PrivateKey ca_key_;
  sign::PrivateKey admin_key_;
  std::string trust_json_;
  std::string ca_pem_;
  std::string admin_pem_;
};

// The double as an artifact of a config.
std::string DoubleUrl();
const std::string& DoubleSha256();
// "amd64", "arm64" or "arm": what this machine is called in `artifacts`.
std::string Architecture();

}  // namespace basalt::testing
