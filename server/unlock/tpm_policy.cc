#include "server/unlock/tpm_policy.h"

#include <openssl/evp.h>

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace basalt::unlock {
namespace {

using Json = nlohmann::json;

constexpr uint32_t kPolicyAuthorize = 0x16a, kPolicyPcr = 0x17f;  // command codes
constexpr uint16_t kSha256 = 0x000b;
constexpr size_t kMostJson = 64 << 10;
constexpr size_t kMostSignatures = 64;
constexpr int kMostDepth = 6;

std::string Number(uint64_t number, size_t size) {
  std::string bytes;
  for (size_t i = size; i-- > 0;) bytes.push_back(static_cast<char>(number >> (8 * i)));
  return bytes;
}

std::string Member(const Json& json, const char* name) {
  auto it = json.find(name);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

// HexStringToBytes is of any length and takes anything.
std::string FromHex(const std::string& text) {
  for (char c : text) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return "";
  }
  return text.size() % 2 == 0 ? absl::HexStringToBytes(text) : "";
}

}  // namespace

std::string Sha256Of(absl::string_view bytes) {
  std::string digest(kPcrSize, '\0');
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
             EVP_sha256(), nullptr);
  return digest;
}

std::string PolicyPcr(absl::string_view policy, uint32_t mask, absl::string_view values) {
  // TPML_PCR_SELECTION of one bank, three bytes of PCRs, the lowest first.
  std::string selection = Number(1, 4) + Number(kSha256, 2) + Number(3, 1);
  for (int i = 0; i < 3; ++i) selection.push_back(static_cast<char>(mask >> (8 * i)));
  return Sha256Of(std::string(policy) + Number(kPolicyPcr, 4) + selection + Sha256Of(values));
}

std::string PolicyAuthorize(absl::string_view key_name) {
  const std::string inner =
      Sha256Of(std::string(kPcrSize, '\0') + Number(kPolicyAuthorize, 4) + std::string(key_name));
  return Sha256Of(inner);  // of it and of no policyRef
}

StatusOr<PcrSignature> FindSignature(absl::string_view signatures, absl::string_view fingerprint,
                                     absl::string_view pcr11) {
  if (signatures.size() > kMostJson) return NotFoundError("the PCR signatures are too long");
  bool deep = false;
  auto watch = [&](int depth, Json::parse_event_t, Json&) {
    deep = deep || depth > kMostDepth;
    return !deep;
  };
  const Json json = Json::parse(signatures.begin(), signatures.end(), watch, false);
  if (deep || !json.is_object()) return NotFoundError("the PCR signatures are no JSON");
  auto bank = json.find("sha256");
  if (bank == json.end() || !bank->is_array() || bank->size() > kMostSignatures) {
    return NotFoundError("there are no PCR signatures for SHA-256");
  }
  const std::string wanted = PolicyPcr(std::string(kPcrSize, '\0'), 1U << 11, pcr11);
  for (const Json& one : *bank) {
    if (!one.is_object() || absl::AsciiStrToLower(Member(one, "pkfp")) != fingerprint) continue;
    PcrSignature found;
    found.policy = FromHex(Member(one, "pol"));
    if (found.policy != wanted || !absl::Base64Unescape(Member(one, "sig"), &found.signature)) {
      continue;
    }
    return found;
  }
  return NotFoundError("nobody signed for this image (PCR 11)");
}

}  // namespace basalt::unlock
