#include "machineconfig/base/digest.h"

#include <openssl/evp.h>

#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace basalt {

std::string Digest::Hex() const {
  return HexEncode(absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

std::string Digest::ToString() const { return absl::StrCat("sha256:", Hex()); }

absl::StatusOr<Digest> Digest::Parse(absl::string_view text) {
  if (absl::StartsWith(text, "sha256:")) text.remove_prefix(7);
  if (text.size() != 64)
    return absl::InvalidArgumentError("a sha256 digest has 64 lower-case hex digits");
  Digest out;
  auto nibble = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  for (size_t i = 0; i < 32; ++i) {
    int high = nibble(text[2 * i]);
    int low = nibble(text[2 * i + 1]);
    if (high < 0 || low < 0)
      return absl::InvalidArgumentError("a sha256 digest has 64 lower-case hex digits");
    out.bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return out;
}

Digest Sha256(absl::string_view data) {
  Sha256Stream stream;
  stream.Update(data);
  return stream.Finish();
}

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  // One fetch for the process: an EVP_sha256() that is fetched implicitly costs a lookup at each
  // use.
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), kSha256, nullptr);
}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }

void Sha256Stream::Update(absl::string_view data) {
  EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), data.data(), data.size());
}

Digest Sha256Stream::Finish() {
  Digest out;
  EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), out.bytes.data(), nullptr);
  return out;
}

std::string HexEncode(absl::string_view bytes) { return absl::BytesToHexString(bytes); }

std::string Base64Encode(absl::string_view bytes) { return absl::Base64Escape(bytes); }

absl::StatusOr<std::string> Base64DecodeStrict(absl::string_view text) {
  std::string out;
  if (!absl::Base64Unescape(text, &out) || Base64Encode(out) != text) {
    return absl::InvalidArgumentError("not canonical base64 (RFC 4648 section 4, with padding)");
  }
  return out;
}

}  // namespace basalt
