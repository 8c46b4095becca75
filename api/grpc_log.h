// What gRPC says goes to standard error, one line each, and never more than a stranger may cause:
// a failed handshake is a line in gRPC, so errors are limited to 20 a minute and everything below
// an error is dropped, as are errors that an everyday connection causes.
#pragma once

#include <cstdint>

namespace basalt::api {

// Process-wide; call once at the start of main. GRPC_VERBOSITY has no effect afterwards.
void RouteGrpcLog();

// Lines dropped by the limit so far.
uint64_t GrpcLogDropped();

}  // namespace basalt::api
