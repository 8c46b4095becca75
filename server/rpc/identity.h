// From a client certificate to a caller's name and roles. Authority comes from the verified leaf
// and from nothing else: not from metadata, not from SAN or CN, not from an intermediate.
//
// Reading a certificate costs OpenSSL 3.0 more than 100 us, so what a PEM text means is kept; the
// dates are looked at anew for each call. Thread-safe; immutable but for that cache.
#pragma once

#include <list>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/engine/node_api.h"

namespace basalt::rpc {

// What a certificate is good for under one policy.
struct Identity {
  absl::Status refused;  // OK: accepted. Else Unauthenticated/"certificate-refused", says why
  std::string name;
  std::string fingerprint;   // lower-hex sha256 of the DER certificate
  std::set<v1::Role> roles;  // closed; empty: accepted, but may do nothing that needs a role
  absl::Time not_before;
  absl::Time not_after;
};

class ClientPolicy {
 public:
  // InvalidArgument/"bad-client-ca" when a certificate of `policy.api.clientCas` is none, or is
  // not an authority.
  static absl::StatusOr<std::shared_ptr<const ClientPolicy>> Make(const engine::ApiPolicy& policy);

  const engine::ApiPolicy& policy() const { return policy_; }
  // All authorities as one PEM text, for TLS; empty: no certificate is asked for.
  const std::string& roots_pem() const { return roots_pem_; }

  // `leaf_pem` came over a connection whose chain TLS has checked, perhaps against an earlier
  // policy; it is checked against this one here. Roles = O=basalt:ROLE and O=basalt:CLUSTER:ROLE,
  // with what they build on, as far as the list of the issuing authority goes.
  Identity Identify(const std::string& leaf_pem, absl::Time now) const;

 private:
  struct Ca {
    std::vector<std::string> certificates;  // PEM, each
    std::set<v1::Role> roles;               // closed
  };
  using Cached = std::pair<std::string, Identity>;
  static constexpr size_t kMaxCached = 1024;

  ClientPolicy() = default;
  Identity Read(const std::string& leaf_pem) const;
  bool DeniedAsTwin(const std::string& leaf_pem) const;

  engine::ApiPolicy policy_;
  std::vector<Ca> cas_;
  std::set<std::string> denied_;
  std::string roots_pem_;
  mutable absl::Mutex mu_;
  mutable std::list<Cached> recent_ ABSL_GUARDED_BY(mu_);  // most recently used first
  mutable std::unordered_map<std::string, std::list<Cached>::iterator> index_ ABSL_GUARDED_BY(mu_);
};

// The roles that the O= values of a certificate claim in `cluster`, closed. Unknown words, other
// clusters and other prefixes claim nothing.
std::set<v1::Role> ClaimedRoles(const std::vector<std::string>& organizations,
                                absl::string_view cluster);

}  // namespace basalt::rpc
