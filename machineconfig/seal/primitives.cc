#include "machineconfig/seal/primitives.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "machineconfig/base/digest.h"

namespace basalt::seal {
namespace {

struct Free {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
  void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); }
};
using Key = std::unique_ptr<EVP_PKEY, Free>;

void Must(bool ok) {
  if (!ok) std::abort();
}

const unsigned char* Bytes(absl::string_view s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

Key PrivateKey(absl::string_view scalar) {
  Must(scalar.size() == kKeySize);
  Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, Bytes(scalar), kKeySize));
  Must(key != nullptr);
  return key;
}

void Hmac(absl::string_view key, absl::string_view data, uint8_t* out32) {
  unsigned int size = 0;
  // A null key means "as before" to OpenSSL, so an empty one points somewhere.
  Must(HMAC(EVP_sha256(), key.empty() ? Bytes("") : Bytes(key), static_cast<int>(key.size()),
            Bytes(data), data.size(), out32, &size) != nullptr);
}

// One fetch for the process: fetched implicitly it costs a lookup at each use.
const EVP_CIPHER* ChaCha20Poly1305() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
  Must(cipher != nullptr);
  return cipher;
}

}  // namespace

std::optional<SecretBytes> X25519(absl::string_view scalar32, absl::string_view point32) {
  Must(point32.size() == kKeySize);
  const Key mine = PrivateKey(scalar32);
  const Key theirs(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, Bytes(point32), kKeySize));
  std::unique_ptr<EVP_PKEY_CTX, Free> ctx(EVP_PKEY_CTX_new(mine.get(), nullptr));
  Must(theirs && ctx && EVP_PKEY_derive_init(ctx.get()) == 1 &&
       EVP_PKEY_derive_set_peer(ctx.get(), theirs.get()) == 1);
  SecretBytes out(kKeySize);
  size_t size = kKeySize;
  // OpenSSL refuses the all-zero result too; that it does is not relied on.
  const bool derived = EVP_PKEY_derive(ctx.get(), out.data(), &size) == 1 && size == kKeySize;
  const uint8_t zero[kKeySize] = {};
  if (!derived || CRYPTO_memcmp(out.data(), zero, kKeySize) == 0) {
    ERR_clear_error();  // else somebody else's next call reports it
    return std::nullopt;
  }
  return out;
}

std::string X25519Base(absl::string_view scalar32) {
  std::string out(kKeySize, '\0');
  size_t size = kKeySize;
  Must(EVP_PKEY_get_raw_public_key(PrivateKey(scalar32).get(),
                                   reinterpret_cast<unsigned char*>(out.data()), &size) == 1);
  return out;
}

SecretBytes Hkdf(absl::string_view ikm, absl::string_view salt, absl::string_view info) {
  SecretBytes prk(kKeySize), out(kKeySize);
  Hmac(salt, ikm, prk.data());
  // The first block of the expansion is all that 32 bytes need.
  Hmac(prk.view(), absl::StrCat(info, "\x01"), out.data());
  return out;
}

std::string HmacSha256(absl::string_view key, absl::string_view data) {
  std::string out(kKeySize, '\0');
  Hmac(key, data, reinterpret_cast<uint8_t*>(out.data()));
  return out;
}

void AeadSeal(const SecretBytes& key, const Nonce& nonce, absl::string_view plaintext,
              std::string& out) {
  Must(key.size() == kKeySize);
  std::unique_ptr<EVP_CIPHER_CTX, Free> ctx(EVP_CIPHER_CTX_new());
  const size_t at = out.size();
  out.resize(at + plaintext.size() + kTagSize);
  auto* to = reinterpret_cast<unsigned char*>(out.data()) + at;
  int size = 0, end = 0;
  Must(ctx &&
       EVP_EncryptInit_ex2(ctx.get(), ChaCha20Poly1305(), key.data(), nonce.data(), nullptr) == 1);
  // An empty update is not asked for: with a null buffer it would mean associated data.
  if (!plaintext.empty()) {
    Must(EVP_EncryptUpdate(ctx.get(), to, &size, Bytes(plaintext),
                           static_cast<int>(plaintext.size())) == 1);
  }
  Must(EVP_EncryptFinal_ex(ctx.get(), to + size, &end) == 1 &&
       EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, to + plaintext.size()) == 1);
}

bool AeadOpen(const SecretBytes& key, const Nonce& nonce, absl::string_view ciphertext,
              uint8_t* out) {
  Must(key.size() == kKeySize);
  if (ciphertext.size() < kTagSize) return false;
  const absl::string_view text = ciphertext.substr(0, ciphertext.size() - kTagSize);
  std::string tag(ciphertext.substr(text.size()));
  std::unique_ptr<EVP_CIPHER_CTX, Free> ctx(EVP_CIPHER_CTX_new());
  int size = 0, end = 0;
  Must(ctx &&
       EVP_DecryptInit_ex2(ctx.get(), ChaCha20Poly1305(), key.data(), nonce.data(), nullptr) == 1 &&
       EVP_CIPHER_CTX_ctrl(ctx.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data()) == 1);
  if (!text.empty()) {
    Must(EVP_DecryptUpdate(ctx.get(), out, &size, Bytes(text), static_cast<int>(text.size())) == 1);
  }
  uint8_t none[1];
  const bool good = EVP_DecryptFinal_ex(ctx.get(), text.empty() ? none : out + size, &end) == 1;
  if (!good) {
    OPENSSL_cleanse(out, text.size());
    ERR_clear_error();
  }
  return good;
}

std::string Base64Raw(absl::string_view bytes) {
  std::string out = Base64Encode(bytes);
  out.erase(out.find_last_not_of('=') + 1);
  return out;
}

std::optional<std::string> Base64RawDecode(absl::string_view text) {
  if (text.find('=') != text.npos || text.size() % 4 == 1) return std::nullopt;
  std::string padded(text);
  padded.append((4 - text.size() % 4) % 4, '=');
  absl::StatusOr<std::string> out = Base64DecodeStrict(padded);
  if (!out.ok()) return std::nullopt;
  return *std::move(out);
}

}  // namespace basalt::seal
