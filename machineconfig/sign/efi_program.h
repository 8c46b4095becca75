// The bytes of an EFI program (PE32+) that an Authenticode signature is about, and where such
// signatures stand. Read in pieces: nobody loads a kernel image for that. Any bytes may come. Pure.
//
// What is hashed is what EDK2 hashes (DxeImageVerificationLib, HashPeImage), since it is firmware
// that decides: headers without the checksum and the place of the signatures, the sections in the
// order of the file, and what is behind them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "machineconfig/base/digest.h"

namespace basalt::sign {

// Up to `size` bytes from `offset` on; fewer only at the end.
using ReadBytes = std::function<absl::StatusOr<std::string>(uint64_t offset, size_t size)>;
ReadBytes ReadingOf(absl::string_view bytes);  // which must outlive it

struct EfiProgram {
  uint64_t size = 0;         // of the file
  uint64_t checksum_at = 0;  // 4 bytes
  uint64_t entry_at = 0;     // 8 bytes: where the signatures are, and how large
  uint64_t header_size = 0;
  std::vector<std::pair<uint64_t, uint64_t>> sections;  // offset, size; in the order of the file
  uint64_t signatures_at = 0;
  uint64_t signatures_size = 0;  // 0: it is not signed

  // Sections follow one another: every byte is covered by a signature.
  bool gapless() const;
};
// InvalidArgument "bad-program".
absl::StatusOr<EfiProgram> InspectEfiProgram(const ReadBytes& read, uint64_t file_size);

absl::StatusOr<Digest> AuthenticodeDigest(const ReadBytes& read, const EfiProgram& program);

// The PKCS#7 structures in it, at most 8, in their order; empty when it is not signed.
// InvalidArgument "bad-program".
absl::StatusOr<std::vector<std::string>> SignaturesOf(const ReadBytes& read,
                                                      const EfiProgram& program);

// The program with one more place: `pkcs7` as its one signature. The digest must be that of the
// program as `PadForSignature` made it.
std::string PadForSignature(std::string program);
std::string AttachSignature(std::string program, const EfiProgram& inspected,
                            absl::string_view pkcs7);

}  // namespace basalt::sign
