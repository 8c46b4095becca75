// A trust policy as people read it: its keys, its grants in sentences, and what a next version
// changes. Pure, thread-safe.
#pragma once

#include <string>
#include <vector>

#include "basalt/v1/trust.pb.h"
#include "client/output/io.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/next_policy.h"

namespace basalt::client {

// "2 of alice, bob"; "alice" when there is one key that is enough.
std::string RuleWords(int64_t threshold,
                      const google::protobuf::RepeatedPtrField<std::string>& keys);
// "2 of alice, bob may change k3s.config in machine configs of nodes with site=lab"
std::string GrantWords(const v1::Grant& grant);
// What a key may do: "signs trust policies (1 of root)", a grant's words each, or that it is
// revoked or in no use.
std::vector<std::string> KeyUses(const v1::TrustPolicy& policy, const std::string& name);

// "ed25519", "ecdsa-p256"
std::string AlgorithmWord(sign::Algorithm algorithm);
// Of the text that a policy holds: "pem", "openssh", "minisign".
std::string KeyForm(const std::string& public_key);
// The first 16 bytes of a fingerprint as eight words that can be read out and compared: the
// proquints of https://arxiv.org/html/0901.4016.
std::string FingerprintWords(const Digest& digest);

struct PolicyChange {
  char kind = '~';  // '+', '-' or '~'
  std::string what;
  bool operator==(const PolicyChange&) const = default;
};
// In the order in which a person would ask: epoch, keys, root, grants, the rest. The version is no
// change by itself.
std::vector<PolicyChange> PolicyChanges(const v1::TrustPolicy& from, const v1::TrustPolicy& to);
std::string PolicyDiffText(const Io& io, const std::vector<PolicyChange>& changes);

// Who has to sign yet: "1 more of root-b, root-c (root of version 1)"; empty when nobody.
std::vector<std::string> MissingWords(const sign::NextPolicy& next);

}  // namespace basalt::client
