// What an order makes of a node, watched until it is done. Blocks.
#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/commands/order.h"

namespace basalt::client {

// Until the node answers again, as itself or as a new machine, or is gone when it was to power off.
// An order that restarts nothing is done already. Exit code 0; errors: reset-failed (what the node
// says of it), wait-ended.
absl::StatusOr<int> FollowReset(Session& session, const SentOrder& sent, absl::Duration timeout);

// Until the disk is wiped. Errors: wipe-failed, wait-ended.
absl::StatusOr<int> FollowWipe(Session& session, const SentOrder& sent, absl::Duration timeout);

}  // namespace basalt::client
