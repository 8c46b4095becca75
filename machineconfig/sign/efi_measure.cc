#include "machineconfig/sign/efi_measure.h"

#include "absl/strings/str_cat.h"

namespace basalt::sign {
namespace {

absl::string_view View(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

Digest Extended(const Digest& pcr, absl::string_view what) {
  return Sha256(absl::StrCat(View(pcr), View(Sha256(what))));
}

}  // namespace

Digest PredictPcr11(
    const std::function<std::optional<std::string>(absl::string_view name)>& section) {
  Digest pcr;  // zeros at power on
  for (absl::string_view name : kMeasuredSections) {
    const std::optional<std::string> content = section(name);
    if (!content) continue;
    pcr = Extended(pcr, absl::StrCat(name, absl::string_view("\0", 1)));
    pcr = Extended(pcr, *content);
  }
  return pcr;
}

Digest PolicyOfPcr11(const Digest& pcr11) {
  // Command code; one selection: SHA-256, three bytes of which bit 11 is set (TPM 2.0, part 3).
  constexpr char kPart[] = "\x00\x00\x01\x7f\x00\x00\x00\x01\x00\x0b\x03\x00\x08\x00";
  return Sha256(absl::StrCat(std::string(32, '\0'), absl::string_view(kPart, sizeof kPart - 1),
                             View(Sha256(View(pcr11)))));
}

std::string PcrSignatureJson(const Digest& pcr11, const EfiKey& key) {
  const Digest policy = PolicyOfPcr11(pcr11);
  return absl::StrCat("{\"sha256\":[{\"pcrs\":[11],\"pkfp\":\"", Sha256(key.pkcs1_der()).Hex(),
                      "\",\"pol\":\"", policy.Hex(), "\",\"sig\":\"",
                      Base64Encode(key.Sign(View(policy))), "\"}]}\n");
}

}  // namespace basalt::sign
