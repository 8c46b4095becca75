// Keys, policies and documents for the tests of machineconfig/sign.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/coded_status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/keys.h"

namespace basalt::sign {

// One key a name, made when it is first asked for.
inline const PrivateKey& Key(const std::string& name) {
  static auto* keys = new std::map<std::string, PrivateKey>();
  auto it = keys->find(name);
  if (it == keys->end()) it = keys->emplace(name, PrivateKey::GenerateEd25519()).first;
  return it->second;
}

// An ECDSA P-256 key that every run shares.
inline const PrivateKey& P256Key() {
  static auto* key = new PrivateKey(
      *PrivateKey::FromPem("-----BEGIN EC PRIVATE KEY-----\n"
                           "MHcCAQEEIDrxE/qlDiAnzBafdKJq04Y35Gj8YJ/vCd2yWOeQ33sZoAoGCCqGSM49\n"
                           "AwEHoUQDQgAEiIEEgJx/Yylb3SqHSwTs8MkNVEQcQFt9VoliJdCWscw39Q5pW0RS\n"
                           "Cxk862FvGBrtT9kgXgXU+DzWvgYfWzcPIQ==\n"
                           "-----END EC PRIVATE KEY-----\n"));
  return *key;
}

inline void AddKey(v1::TrustPolicy& policy, const std::string& name, const PublicKey& key) {
  v1::TrustKey* entry = policy.add_keys();
  entry->set_name(name);
  entry->set_public_key(key.Pem());
}

inline v1::Grant& AddGrant(v1::TrustPolicy& policy, const std::string& what,
                           const std::vector<std::string>& keys, int64_t threshold = 1) {
  v1::Grant* grant = policy.add_grants();
  grant->set_for_(what);
  for (const std::string& key : keys) grant->add_keys(key);
  grant->set_threshold(threshold);
  return *grant;
}

// Keys root, alice, bob, carol; alice may sign everything.
inline v1::TrustPolicy Policy() {
  v1::TrustPolicy policy;
  policy.set_api_version("basalt/v1");
  policy.set_kind("TrustPolicy");
  policy.set_cluster("home");
  policy.set_epoch(1);
  policy.set_version(1);
  for (const char* name : {"root", "alice", "bob", "carol"}) {
    AddKey(policy, name, Key(name).public_key());
  }
  policy.mutable_root()->add_keys("root");
  policy.mutable_root()->set_threshold(1);
  return policy;
}

inline v1::SignedDocument SignedBy(const std::vector<std::string>& names,
                                   absl::string_view payload = "kind: MachineConfig\n",
                                   v1::DocumentType type = v1::DOCUMENT_TYPE_MACHINE_CONFIG) {
  std::vector<const PrivateKey*> keys;
  for (const std::string& name : names) keys.push_back(&Key(name));
  return Sign(type, payload, keys);
}

inline std::vector<Signer> Signers(const std::vector<std::string>& names) {
  std::vector<Signer> out;
  for (const std::string& name : names) {
    out.push_back({.name = name, .id = Key(name).public_key().id()});
  }
  return out;
}

// Matches a status by its reason; "" is success.
MATCHER_P(HasReason, reason, "") {
  *result_listener << arg.ToString();
  return reason == std::string() ? arg.ok() : !arg.ok() && api::Reason(arg) == reason;
}

}  // namespace basalt::sign
