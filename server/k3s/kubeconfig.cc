#include "server/k3s/kubeconfig.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/keys.h"
#include "machineconfig/sign/x509.h"
#include "server/k3s/yaml_text.h"

namespace basalt::k3s {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

std::string Pkcs8(EVP_PKEY* key) {
  Bio bio(BIO_new(BIO_s_secmem()), BIO_free);
  if (key == nullptr ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return "";
  }
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

// K3s writes SEC1 ("EC PRIVATE KEY"); ours are PKCS#8.
absl::StatusOr<sign::PrivateKey> ReadKey(const std::string& pem) {
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  ERR_clear_error();
  return sign::PrivateKey::FromPem(Pkcs8(key.get()));
}

}  // namespace

absl::StatusOr<std::string> MakeKubeconfig(const KubeconfigInput& input) {
  absl::StatusOr<sign::PrivateKey> ca_key = ReadKey(input.client_ca_key_pem);
  if (!ca_key.ok()) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "k3s-ca-unusable",
                      "the key of K3s's client CA is not ECDSA P-256",
                      "use a P-256 CA, or K3s's own kubeconfig on the node");
  }
  Key fresh(EVP_EC_gen("P-256"), EVP_PKEY_free);
  absl::StatusOr<sign::PrivateKey> key = sign::PrivateKey::FromPem(Pkcs8(fresh.get()));
  if (!key.ok()) return key.status();
  sign::CertificateSpec spec;
  spec.common_name = absl::StrCat("basalt:", input.node_name);
  spec.organizations = {"system:masters"};
  spec.client_auth = true;
  spec.not_before = input.now - absl::Minutes(5);
  spec.not_after = input.now + input.validity;
  absl::StatusOr<std::string> certificate =
      sign::Issue(spec, key->public_key(), input.client_ca_pem, *ca_key);
  if (!certificate.ok()) return certificate.status();
  const std::string name = Quoted(input.cluster);
  const std::string user = Quoted(absl::StrCat(input.cluster, "-admin"));
  return absl::StrCat("apiVersion: v1\nkind: Config\nclusters:\n  - name: ", name,
                      "\n    cluster:\n      server: ", Quoted(input.server_url),
                      "\n      certificate-authority-data: ", Base64Encode(input.server_ca_pem),
                      "\nusers:\n  - name: ", user,
                      "\n    user:\n      client-certificate-data: ", Base64Encode(*certificate),
                      "\n      client-key-data: ", Base64Encode(key->Pem()),
                      "\ncontexts:\n  - name: ", name, "\n    context:\n      cluster: ", name,
                      "\n      user: ", user, "\ncurrent-context: ", name, "\n");
}

}  // namespace basalt::k3s
