// One apply from beginning to end over as many connections as it takes: the node may change its
// listener or its client authorities half way, asks the caller to come back over a new connection
// with a one-time token, and goes on when a connection breaks. Blocks; not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/fleet/node_client.h"

namespace basalt::client {

struct ApplyObserver {
  std::function<void(const v1::ApplyEvent&)> event;
  // "coming back over a new connection", "the connection broke; joining again"
  std::function<void(const std::string&)> note;
  // The node holds the document (committed, or awaiting confirmation) and answers at this address
  // and no longer at the one we know. Its identity was checked over that connection.
  std::function<void(const std::string& endpoint)> moved;
};

// `known` is the HOST:PORT that `client` dials. The last event: final unless it is
// `awaiting-confirm` or `staged`, where the wait ends as well. Errors: what the node answered, when
// it did not accept the document; DeadlineExceeded/"wait-ended" when `deadline` came first: the
// apply goes on without us; Unavailable/"lost-node" when the node did not come back until then.
absl::StatusOr<v1::ApplyEvent> RunApply(std::unique_ptr<NodeClient> client,
                                        const std::string& known, const v1::ApplyRequest& request,
                                        absl::Time deadline, const ApplyObserver& observer,
                                        const std::function<void(absl::Duration)>& pause);

}  // namespace basalt::client
