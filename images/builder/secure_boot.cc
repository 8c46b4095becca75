#include "images/builder/secure_boot.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "images/builder/host.h"
#include "machineconfig/sign/efi_measure.h"

namespace basalt::image {

absl::StatusOr<sign::EfiKey> LoadEfiKey(const std::string& file, absl::string_view passphrase) {
  absl::StatusOr<std::string> pem = ReadWhole(file);
  if (!pem.ok()) return pem.status();
  absl::StatusOr<sign::EfiKey> key = sign::EfiKey::FromPem(*pem, passphrase);
  if (!key.ok()) return api::Annotate(key.status(), file);
  return key;
}

absl::StatusOr<SecureBoot> LoadSecureBoot(const std::string& place, const std::string& certificate,
                                          absl::string_view passphrase) {
  SecureBoot out;
  std::error_code error;
  const bool directory = std::filesystem::is_directory(place, error);
  if (!directory && certificate.empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "usage",
                      absl::StrCat(place, " is a key alone"),
                      "--secureboot-cert with its certificate, or the directory that nodectl gen "
                      "secureboot made");
  }
  absl::StatusOr<sign::EfiKey> key = LoadEfiKey(directory ? place + "/db.key" : place, passphrase);
  if (!key.ok()) return key.status();
  const std::string cert_file = certificate.empty() ? place + "/db.crt" : certificate;
  absl::StatusOr<std::string> pem = ReadWhole(cert_file);
  if (!pem.ok()) return pem.status();
  absl::StatusOr<sign::EfiCertificate> cert = sign::ReadEfiCertificatePem(*pem);
  if (!cert.ok()) return api::Annotate(cert.status(), cert_file);
  absl::StatusOr<sign::EfiSigner> signer = sign::MakeEfiSigner(*std::move(key), *std::move(cert));
  if (!signer.ok()) return api::Annotate(signer.status(), cert_file);
  out.signer = *std::move(signer);
  if (!directory) return out;
  for (const char* name : {"PK.auth", "KEK.auth", "db.auth"}) {
    absl::StatusOr<std::string> bytes = ReadWhole(absl::StrCat(place, "/", name));
    if (!bytes.ok()) return bytes.status();
    out.enrolment[name] = *std::move(bytes);
  }
  if (Exists(place + "/pcr.key")) {
    absl::StatusOr<sign::EfiKey> pcr = LoadEfiKey(place + "/pcr.key", passphrase);
    if (!pcr.ok()) return pcr.status();
    out.pcr = *std::move(pcr);
  }
  return out;
}

Digest PcrOfUki(const UkiParts& parts) {
  const std::map<absl::string_view, const std::string*> sections = {
      {".linux", &parts.kernel},
      {".osrel", &parts.os_release},
      {".cmdline", &parts.command_line},
      {".initrd", &parts.initramfs},
      {".pcrpkey", &parts.pcr_public_key}};
  return sign::PredictPcr11([&](absl::string_view name) -> std::optional<std::string> {
    const auto it = sections.find(name);
    // The stub sees no section that is empty.
    if (it == sections.end() || it->second->empty()) return std::nullopt;
    return *it->second;
  });
}

}  // namespace basalt::image
