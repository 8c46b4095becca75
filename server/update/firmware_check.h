// Would the firmware of this machine start a kernel image? Asked before one is armed: a refused
// entry does not restart the machine by itself, so nobody would count its tries. Blocking.
#pragma once

#include "absl/status/status.h"
#include "server/host/firmware.h"
#include "server/update/kernel_image.h"

namespace basalt::update {

// OK where Secure Boot does not enforce. PermissionDenied: "kernel-unsigned",
// "kernel-signature-bad", "kernel-signer-unknown", "kernel-revoked"; FailedPrecondition
// "firmware-unreadable": nobody can say.
absl::Status CheckFirmwareStarts(const host::Firmware& firmware, const ReadAt& read, uint64_t size);

}  // namespace basalt::update
