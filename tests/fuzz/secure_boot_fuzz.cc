// What is read before a firmware is trusted with a kernel image: programs with their signatures,
// lists of signatures as firmware has them, signed writes of variables, certificates. The first
// byte chooses. Nothing verifies here: nobody but this process has the keys. What we sign ourselves
// is good.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "machineconfig/sign/efi_lists.h"
#include "machineconfig/sign/efi_signature.h"

namespace {

namespace sign = basalt::sign;

void Must(bool holds) {
  if (!holds) std::abort();
}

const sign::EfiSigner& Signer() {
  static const auto* const signer = [] {
    sign::EfiKey key = sign::EfiKey::Generate();
    const absl::Time now = absl::FromUnixSeconds(1700000000);
    sign::EfiCertificate cert = *sign::SelfSignEfi("fuzz", key, now, now + absl::Hours(1));
    return new sign::EfiSigner(*sign::MakeEfiSigner(key, cert));
  }();
  return *signer;
}

void Program(const std::string& bytes) {
  const sign::ReadBytes read = sign::ReadingOf(bytes);
  const sign::EfiSignatures ours = {.certificates = {Signer().certificate.der}};
  Must(!sign::CheckEfiProgram(read, bytes.size(), ours, {}).ok());
  const absl::StatusOr<sign::EfiProgram> program = sign::InspectEfiProgram(read, bytes.size());
  if (!program.ok()) return;
  const auto digest = sign::AuthenticodeDigest(read, *program);
  const auto signatures = sign::SignaturesOf(read, *program);
  if (signatures.ok()) {
    for (const std::string& one : *signatures) Must(one.size() < bytes.size());
  }
  const absl::StatusOr<std::string> with_ours = sign::SignEfiProgram(bytes, Signer());
  if (!with_ours.ok()) return;
  Must(digest.ok() && program->signatures_size == 0);
  const auto verdict =
      sign::CheckEfiProgram(sign::ReadingOf(*with_ours), with_ours->size(), ours, {});
  Must(verdict.ok() && verdict->signer == "fuzz");
  Must(!sign::CheckEfiProgram(sign::ReadingOf(*with_ours), with_ours->size(), ours, ours).ok());
}

void Lists(const std::string& bytes) {
  const absl::StatusOr<sign::EfiSignatures> lists = sign::ParseEfiLists(bytes);
  if (!lists.ok()) return;
  const sign::EfiGuid owner{std::string(16, 'o')};
  std::string written;
  for (const std::string& one : lists->certificates) written += sign::EfiListOf(one, owner);
  for (const basalt::Digest& one : lists->digests) written += sign::EfiListOf(one, owner);
  if (written.size() > (1 << 20)) return;  // a list of many entries has one head for all
  const absl::StatusOr<sign::EfiSignatures> again = sign::ParseEfiLists(written);
  Must(again.ok() && again->certificates == lists->certificates &&
       again->digests == lists->digests);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 4) {
    case 0:
      Program(bytes);
      break;
    case 1:
      Lists(bytes);
      break;
    case 2:
      Must(!sign::OpenEfiUpdate("db", bytes, true, Signer().certificate).ok());
      break;
    case 3: {
      const auto certificate = sign::ReadEfiCertificate(bytes);
      if (!certificate.ok()) break;
      Must(certificate->der == bytes);
      for (char c : certificate->name) Must(c >= 0x20 && c < 0x7f);
      const auto again = sign::ReadEfiCertificatePem(sign::EfiCertificatePem(*certificate));
      Must(!again.ok() || again->spki_der == certificate->spki_der);
      break;
    }
  }
  return 0;
}
