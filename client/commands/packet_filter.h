// Filters of tcpdump's language as classic BPF, by the libpcap of this machine. It is looked for
// when a filter is given, and not before: nodectl runs where there is none.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "basalt/v1/diagnose_service.pb.h"

namespace basalt::client {

// For the links that a node may have. FailedPrecondition "no-libpcap"; InvalidArgument "bad-filter"
// with libpcap's own words.
absl::StatusOr<google::protobuf::RepeatedPtrField<v1::CaptureFilter>> CompileFilter(
    const std::string& expression, int snap_length);

}  // namespace basalt::client
