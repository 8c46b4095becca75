// Signatures that firmware checks, made and judged. Thread-safe.
//
//   of a program    Authenticode: PKCS#7 about the program's digest, inside the program
//   of a variable   PKCS#7 about name, time and content, in front of the content
//
// Made without a time of signing: the same input and key give the same bytes. Judged as EDK2 does:
// dates of certificates are not looked at, a program is good when an allowed certificate vouches
// for it or its digest is listed, and a forbidden one outweighs that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "machineconfig/sign/efi_key.h"
#include "machineconfig/sign/efi_lists.h"
#include "machineconfig/sign/efi_program.h"

namespace basalt::sign {

// A key with its certificate. InvalidArgument "wrong-certificate": they do not belong together.
struct EfiSigner {
  EfiKey key;
  EfiCertificate certificate;
};
absl::StatusOr<EfiSigner> MakeEfiSigner(EfiKey key, EfiCertificate certificate);

// The program with its signature. InvalidArgument: "bad-program"; "already-signed".
absl::StatusOr<std::string> SignEfiProgram(std::string program, const EfiSigner& signer);

// Who vouches for a program.
struct EfiVerdict {
  Digest digest;       // Authenticode's, SHA-256
  std::string signer;  // common name of the allowed certificate; "by digest"
};
// Whether firmware with these variables starts it. PermissionDenied: "kernel-unsigned",
// "kernel-signature-bad" (it was changed after it was signed), "kernel-signer-unknown",
// "kernel-revoked". InvalidArgument "bad-program".
absl::StatusOr<EfiVerdict> CheckEfiProgram(const ReadBytes& read, uint64_t file_size,
                                           const EfiSignatures& allowed,
                                           const EfiSignatures& forbidden);

// A write of a variable of Secure Boot that firmware takes without being asked for a password: what
// stands in a file *.auth. Firmware refuses a time that is not later than that of the variable,
// unless it appends.
struct EfiUpdate {
  std::string name;  // "PK", "KEK", "db", "dbx"
  absl::Time time;
  bool append = false;
  std::string content;  // signature lists; "" empties the variable
};
std::string SignEfiUpdate(const EfiUpdate& update, const EfiSigner& signer);
// What is in such a file, for the variable `name`. PermissionDenied "bad-signature" when
// `certificate` did not sign it; InvalidArgument "bad-update".
absl::StatusOr<EfiUpdate> OpenEfiUpdate(const std::string& name, absl::string_view file,
                                        bool append, const EfiCertificate& certificate);

}  // namespace basalt::sign
