// All secrets of a config at once: opened where they are used, sealed before they are signed. Pure,
// thread-safe.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "api/coded_status.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/seal/field.h"

namespace basalt::seal {

// Where a value of `config` stands: its cluster and node, and the path.
FieldContext FieldOf(const v1::MachineConfig& config, const std::string& path);

// "bad-value" when a config could not hold the value as a text: not UTF-8, or characters that
// nobody sees; "empty-value".
absl::Status CheckValue(absl::string_view value);

// Every sealed value, in place. What does not open stays as it is and is reported by its path, with
// the reasons of OpenField and CheckValue; never with a part of the value.
std::vector<api::Violation> OpenSecrets(v1::MachineConfig& config,
                                        absl::Span<const Identity> identities);

// Every value that stands in the clear, in place, for the field where it stands. Annotated with the
// path: the reasons of SealField. A failure leaves some sealed.
absl::Status SealSecrets(v1::MachineConfig& config, absl::Span<const Recipient> recipients,
                         Random random);

}  // namespace basalt::seal
