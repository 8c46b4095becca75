// What a TPM 2.0 does for us: it keeps a secret and gives it out only to a machine that was started
// in the same way. Real: esys_tpm.cc over tss2-esys. Fake with a memory: tests/support/tpm.
//
// The secret is sealed below a storage key made from the owner's seed of the TPM (ECC P-256), which
// is the same each time and for this TPM alone; its name is kept, so that another TPM, or somebody
// on the bus, is found out. What is read back crosses the bus encrypted.
//
//   policy     PCR 7 as it is: Secure Boot's state and keys, who signed the loader
//              PCR 15 as zeros: nobody said yet that the disks are open (Lock)
//              and, where the image brings signatures for it: PCR 11, the image itself, with any
//              value that the owner signed (PolicyAuthorize), so that an update opens it too
//
// Nothing that runs after Lock gets the secret: no pod, and not noded.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "machineconfig/seal/secret_bytes.h"
#include "server/unlock/status.h"

namespace basalt::unlock {

// Who may say which images are good. From the kernel image, beside it at boot.
struct PcrAuthority {
  std::string public_key;  // PEM, RSA or P-256
  // As systemd-measure writes them: {"sha256": [{"pcrs": [11], "pkfp", "pol", "sig"}]}.
  std::string signatures;
};

// What has to be kept to get a secret again. No part of it is secret.
struct Sealed {
  std::string public_part, private_part;  // TPM2B_PUBLIC, TPM2B_PRIVATE
  std::string parent_name;
  std::string pcr7;        // SHA-256 bank, when it was sealed: says what changed
  std::string public_key;  // PEM, of the authority; "" without
  bool operator==(const Sealed&) const = default;
};

class Tpm {
 public:
  virtual ~Tpm() = default;
  // Of 32 bytes. FailedPrecondition: PCR 15 is no more as it was at boot, so nobody would get it.
  virtual StatusOr<Sealed> Seal(const seal::SecretBytes& secret,
                                const std::optional<PcrAuthority>& authority) = 0;
  // PermissionDenied: another TPM, another way of starting, an image that nobody signed, or after
  // Lock; the message says which, as far as it can be told.
  virtual StatusOr<seal::SecretBytes> Unseal(const Sealed& sealed,
                                             const std::optional<PcrAuthority>& authority) = 0;
  // Until the machine starts again nothing is unsealed. May be repeated.
  virtual Status Lock() = 0;
};

// NotFound: this machine has no TPM 2.0.
StatusOr<std::unique_ptr<Tpm>> OpenTpm();

inline constexpr char kPcrs[] = "7+15";
inline constexpr char kSignedPcrs[] = "11";

}  // namespace basalt::unlock
