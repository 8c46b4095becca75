// EFI signature lists: the content of the variables PK, KEK, db and dbx (UEFI 2.10, 32.4.1). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/base/digest.h"

namespace basalt::sign {

// As firmware has it in memory: the first three groups little-endian.
struct EfiGuid {
  std::string bytes;  // 16
  // "8be4df61-93ca-11d2-aa0d-00e098032b8c"; empty bytes for anything else.
  static EfiGuid Parse(absl::string_view text);
  std::string ToString() const;
  bool operator==(const EfiGuid&) const = default;
};
// Whose variables PK and KEK are, and SecureBoot and SetupMode.
EfiGuid GlobalVariables();
// Whose db and dbx are.
EfiGuid SecurityDatabase();
// Of the variable with that name: "PK", "KEK", "db", "dbx".
EfiGuid VendorOf(absl::string_view variable);

// What db allows or dbx forbids. What we do not know is left out: `others` counts it.
struct EfiSignatures {
  std::vector<std::string> certificates;    // DER
  std::vector<Digest> digests;              // of programs (Authenticode, SHA-256)
  std::vector<Digest> certificate_digests;  // of the signed part of certificates, SHA-256
  int others = 0;
  bool empty() const {
    return certificates.empty() && digests.empty() && certificate_digests.empty() && others == 0;
  }
};
// At most 1 MiB, any bytes. InvalidArgument "bad-signature-list".
absl::StatusOr<EfiSignatures> ParseEfiLists(absl::string_view bytes);

// A list each, of one entry; joined they are the content of a variable.
std::string EfiListOf(absl::string_view certificate_der, const EfiGuid& owner);
std::string EfiListOf(const Digest& program, const EfiGuid& owner);

}  // namespace basalt::sign
