#include "server/update/firmware_check.h"

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/efi_signature.h"

namespace basalt::update {
namespace {

absl::StatusOr<sign::EfiSignatures> ListsOf(const host::Firmware& firmware, const char* variable) {
  absl::StatusOr<std::string> bytes = firmware.SignatureList(variable);
  absl::StatusOr<sign::EfiSignatures> lists =
      bytes.ok() ? sign::ParseEfiLists(*bytes) : bytes.status();
  if (lists.ok()) return lists;
  return api::Coded(absl::StatusCode::kFailedPrecondition, "firmware-unreadable",
                    absl::StrCat("Secure Boot is on, and its variable ", variable,
                                 " cannot be read: ", lists.status().message()),
                    "restart the machine and try again");
}

}  // namespace

absl::Status CheckFirmwareStarts(const host::Firmware& firmware, const ReadAt& read,
                                 uint64_t size) {
  if (firmware.secure_boot() != host::SecureBoot::kEnforcing) return absl::OkStatus();
  absl::StatusOr<sign::EfiSignatures> allowed = ListsOf(firmware, "db");
  if (!allowed.ok()) return allowed.status();
  absl::StatusOr<sign::EfiSignatures> forbidden = ListsOf(firmware, "dbx");
  if (!forbidden.ok()) return forbidden.status();
  return sign::CheckEfiProgram(read, size, *allowed, *forbidden).status();
}

}  // namespace basalt::update
