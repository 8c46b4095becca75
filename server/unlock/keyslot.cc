#include "server/unlock/keyslot.h"

#include <argon2.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"

namespace basalt::unlock {
namespace {

constexpr size_t kSector = 512;
constexpr size_t kDigestSize = 32;  // of SHA-256
constexpr size_t kSplitSize = kStripes * kVolumeKeySize;

// A broken OpenSSL has no way on: nothing that follows would be a secret.
void Must(bool holds) {
  if (!holds) std::abort();
}

void Hash(uint32_t counter, const uint8_t* data, size_t size, uint8_t* out) {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> ctx(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const uint8_t number[4] = {static_cast<uint8_t>(counter >> 24),
                             static_cast<uint8_t>(counter >> 16),
                             static_cast<uint8_t>(counter >> 8), static_cast<uint8_t>(counter)};
  uint8_t digest[kDigestSize];
  Must(EVP_DigestInit_ex(ctx.get(), EVP_sha256(), nullptr) == 1 &&
       EVP_DigestUpdate(ctx.get(), number, sizeof number) == 1 &&
       EVP_DigestUpdate(ctx.get(), data, size) == 1 &&
       EVP_DigestFinal_ex(ctx.get(), digest, nullptr) == 1);
  std::copy_n(digest, size, out);  // size is never above that of a digest
  OPENSSL_cleanse(digest, sizeof digest);
}

// Every bit of a stripe decides about every bit of a block of it (TKS1, "diffusion").
void Diffuse(uint8_t* stripe) {
  for (size_t at = 0; at < kVolumeKeySize; at += kDigestSize) {
    Hash(static_cast<uint32_t>(at / kDigestSize), stripe + at, kDigestSize, stripe + at);
  }
}

void Xor(uint8_t* into, const uint8_t* from) {
  for (size_t i = 0; i < kVolumeKeySize; ++i) into[i] ^= from[i];
}

// All stripes but the last are random; the last one makes the key come out.
SecretBytes Split(const SecretBytes& key) {
  SecretBytes split(kSplitSize), state(kVolumeKeySize);
  Must(RAND_bytes(split.data(), static_cast<int>(kSplitSize - kVolumeKeySize)) == 1);
  for (int i = 0; i < kStripes - 1; ++i) {
    Xor(state.data(), split.data() + static_cast<size_t>(i) * kVolumeKeySize);
    Diffuse(state.data());
  }
  uint8_t* last = split.data() + kSplitSize - kVolumeKeySize;
  std::copy_n(state.data(), kVolumeKeySize, last);
  Xor(last, key.data());
  return split;
}

SecretBytes Merge(const SecretBytes& split) {
  SecretBytes state(kVolumeKeySize);
  for (int i = 0; i < kStripes - 1; ++i) {
    Xor(state.data(), split.data() + static_cast<size_t>(i) * kVolumeKeySize);
    Diffuse(state.data());
  }
  Xor(state.data(), split.data() + kSplitSize - kVolumeKeySize);
  return state;
}

// AES-256 in XTS mode, the number of the sector as the tweak (plain64).
void Crypt(const SecretBytes& key, bool encrypt, const uint8_t* from, uint8_t* to, size_t size) {
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> ctx(EVP_CIPHER_CTX_new(),
                                                                      &EVP_CIPHER_CTX_free);
  for (size_t sector = 0; sector * kSector < size; ++sector) {
    uint8_t tweak[16] = {};
    for (size_t i = 0; i < 8; ++i) tweak[i] = static_cast<uint8_t>(uint64_t{sector} >> (8 * i));
    int done = 0;
    Must(EVP_CipherInit_ex(ctx.get(), sector == 0 ? EVP_aes_256_xts() : nullptr, nullptr,
                           sector == 0 ? key.data() : nullptr, tweak, encrypt ? 1 : 0) == 1 &&
         EVP_CipherUpdate(ctx.get(), to + sector * kSector, &done, from + sector * kSector,
                          static_cast<int>(kSector)) == 1 &&
         done == static_cast<int>(kSector));
  }
}

}  // namespace

std::string RandomText(size_t size) {
  std::string bytes(size, '\0');
  Must(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) == 1);
  return bytes;
}

SecretBytes RandomSecret(size_t size) {
  SecretBytes bytes(size);
  Must(RAND_priv_bytes(bytes.data(), static_cast<int>(size)) == 1);
  return bytes;
}

Kdf FastKdf(std::string salt) {
  return {.type = "pbkdf2", .iterations = 1000, .salt = std::move(salt)};
}

Kdf SlowKdf(std::string salt, uint64_t memory_total) {
  // An eighth: 64 MiB of 512, 128 of a board with 1 GiB. Nobody waits for more than a few seconds.
  const uint64_t kib = std::clamp<uint64_t>(memory_total / 8 / 1024, 8 << 10, 256 << 10);
  return {.type = "argon2id",
          .iterations = 4,
          .memory = static_cast<uint32_t>(kib),
          .lanes = 1,
          .salt = std::move(salt)};
}

StatusOr<SecretBytes> Derive(const Kdf& kdf, absl::string_view passphrase, size_t size) {
  SecretBytes key(size);
  const auto* salt = reinterpret_cast<const unsigned char*>(kdf.salt.data());
  if (kdf.type == "argon2id") {
    const int error = argon2id_hash_raw(kdf.iterations, kdf.memory, kdf.lanes, passphrase.data(),
                                        passphrase.size(), salt, kdf.salt.size(), key.data(), size);
    if (error != ARGON2_OK) {
      return ResourceExhaustedError(absl::StrCat("Argon2: ", argon2_error_message(error)));
    }
    return key;
  }
  Must(PKCS5_PBKDF2_HMAC(passphrase.data(), static_cast<int>(passphrase.size()), salt,
                         static_cast<int>(kdf.salt.size()), static_cast<int>(kdf.iterations),
                         EVP_sha256(), static_cast<int>(size), key.data()) == 1);
  return key;
}

std::string DigestOf(const SecretBytes& volume_key, absl::string_view salt, uint32_t iterations) {
  std::string digest(kDigestSize, '\0');
  const absl::string_view key = volume_key.view();
  Must(PKCS5_PBKDF2_HMAC(key.data(), static_cast<int>(key.size()),
                         reinterpret_cast<const unsigned char*>(salt.data()),
                         static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                         static_cast<int>(digest.size()),
                         reinterpret_cast<unsigned char*>(digest.data())) == 1);
  return digest;
}

StatusOr<std::string> LockArea(const Kdf& kdf, absl::string_view passphrase,
                               const SecretBytes& volume_key) {
  auto key = Derive(kdf, passphrase, kVolumeKeySize);
  if (!key.ok()) return key.status();
  const SecretBytes split = Split(volume_key);
  std::string area(kAreaSize, '\0');
  Crypt(*key, /*encrypt=*/true, split.data(), reinterpret_cast<uint8_t*>(area.data()), kSplitSize);
  return area;
}

StatusOr<SecretBytes> OpenArea(const Header& header, const Keyslot& slot, absl::string_view area,
                               absl::string_view passphrase) {
  if (area.size() < kSplitSize) return DataLossError("the area of a keyslot is too short");
  auto key = Derive(slot.kdf, passphrase, kVolumeKeySize);
  if (!key.ok()) return key.status();
  SecretBytes split(kSplitSize);
  Crypt(*key, /*encrypt=*/false, reinterpret_cast<const uint8_t*>(area.data()), split.data(),
        kSplitSize);
  SecretBytes volume_key = Merge(split);
  const std::string digest = DigestOf(volume_key, header.digest_salt, header.digest_iterations);
  if (CRYPTO_memcmp(digest.data(), header.digest.data(), digest.size()) != 0) {
    return PermissionDeniedError("the key does not fit");
  }
  return volume_key;
}

}  // namespace basalt::unlock
