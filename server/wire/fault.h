// A status with a stable code, without the messages that api/coded_status.h carries it in: those
// would make noded-wire a megabyte larger.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"

namespace basalt::wire {

inline constexpr char kFaultUrl[] = "basalt.wire/reason";

inline absl::Status Fault(absl::StatusCode code, absl::string_view reason,
                          absl::string_view message) {
  absl::Status status(code, message);
  status.SetPayload(kFaultUrl, absl::Cord(reason));
  return status;
}

// "" when it carries none.
inline std::string FaultReason(const absl::Status& status) {
  const absl::optional<absl::Cord> reason = status.GetPayload(kFaultUrl);
  return reason ? std::string(*reason) : "";
}

}  // namespace basalt::wire
