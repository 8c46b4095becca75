// absl::Status over gRPC and back, nothing lost: the code, the message, and every payload as a
// google.rpc.Status in the status details, so that clients in other languages read our reasons,
// hints and field violations with their usual libraries. Pure functions, thread-safe.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace basalt::api {

// The two enums number their codes alike (google.rpc.Code); what is out of range becomes Unknown.
grpc::Status ToGrpc(const absl::Status& status);

// Details that do not parse are dropped: they come from the other end and only explain. A denial
// by the access check cannot carry details (gRPC drops them there); it starts with "[reason] "
// instead, which is turned back into a reason here.
absl::Status FromGrpc(const grpc::Status& status);

// The text form of a reason, for the one place that cannot send details: "[needs-role] message".
std::string WithReasonPrefix(absl::string_view reason, absl::string_view message);

}  // namespace basalt::api
