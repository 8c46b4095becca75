// Certificates as DER from outside, as a caller's and as an authority's in a config. Whatever they
// say of themselves, a caller that the node's authority did not issue has no role.
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/access_table.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/x509.h"
#include "server/rpc/identity.h"

namespace basalt::rpc {
namespace {

struct World {
  std::string ca, leaf;
  std::shared_ptr<const ClientPolicy> policy;
};

engine::ApiPolicy PolicyOf(const std::string& ca) {
  engine::ApiPolicy policy;
  policy.configured = true;
  policy.cluster = "home";
  v1::ClientCa* named = policy.api.add_client_cas();
  named->set_name("owner");
  named->set_certificate(ca);
  named->add_roles("admin");
  named->add_roles("auditor");
  policy.api.add_denied_fingerprints(std::string(64, 'f'));  // so that twins are looked for
  return policy;
}

const World& TheWorld() {
  static const World* const world = [] {
    auto* made = new World();
    sign::PrivateKey key = sign::PrivateKey::GenerateEd25519();
    sign::CertificateSpec ca{.common_name = "owner", .is_ca = true};
    ca.not_before = absl::FromUnixSeconds(1700000000);
    ca.not_after = absl::FromUnixSeconds(2000000000);
    made->ca = sign::SelfSign(ca, key).value();
    sign::CertificateSpec leaf = ca;
    leaf.is_ca = false;
    leaf.client_auth = true;
    leaf.organizations = {"basalt:admin"};
    made->leaf = sign::Issue(leaf, key.public_key(), made->ca, key).value();
    made->policy = ClientPolicy::Make(PolicyOf(made->ca)).value();
    return made;
  }();
  return *world;
}

}  // namespace
}  // namespace basalt::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace basalt;
  const absl::string_view der(reinterpret_cast<const char*>(data), size);
  const std::string pem = absl::StrCat("-----BEGIN CERTIFICATE-----\n", Base64Encode(der),
                                       "\n-----END CERTIFICATE-----\n");
  const rpc::World& world = rpc::TheWorld();
  const absl::Time now = absl::FromUnixSeconds(1795500000);
  if (!world.policy->Identify(pem, now).roles.empty()) std::abort();
  if (sign::IssuedBy(pem, world.ca)) std::abort();
  auto info = sign::ReadCertificate(pem);
  if (!info.ok()) return 0;
  for (v1::Role role : rpc::ClaimedRoles(info->organizations, "home")) {
    if (api::RoleWord(role).empty()) std::abort();
  }
  if (!rpc::ClaimedRoles({info->common_name}, "").empty() &&
      info->common_name.rfind("basalt:", 0) != 0) {
    std::abort();
  }
  auto policy = rpc::ClientPolicy::Make(rpc::PolicyOf(pem));
  if (policy.ok()) {
    if (!info->is_ca) std::abort();
    if (!(*policy)->Identify(world.leaf, now).roles.empty()) std::abort();
    (*policy)->Identify(pem, now);
  }
  if (auto twin = sign::TwinOf(pem, pem)) {
    auto again = sign::ReadCertificate(*twin);
    if (!again.ok() || again->spki != info->spki) std::abort();
    if (sign::IssuedBy(pem, pem) != sign::IssuedBy(*twin, pem)) std::abort();
  }
  return 0;
}
