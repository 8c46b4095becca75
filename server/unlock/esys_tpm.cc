#include "server/unlock/esys_tpm.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/unlock/tpm_policy.h"

namespace basalt::unlock {
namespace {

constexpr uint32_t kPcr7 = 1U << 7, kPcr11 = 1U << 11, kPcr15 = 1U << 15;
constexpr size_t kSecretSize = 32;
constexpr char kLockEvent[] = "basalt: the disks are open";

Status Failed(absl::string_view what, TSS2_RC code) {
  return UnavailableError(absl::StrCat("the TPM: ", what, ": error 0x", absl::Hex(code)));
}

// Of policy sessions: the policy is not fulfilled, or what was given does not fit the TPM.
bool IsRefusal(TSS2_RC code) {
  if ((code & TSS2_RC_LAYER_MASK) != 0) return false;
  const TSS2_RC error = (code & TPM2_RC_FMT1) != 0 ? code & 0xbf : code;
  return error == TPM2_RC_POLICY_FAIL || error == TPM2_RC_INTEGRITY || error == TPM2_RC_BINDING ||
         error == TPM2_RC_PCR_CHANGED || error == TPM2_RC_SIGNATURE || error == TPM2_RC_VALUE;
}

template <typename T>
class Owned {  // what esys allocates
 public:
  ~Owned() { Esys_Free(value_); }
  T** out() { return &value_; }
  T* get() const { return value_; }
  T* operator->() const { return value_; }

 private:
  T* value_ = nullptr;
};

class Handle {  // an object or session in the TPM
 public:
  explicit Handle(ESYS_CONTEXT* esys) : esys_(esys) {}
  ~Handle() {
    if (handle_ != ESYS_TR_NONE) Esys_FlushContext(esys_, handle_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ESYS_TR* out() { return &handle_; }
  ESYS_TR get() const { return handle_; }

 private:
  ESYS_CONTEXT* esys_;
  ESYS_TR handle_ = ESYS_TR_NONE;
};

TPML_PCR_SELECTION Selection(uint32_t mask) {
  TPML_PCR_SELECTION selection = {.count = 1, .pcrSelections = {}};
  selection.pcrSelections[0] = {.hash = TPM2_ALG_SHA256, .sizeofSelect = 3, .pcrSelect = {}};
  for (int i = 0; i < 3; ++i) {
    selection.pcrSelections[0].pcrSelect[i] = static_cast<BYTE>(mask >> (8 * i));
  }
  return selection;
}

template <typename Buffer>
bool Set(absl::string_view bytes, Buffer* buffer, BYTE* at, size_t most) {
  if (bytes.size() > most) return false;
  buffer->size = static_cast<UINT16>(bytes.size());
  memcpy(at, bytes.data(), bytes.size());
  return true;
}

// The storage primary that the TCG's guidance has for ECC P-256: the same each time.
TPM2B_PUBLIC StorageKey() {
  TPM2B_PUBLIC key = {};
  TPMT_PUBLIC& area = key.publicArea;
  area.type = TPM2_ALG_ECC;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_FIXEDTPM |
                          TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                          TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA;
  TPMS_ECC_PARMS& parms = area.parameters.eccDetail;
  parms.symmetric.algorithm = TPM2_ALG_AES;
  parms.symmetric.keyBits.aes = 128;
  parms.symmetric.mode.aes = TPM2_ALG_CFB;
  parms.scheme.scheme = TPM2_ALG_NULL;
  parms.curveID = TPM2_ECC_NIST_P256;
  parms.kdf.scheme = TPM2_ALG_NULL;
  return key;
}

// The authority's key, as OpenSSL has it and as the TPM takes it.
struct AuthorityKey {
  TPM2B_PUBLIC area = {};
  std::string fingerprint;  // of the DER
  bool rsa = false;
};

bool Number(EVP_PKEY* key, const char* name, size_t size, BYTE* out) {
  BIGNUM* number = nullptr;
  const bool good = EVP_PKEY_get_bn_param(key, name, &number) == 1 &&
                    BN_bn2binpad(number, out, static_cast<int>(size)) >= 0;
  BN_free(number);
  return good;
}

StatusOr<AuthorityKey> ReadAuthority(const std::string& pem) {
  const Status bad = InvalidArgumentError("the key for PCR signatures is neither RSA nor P-256");
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free);
  if (key == nullptr) return bad;
  AuthorityKey out;
  // As systemd names it: of the key alone, not of what says its algorithm.
  unsigned char* der = nullptr;
  const int size = i2d_PublicKey(key.get(), &der);
  if (size <= 0) return bad;
  out.fingerprint =
      absl::BytesToHexString(Sha256Of({reinterpret_cast<char*>(der), static_cast<size_t>(size)}));
  OPENSSL_free(der);
  TPMT_PUBLIC& area = out.area.publicArea;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_USERWITHAUTH;
  out.rsa = EVP_PKEY_is_a(key.get(), "RSA") == 1;
  if (out.rsa) {
    const size_t bytes = static_cast<size_t>(EVP_PKEY_get_bits(key.get())) / 8;
    if (bytes > sizeof area.unique.rsa.buffer) return bad;
    area.type = TPM2_ALG_RSA;
    area.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
    area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
    area.parameters.rsaDetail.keyBits = static_cast<UINT16>(bytes * 8);
    area.parameters.rsaDetail.exponent = 0;  // 65537
    area.unique.rsa.size = static_cast<UINT16>(bytes);
    if (!Number(key.get(), OSSL_PKEY_PARAM_RSA_N, bytes, area.unique.rsa.buffer)) return bad;
    return out;
  }
  char group[32] = {};
  if (EVP_PKEY_get_group_name(key.get(), group, sizeof group, nullptr) != 1 ||
      strcmp(group, "prime256v1") != 0) {
    return bad;
  }
  area.type = TPM2_ALG_ECC;
  area.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
  area.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
  area.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
  area.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  area.unique.ecc.x.size = area.unique.ecc.y.size = 32;
  if (!Number(key.get(), OSSL_PKEY_PARAM_EC_PUB_X, 32, area.unique.ecc.x.buffer) ||
      !Number(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y, 32, area.unique.ecc.y.buffer)) {
    return bad;
  }
  return out;
}

StatusOr<TPMT_SIGNATURE> ReadSignature(const std::string& bytes, bool rsa) {
  TPMT_SIGNATURE out = {};
  const Status bad = PermissionDeniedError("a PCR signature is malformed");
  if (rsa) {
    out.sigAlg = TPM2_ALG_RSASSA;
    out.signature.rsassa.hash = TPM2_ALG_SHA256;
    TPM2B_PUBLIC_KEY_RSA& sig = out.signature.rsassa.sig;
    if (!Set(bytes, &sig, sig.buffer, sizeof sig.buffer)) return bad;
    return out;
  }
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> sig(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(bytes.size())), &ECDSA_SIG_free);
  if (sig == nullptr) return bad;
  out.sigAlg = TPM2_ALG_ECDSA;
  TPMS_SIGNATURE_ECDSA& ecdsa = out.signature.ecdsa;
  ecdsa.hash = TPM2_ALG_SHA256;
  ecdsa.signatureR.size = ecdsa.signatureS.size = 32;
  if (BN_bn2binpad(ECDSA_SIG_get0_r(sig.get()), ecdsa.signatureR.buffer, 32) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(sig.get()), ecdsa.signatureS.buffer, 32) < 0) {
    return bad;
  }
  return out;
}

std::string NameOf(const TPM2B_NAME& name) {
  return std::string(reinterpret_cast<const char*>(name.name), name.size);
}

class EsysTpm : public Tpm {
 public:
  explicit EsysTpm(ESYS_CONTEXT* esys) : esys_(esys) {}
  ~EsysTpm() override { Esys_Finalize(&esys_); }

  StatusOr<Sealed> Seal(const seal::SecretBytes& secret,
                        const std::optional<PcrAuthority>& authority) override {
    auto pcr7 = ReadPcr(kPcr7), pcr15 = ReadPcr(kPcr15);
    if (!pcr7.ok()) return pcr7.status();
    if (!pcr15.ok()) return pcr15.status();
    if (*pcr15 != std::string(kPcrSize, '\0')) {
      return FailedPreconditionError("the TPM was told already that the disks are open (PCR 15)");
    }
    Sealed sealed;
    sealed.pcr7 = *pcr7;
    std::string policy(kPcrSize, '\0');
    if (authority.has_value()) {
      auto key = ReadAuthority(authority->public_key);
      if (!key.ok()) return key.status();
      auto name = NameOfAuthority(*key);
      if (!name.ok()) return name.status();
      policy = PolicyAuthorize(*name);
      sealed.public_key = authority->public_key;
    }
    policy = PolicyPcr(policy, kPcr7 | kPcr15, *pcr7 + std::string(kPcrSize, '\0'));
    Handle parent(esys_), session(esys_);
    auto parent_name = MakeParent(&parent);
    if (!parent_name.ok()) return parent_name.status();
    sealed.parent_name = *parent_name;
    Status started = StartSession(parent, TPM2_SE_HMAC, TPMA_SESSION_DECRYPT, &session);
    if (!started.ok()) return started;
    TPM2B_SENSITIVE_CREATE sensitive = {};
    TPM2B_SENSITIVE_DATA& data = sensitive.sensitive.data;
    if (!Set(secret.view(), &data, data.buffer, kSecretSize)) {
      return InvalidArgumentError("a secret of another size");
    }
    TPM2B_PUBLIC area = {};
    area.publicArea.type = TPM2_ALG_KEYEDHASH;
    area.publicArea.nameAlg = TPM2_ALG_SHA256;
    area.publicArea.objectAttributes =
        TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_NODA;
    area.publicArea.parameters.keyedHashDetail.scheme.scheme = TPM2_ALG_NULL;
    Set(policy, &area.publicArea.authPolicy, area.publicArea.authPolicy.buffer, kPcrSize);
    const TPM2B_DATA outside = {};
    const TPML_PCR_SELECTION none = {};
    Owned<TPM2B_PRIVATE> made_private;
    Owned<TPM2B_PUBLIC> made_public;
    const TSS2_RC error = Esys_Create(
        esys_, parent.get(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &area, &outside,
        &none, made_private.out(), made_public.out(), nullptr, nullptr, nullptr);
    OPENSSL_cleanse(&sensitive, sizeof sensitive);
    if (error != TSS2_RC_SUCCESS) return Failed("seal", error);
    uint8_t buffer[sizeof(TPM2B_PUBLIC) + sizeof(TPM2B_PRIVATE)];
    size_t size = 0;
    if (Tss2_MU_TPM2B_PUBLIC_Marshal(made_public.get(), buffer, sizeof buffer, &size) != 0) {
      return InternalError("the TPM: what it made cannot be written down");
    }
    sealed.public_part.assign(reinterpret_cast<char*>(buffer), size);
    size = 0;
    if (Tss2_MU_TPM2B_PRIVATE_Marshal(made_private.get(), buffer, sizeof buffer, &size) != 0) {
      return InternalError("the TPM: what it made cannot be written down");
    }
    sealed.private_part.assign(reinterpret_cast<char*>(buffer), size);
    return sealed;
  }

  StatusOr<seal::SecretBytes> Unseal(const Sealed& sealed,
                                     const std::optional<PcrAuthority>& authority) override {
    Handle parent(esys_), object(esys_), session(esys_);
    auto parent_name = MakeParent(&parent);
    if (!parent_name.ok()) return parent_name.status();
    if (*parent_name != sealed.parent_name) {
      return PermissionDeniedError("this is not the TPM that the key was sealed in");
    }
    TPM2B_PUBLIC area = {};
    TPM2B_PRIVATE secret = {};
    size_t at = 0;
    const auto* bytes = reinterpret_cast<const uint8_t*>(sealed.public_part.data());
    bool good = Tss2_MU_TPM2B_PUBLIC_Unmarshal(bytes, sealed.public_part.size(), &at, &area) == 0;
    at = 0;
    bytes = reinterpret_cast<const uint8_t*>(sealed.private_part.data());
    good = good &&
           Tss2_MU_TPM2B_PRIVATE_Unmarshal(bytes, sealed.private_part.size(), &at, &secret) == 0;
    if (!good) return DataLossError("the sealed key is damaged");
    TSS2_RC error = Esys_Load(esys_, parent.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                              &secret, &area, object.out());
    if (error != TSS2_RC_SUCCESS) {
      return IsRefusal(error) ? PermissionDeniedError("the TPM does not know the sealed key")
                              : Failed("load", error);
    }
    Status status = StartSession(parent, TPM2_SE_POLICY, TPMA_SESSION_ENCRYPT, &session);
    if (status.ok() && !sealed.public_key.empty()) {
      status = FulfilAuthority(session, sealed.public_key, authority);
    }
    if (!status.ok()) return status;
    const TPM2B_DIGEST as_they_are = {};
    const TPML_PCR_SELECTION selection = Selection(kPcr7 | kPcr15);
    error = Esys_PolicyPCR(esys_, session.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                           &as_they_are, &selection);
    if (error != TSS2_RC_SUCCESS) return Failed("policy", error);
    Owned<TPM2B_SENSITIVE_DATA> data;
    error = Esys_Unseal(esys_, object.get(), session.get(), ESYS_TR_NONE, ESYS_TR_NONE, data.out());
    if (error != TSS2_RC_SUCCESS) {
      return IsRefusal(error) ? PermissionDeniedError(WhatChanged(sealed))
                              : Failed("unseal", error);
    }
    seal::SecretBytes out(absl::string_view(reinterpret_cast<char*>(data->buffer), data->size));
    OPENSSL_cleanse(data.get(), sizeof(TPM2B_SENSITIVE_DATA));
    return out;
  }

  Status Lock() override {
    TPML_DIGEST_VALUES values = {.count = 1, .digests = {}};
    values.digests[0].hashAlg = TPM2_ALG_SHA256;
    memcpy(values.digests[0].digest.sha256, Sha256Of(kLockEvent).data(), kPcrSize);
    const TSS2_RC error = Esys_PCR_Extend(esys_, ESYS_TR_PCR15, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                          ESYS_TR_NONE, &values);
    return error == TSS2_RC_SUCCESS ? OkStatus() : Failed("extend PCR 15", error);
  }

 private:
  StatusOr<std::string> ReadPcr(uint32_t mask) {
    const TPML_PCR_SELECTION selection = Selection(mask);
    Owned<TPML_DIGEST> values;
    const TSS2_RC error = Esys_PCR_Read(esys_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &selection,
                                        nullptr, nullptr, values.out());
    if (error != TSS2_RC_SUCCESS) return Failed("read PCRs", error);
    if (values->count != 1 || values->digests[0].size != kPcrSize) {
      return FailedPreconditionError("the TPM keeps no PCRs in SHA-256");
    }
    return std::string(reinterpret_cast<char*>(values->digests[0].buffer), kPcrSize);
  }

  StatusOr<std::string> MakeParent(Handle* parent) {
    const TPM2B_SENSITIVE_CREATE sensitive = {};
    const TPM2B_PUBLIC area = StorageKey();
    const TPM2B_DATA outside = {};
    const TPML_PCR_SELECTION none = {};
    TSS2_RC error = Esys_CreatePrimary(esys_, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                       ESYS_TR_NONE, &sensitive, &area, &outside, &none,
                                       parent->out(), nullptr, nullptr, nullptr, nullptr);
    if (error != TSS2_RC_SUCCESS) return Failed("make its storage key", error);
    Owned<TPM2B_NAME> name;
    error = Esys_TR_GetName(esys_, parent->get(), name.out());
    if (error != TSS2_RC_SUCCESS) return Failed("name its storage key", error);
    return NameOf(*name.get());
  }

  // Salted with the storage key: who only listens on the bus learns nothing.
  Status StartSession(const Handle& parent, TPM2_SE kind, TPMA_SESSION crypts, Handle* session) {
    TPMT_SYM_DEF symmetric = {};
    symmetric.algorithm = TPM2_ALG_AES;
    symmetric.keyBits.aes = 128;
    symmetric.mode.aes = TPM2_ALG_CFB;
    TSS2_RC error = Esys_StartAuthSession(esys_, parent.get(), ESYS_TR_NONE, ESYS_TR_NONE,
                                          ESYS_TR_NONE, ESYS_TR_NONE, nullptr, kind, &symmetric,
                                          TPM2_ALG_SHA256, session->out());
    const TPMA_SESSION flags = crypts | TPMA_SESSION_CONTINUESESSION;
    if (error == TSS2_RC_SUCCESS) {
      error = Esys_TRSess_SetAttributes(esys_, session->get(), flags, flags);
    }
    return error == TSS2_RC_SUCCESS ? OkStatus() : Failed("start a session", error);
  }

  StatusOr<std::string> LoadAuthority(const AuthorityKey& key, Handle* handle) {
    TSS2_RC error = Esys_LoadExternal(esys_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nullptr,
                                      &key.area, ESYS_TR_RH_OWNER, handle->out());
    Owned<TPM2B_NAME> name;
    if (error == TSS2_RC_SUCCESS) error = Esys_TR_GetName(esys_, handle->get(), name.out());
    if (error != TSS2_RC_SUCCESS) return Failed("load the key for PCR signatures", error);
    return NameOf(*name.get());
  }

  StatusOr<std::string> NameOfAuthority(const AuthorityKey& key) {
    Handle handle(esys_);
    return LoadAuthority(key, &handle);
  }

  Status FulfilAuthority(const Handle& session, const std::string& public_key,
                         const std::optional<PcrAuthority>& authority) {
    if (!authority.has_value()) {
      return PermissionDeniedError("this image has no PCR signatures, and the key wants them");
    }
    auto key = ReadAuthority(public_key);
    if (!key.ok()) return key.status();
    auto pcr11 = ReadPcr(kPcr11);
    if (!pcr11.ok()) return pcr11.status();
    auto found = FindSignature(authority->signatures, key->fingerprint, *pcr11);
    if (!found.ok()) return PermissionDeniedError(found.status().message());
    auto signature = ReadSignature(found->signature, key->rsa);
    if (!signature.ok()) return signature.status();
    Handle handle(esys_);
    auto name = LoadAuthority(*key, &handle);
    if (!name.ok()) return name.status();
    const TPM2B_DIGEST as_it_is = {};
    const TPML_PCR_SELECTION selection = Selection(kPcr11);
    TSS2_RC error = Esys_PolicyPCR(esys_, session.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                   &as_it_is, &selection);
    if (error != TSS2_RC_SUCCESS) return Failed("policy of PCR 11", error);
    TPM2B_DIGEST signed_digest = {}, policy = {};
    Set(Sha256Of(found->policy), &signed_digest, signed_digest.buffer, kPcrSize);
    Set(found->policy, &policy, policy.buffer, kPcrSize);
    Owned<TPMT_TK_VERIFIED> ticket;
    error = Esys_VerifySignature(esys_, handle.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                 &signed_digest, &*signature, ticket.out());
    if (error != TSS2_RC_SUCCESS) {
      return IsRefusal(error) ? PermissionDeniedError("the signature of PCR 11 is not good")
                              : Failed("verify the signature of PCR 11", error);
    }
    TPM2B_NAME key_name = {};
    Set(*name, &key_name, key_name.name, sizeof key_name.name);
    const TPM2B_NONCE no_reference = {};
    error = Esys_PolicyAuthorize(esys_, session.get(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                 &policy, &no_reference, &key_name, ticket.get());
    return error == TSS2_RC_SUCCESS ? OkStatus() : Failed("authorize PCR 11", error);
  }

  std::string WhatChanged(const Sealed& sealed) {
    auto pcr7 = ReadPcr(kPcr7), pcr15 = ReadPcr(kPcr15);
    if (pcr15.ok() && *pcr15 != std::string(kPcrSize, '\0')) {
      return "the disks were open in this boot already (PCR 15)";
    }
    if (pcr7.ok() && *pcr7 != sealed.pcr7) {
      return "Secure Boot's state or keys are not what they were (PCR 7)";
    }
    return "the TPM does not give the key out";
  }

  ESYS_CONTEXT* esys_;
};

}  // namespace

StatusOr<std::unique_ptr<Tpm>> MakeEsysTpm(TSS2_TCTI_CONTEXT* transport) {
  ESYS_CONTEXT* esys = nullptr;
  const TSS2_RC error = Esys_Initialize(&esys, transport, nullptr);
  if (error != TSS2_RC_SUCCESS) return Failed("talk to it", error);
  return std::make_unique<EsysTpm>(esys);
}

}  // namespace basalt::unlock
