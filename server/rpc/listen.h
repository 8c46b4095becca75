// Opening a listening socket.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/rpc/acceptor.h"

namespace basalt::rpc {

// `own` are listening sockets of this server: an address that overlaps one of them (0.0.0.0:6050
// beside 127.0.0.1:6050) can be opened before the old one is closed; an address of another process
// cannot. Unavailable/"listen-failed", InvalidArgument/"bad-address".
absl::StatusOr<Listener> OpenListener(const std::string& text, const std::vector<int>& own);

}  // namespace basalt::rpc
