// A Tpm over tss2-esys. Its transport is given, so that tests use an emulator behind a socket.
#pragma once

#include <tss2/tss2_tcti.h>

#include <memory>

#include "server/unlock/status.h"
#include "server/unlock/tpm.h"

namespace basalt::unlock {

// `transport` stays the caller's and outlives it.
StatusOr<std::unique_ptr<Tpm>> MakeEsysTpm(TSS2_TCTI_CONTEXT* transport);

}  // namespace basalt::unlock
