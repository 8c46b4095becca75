// What a start of a kernel image leaves in PCR 11 of the TPM, computed beforehand, and signatures
// for policies about it. Pure, thread-safe.
//
// systemd's stub (252) measures, of the sections that there are, name and content into PCR 11, in
// a fixed order; .uname and .pcrsig are not measured. Its command line from outside would go to
// another register. Nothing of ours extends PCR 11 afterwards, so it stays what is computed here.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/efi_key.h"

namespace basalt::sign {

// In the order in which the stub measures.
inline constexpr absl::string_view kMeasuredSections[] = {
    ".linux", ".osrel", ".cmdline", ".initrd", ".splash", ".dtb", ".pcrpkey"};

// `section` gives the content of a section as the stub sees it, nothing for one that is not there.
Digest PredictPcr11(
    const std::function<std::optional<std::string>(absl::string_view name)>& section);

// TPM2_PolicyPCR of PCR 11 alone, SHA-256 bank, in a session of its own: what gets signed.
Digest PolicyOfPcr11(const Digest& pcr11);

// The content of .pcrsig, as `systemd-measure sign` writes it: a policy for PCR 11, signed.
std::string PcrSignatureJson(const Digest& pcr11, const EfiKey& key);

}  // namespace basalt::sign
