// What an image gets for Secure Boot and measured boot: signed programs, the keys that firmware in
// setup mode is given, and signatures for policies about PCR 11.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "images/builder/formats/uki.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/efi_signature.h"

namespace basalt::image {

struct SecureBoot {
  std::optional<sign::EfiSigner> signer;         // of the loader and the kernel image
  std::optional<sign::EfiKey> pcr;               // of policies about PCR 11
  std::map<std::string, std::string> enrolment;  // "PK.auth", "KEK.auth", "db.auth" → content
  std::string enroll = "manual";                 // of loader.conf, where there is an enrolment
};

// `place`: the directory that `nodectl gen secureboot` made, or a key alone, with `certificate` for
// it (of a directory: another one than its db.crt). Reasons: those of sign; no-such-file;
// wrong-certificate.
absl::StatusOr<SecureBoot> LoadSecureBoot(const std::string& place, const std::string& certificate,
                                          absl::string_view passphrase);

// A private key as PEM. Reasons: those of sign; no-such-file.
absl::StatusOr<sign::EfiKey> LoadEfiKey(const std::string& file, absl::string_view passphrase);

// Sections that are measured, in a kernel image as it is made.
Digest PcrOfUki(const UkiParts& parts);

}  // namespace basalt::image
