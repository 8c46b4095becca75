// A page to print and lock away: which keys a cluster has, by what they are known, where they lie,
// what losing each one means, and how to come back. Without secrets it may be shown to anybody.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "basalt/v1/trust.pb.h"
#include "client/context/context.h"

namespace basalt::client {

struct SheetOptionsOf {
  bool with_secrets = false;
  absl::Time now;
};

// Reads the files of the context: certificates, inventory; with secrets the keys and tokens as they
// lie there, encrypted where they are. Lines have at most 80 columns, but for secrets. A file that
// is not here is named as such: the sheet of a machine without the root key is a good sheet.
absl::StatusOr<std::string> RecoverySheet(const Context& context, const v1::TrustPolicy& policy,
                                          const SheetOptionsOf& options);

}  // namespace basalt::client
