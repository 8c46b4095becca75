#include "server/rpc/identity.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/access_table.h"
#include "api/coded_status.h"
#include "machineconfig/sign/x509.h"

namespace basalt::rpc {
namespace {

absl::Status Refused(absl::string_view why) {
  return api::Coded(absl::StatusCode::kUnauthenticated, "certificate-refused",
                    absl::StrCat("the client certificate is refused: ", why));
}

absl::Status BadCa(absl::string_view name, absl::string_view why) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-client-ca",
                    absl::StrCat("api.clientCas[", name, "]: ", why),
                    "put the PEM certificate of the authority there");
}

std::string NameOf(const sign::CertificateInfo& info) {
  if (!info.common_name.empty()) return info.common_name;
  for (const auto* names : {&info.uris, &info.dns_names, &info.ip_addresses}) {
    if (!names->empty()) return names->front();
  }
  return "";
}

}  // namespace

std::set<v1::Role> ClaimedRoles(const std::vector<std::string>& organizations,
                                absl::string_view cluster) {
  std::set<v1::Role> out;
  for (const std::string& organization : organizations) {
    std::vector<absl::string_view> parts = absl::StrSplit(organization, ':');
    if (parts.size() < 2 || parts.size() > 3 || parts[0] != "basalt") continue;
    if (parts.size() == 3 && (cluster.empty() || parts[1] != cluster)) continue;
    for (v1::Role role : api::RoleClosure(api::RoleFromWord(parts.back()))) out.insert(role);
  }
  return out;
}

absl::StatusOr<std::shared_ptr<const ClientPolicy>> ClientPolicy::Make(
    const engine::ApiPolicy& policy) {
  std::shared_ptr<ClientPolicy> out(new ClientPolicy());
  out->policy_ = policy;
  for (const v1::ClientCa& named : policy.api.client_cas()) {
    Ca ca;
    absl::StatusOr<std::vector<std::string>> certificates = sign::SplitPem(named.certificate());
    if (!certificates.ok()) return BadCa(named.name(), certificates.status().message());
    if (certificates->empty()) return BadCa(named.name(), "no certificate");
    for (const std::string& pem : *certificates) {
      absl::StatusOr<sign::CertificateInfo> info = sign::ReadCertificate(pem);
      if (!info.ok()) return BadCa(named.name(), info.status().message());
      if (!info->is_ca) return BadCa(named.name(), "not the certificate of an authority");
      absl::StrAppend(&out->roots_pem_, pem, absl::EndsWith(pem, "\n") ? "" : "\n");
    }
    ca.certificates = *std::move(certificates);
    for (const std::string& word : named.roles()) {
      for (v1::Role role : api::RoleClosure(api::RoleFromWord(word))) ca.roles.insert(role);
    }
    out->cas_.push_back(std::move(ca));
  }
  for (const std::string& fingerprint : policy.api.denied_fingerprints()) {
    out->denied_.insert(absl::AsciiStrToLower(fingerprint));
  }
  return std::shared_ptr<const ClientPolicy>(std::move(out));
}

Identity ClientPolicy::Identify(const std::string& leaf_pem, absl::Time now) const {
  Identity identity;
  bool found = false;
  {
    absl::MutexLock lock(&mu_);
    if (auto it = index_.find(leaf_pem); it != index_.end()) {
      recent_.splice(recent_.begin(), recent_, it->second);
      identity = it->second->second;
      found = true;
    }
  }
  if (!found) {
    identity = Read(leaf_pem);
    absl::MutexLock lock(&mu_);
    // A refusal may come of a moment without memory, and must not outlive it.
    if (identity.refused.ok() && index_.count(leaf_pem) == 0) {
      recent_.emplace_front(leaf_pem, identity);
      index_[leaf_pem] = recent_.begin();
      if (recent_.size() > kMaxCached) {
        index_.erase(recent_.back().first);
        recent_.pop_back();
      }
    }
  }
  if (identity.refused.ok()) {
    if (now < identity.not_before) identity.refused = Refused("it is not valid yet");
    if (now >= identity.not_after) identity.refused = Refused("it has expired");
  }
  if (!identity.refused.ok()) identity.roles.clear();
  return identity;
}

// Who holds a denied certificate could otherwise show the same one with its signature turned round.
bool ClientPolicy::DeniedAsTwin(const std::string& leaf_pem) const {
  if (denied_.empty()) return false;
  for (const Ca& ca : cas_) {
    for (const std::string& pem : ca.certificates) {
      std::optional<std::string> twin = sign::TwinOf(leaf_pem, pem);
      if (!twin) continue;
      absl::StatusOr<sign::CertificateInfo> info = sign::ReadCertificate(*twin);
      if (info.ok() && denied_.count(info->fingerprint.Hex()) > 0) return true;
    }
  }
  return false;
}

Identity ClientPolicy::Read(const std::string& leaf_pem) const {
  Identity out;
  absl::StatusOr<sign::CertificateInfo> info = sign::ReadCertificate(leaf_pem);
  if (!info.ok()) {
    out.refused = Refused("it cannot be read");
    return out;
  }
  out.name = NameOf(*info);
  out.fingerprint = info->fingerprint.Hex();
  out.not_before = info->not_before;
  out.not_after = info->not_after;
  if (denied_.count(out.fingerprint) > 0) {
    out.refused = Refused("api.deniedFingerprints names it");
  } else if (info->is_ca) {
    out.refused = Refused("it is an authority's, not a caller's");
  } else if (!info->client_auth) {
    out.refused = Refused("its extended key usage lacks clientAuth");
  }
  if (!out.refused.ok()) return out;
  bool issued = false;
  std::set<v1::Role> allowed;
  for (const Ca& ca : cas_) {
    // The same authority may be named twice with different lists: both count.
    if (std::any_of(ca.certificates.begin(), ca.certificates.end(),
                    [&](const std::string& pem) { return sign::IssuedBy(leaf_pem, pem); })) {
      issued = true;
      allowed.insert(ca.roles.begin(), ca.roles.end());
    }
  }
  if (issued && DeniedAsTwin(leaf_pem)) {
    out.refused = Refused("api.deniedFingerprints names it (by its other ECDSA signature)");
    return out;
  }
  if (!issued) {
    out.refused = Refused("no authority of api.clientCas issued it directly");
    return out;
  }
  std::set<v1::Role> claimed = ClaimedRoles(info->organizations, policy_.cluster);
  std::set_intersection(claimed.begin(), claimed.end(), allowed.begin(), allowed.end(),
                        std::inserter(out.roles, out.roles.end()));
  return out;
}

}  // namespace basalt::rpc
