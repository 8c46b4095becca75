// nodectl reset: a signed order to forget.
#include "client/commands/order.h"

namespace basalt::client {

absl::StatusOr<int> RunReset(Session& session, const OrderOptions& options) {
  return RunOrder(session,
                  {.verb = "reset",
                   .arguments = {},
                   .what = "Reset",
                   .consequence = "its config, its K3s and its data are erased",
                   .done = "reset",
                   .command = "reset"},
                  options);
}

}  // namespace basalt::client
