#include "tests/support/process/owner.h"

#include <sys/utsname.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/x509.h"
#include "tests/support/process/await.h"

namespace basalt::testing {
namespace {

std::string Indent(const std::string& text, int depth) {
  const std::string spaces(static_cast<size_t>(depth), ' ');
  std::string body = text;
  while (!body.empty() && body.back() == '\n') body.pop_back();
  return absl::StrCat(spaces, absl::StrReplaceAll(body, {{"\n", "\n" + spaces}}), "\n");
}

std::string Lines(const std::string& text) {
  return text.empty() || text.back() == '\n' ? text : text + "\n";
}

}  // namespace

std::string DoubleUrl() { return absl::StrCat("file://", K3S_DOUBLE); }

const std::string& DoubleSha256() {
  static const std::string* digest = new std::string(Sha256(ReadAll(K3S_DOUBLE)).Hex());
  return *digest;
}

std::string Architecture() {
  utsname name{};
  uname(&name);
  const std::string machine = name.machine;
  return machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : "arm";
}

Owner::Owner()
    : root_key_(sign::PrivateKey::GenerateEd25519()),
      config_key_(sign::PrivateKey::GenerateEd25519()),
      ca_key_(sign::PrivateKey::GenerateEd25519()),
      admin_key_(sign::PrivateKey::GenerateEd25519()) {
  std::string policy = absl::StrCat(
      "apiVersion: basalt/v1\nkind: TrustPolicy\ncluster: home\nepoch: 1\nversion: 1\nkeys:\n"
      "  - name: root\n    publicKey: |\n",
      Indent(root_key_.public_key().Pem(), 6), "  - name: config\n    publicKey: |\n",
      Indent(config_key_.public_key().Pem(), 6),
      "root:\n  keys: [root]\ngrants:\n  - for: machineconfig\n    keys: [config]\n"
      "  - for: action\n    keys: [config]\n");
  v1::TrustChain chain;
  *chain.add_policies() = sign::Sign(v1::DOCUMENT_TYPE_TRUST_POLICY, policy, {&root_key_});
  trust_json_ = sign::ChainToJson(chain);
  const absl::Time from = absl::Now() - absl::Hours(1), to = absl::Now() + absl::Hours(24);
  ca_pem_ = *sign::SelfSign(
      {.common_name = "test authority", .is_ca = true, .not_before = from, .not_after = to},
      ca_key_);
  admin_pem_ = *sign::Issue({.common_name = "admin",
                             .organizations = {"basalt:home:admin"},
                             .client_auth = true,
                             .not_before = from,
                             .not_after = to},
                            admin_key_.public_key(), ca_pem_, ca_key_);
}

std::string Owner::Yaml(const NodeConfig& c) const {
  std::string yaml = absl::StrCat(
      "apiVersion: basalt/v1\nkind: MachineConfig\nmetadata:\n  cluster: home\n  name: ", c.name,
      "\n  epoch: 1\n  generation: ", c.generation,
      "\n  signedAt: ", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone()),
      "\n", Lines(c.metadata), "target:\n  machineId: ", c.machine_id,
      "\napi:\n  clientCas:\n    - name: owner\n      roles: [admin]\n      certificate: |\n",
      Indent(ca_pem_, 8), Lines(c.api));
  if (!c.with_k3s) return yaml;
  absl::StrAppend(&yaml, "k3s:\n  role: ", c.role, "\n  version: ", c.version, "\n");
  if (c.role == "server") {
    absl::StrAppend(&yaml, "  token: ", c.server_token,
                    "\n  agentToken: nmlkjihgfedcba9876543210\n");
  }
  absl::StrAppend(&yaml, "  health: ", c.health, "\n  artifacts:\n    ", Architecture(),
                  ":\n      urls: [\"", c.url.empty() ? DoubleUrl() : c.url,
                  "\"]\n      sha256: ", c.sha256.empty() ? DoubleSha256() : c.sha256, "\n");
  if (c.size > 0) absl::StrAppend(&yaml, "      size: ", c.size, "\n");
  absl::StrAppend(&yaml, "  env:\n    - {name: BASALT_DOUBLE_STARTUP_MS, value: \"20\"}\n",
                  Lines(c.env), Lines(c.k3s));
  return yaml;
}

v1::SignedDocument Owner::Sign(const NodeConfig& config) const {
  return SignYaml(v1::DOCUMENT_TYPE_MACHINE_CONFIG, Yaml(config));
}

v1::SignedDocument Owner::SignYaml(v1::DocumentType type, const std::string& yaml) const {
  return sign::Sign(type, yaml, {&config_key_});
}

}  // namespace basalt::testing
