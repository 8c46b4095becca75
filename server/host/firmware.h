// What the firmware of the machine decided before the kernel ran: Secure Boot and its variables,
// and what was measured into the TPM. Read from the kernel's files, never written. Calls are short;
// thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::host {

enum class SecureBoot {
  kUnsupported,  // no UEFI, or one that does not know it
  kOff,          // keys are there, or not, and nothing is checked
  kSetup,        // no PK: whoever asks first puts his keys in
  kEnforcing,
};
absl::string_view ToString(SecureBoot state);

class Firmware {
 public:
  virtual ~Firmware() = default;
  virtual SecureBoot secure_boot() const = 0;
  // The content of "db" or "dbx", at most 1 MiB. "" when the firmware has none. Unavailable: it is
  // there and cannot be read.
  virtual absl::StatusOr<std::string> SignatureList(const std::string& variable) const = 0;
  // A register of the TPM's SHA-256 bank, as 64 lower-case hex digits. "" without a TPM 2.0.
  virtual std::string Pcr(int index) const = 0;
};

// `root`: where /sys is found, "" but in tests.
std::unique_ptr<Firmware> MakeFirmware(const std::string& root);

}  // namespace basalt::host
