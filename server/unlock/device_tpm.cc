// The TPM of this machine: through the kernel's resource manager.
#include <tss2/tss2_tcti_device.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "server/unlock/esys_tpm.h"

namespace basalt::unlock {
namespace {

constexpr char kDevice[] = "/dev/tpmrm0";

class DeviceTpm : public Tpm {
 public:
  explicit DeviceTpm(TSS2_TCTI_CONTEXT* transport) : transport_(transport) {}
  ~DeviceTpm() override {
    tpm_.reset();
    Tss2_Tcti_Finalize(transport_);
    free(transport_);
  }
  Status Open() {
    auto tpm = MakeEsysTpm(transport_);
    if (tpm.ok()) tpm_ = *std::move(tpm);
    return tpm.status();
  }
  StatusOr<Sealed> Seal(const seal::SecretBytes& secret,
                        const std::optional<PcrAuthority>& authority) override {
    return tpm_->Seal(secret, authority);
  }
  StatusOr<seal::SecretBytes> Unseal(const Sealed& sealed,
                                     const std::optional<PcrAuthority>& authority) override {
    return tpm_->Unseal(sealed, authority);
  }
  Status Lock() override { return tpm_->Lock(); }

 private:
  TSS2_TCTI_CONTEXT* transport_;
  std::unique_ptr<Tpm> tpm_;
};

}  // namespace

StatusOr<std::unique_ptr<Tpm>> OpenTpm() {
  // The kernel makes the resource manager for a TPM 2.0 alone.
  if (access(kDevice, R_OK | W_OK) != 0) {
    return NotFoundError("this machine has no TPM 2.0");
  }
  size_t size = 0;
  TSS2_RC error = Tss2_Tcti_Device_Init(nullptr, &size, nullptr);
  auto* transport = static_cast<TSS2_TCTI_CONTEXT*>(calloc(1, size));
  if (error == TSS2_RC_SUCCESS) error = Tss2_Tcti_Device_Init(transport, &size, kDevice);
  if (error != TSS2_RC_SUCCESS) {
    free(transport);
    return UnavailableError(absl::StrCat(kDevice, ": error ", error));
  }
  auto tpm = std::make_unique<DeviceTpm>(transport);
  if (Status status = tpm->Open(); !status.ok()) return status;
  return tpm;
}

}  // namespace basalt::unlock
