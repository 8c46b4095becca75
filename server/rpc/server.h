// The API server: our own accept loop in front of gRPC, TLS 1.3, caps, timeouts, roles. See
// server/rpc/README.md. Thread-safe after Start.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/engine/diagnose_api.h"
#include "server/engine/node_api.h"

namespace basalt::rpc {

struct Limits {
  int connections = 512;            // all together
  int connections_per_source = 64;  // IPv6 by /64
  int reserved = 16;                // of `connections`, for prefixes that authenticated lately
  absl::Duration handshake = absl::Seconds(5);
  int message_bytes = 4 << 20;  // with a certificate
  int anonymous_message_bytes = 256
                                << 10;  // without; 2 MiB, one at a time, while nothing is committed
  int streams = 64;                     // per connection; 1 without a certificate
  absl::Duration default_deadline = absl::Minutes(30);
  absl::Duration max_connection_age = absl::Hours(1);
};

struct ServerOptions {
  std::vector<std::string> listen;  // "127.0.0.1:0"
  std::string certificate_pem;      // chain
  std::string key_pem;
  Limits limits;
  engine::DiagnoseApi* diagnose = nullptr;  // outlives the server
};

// Counts since the start, except `open`.
struct ServerStats {
  int open = 0;  // connections now
  uint64_t accepted = 0;
  uint64_t refused_full = 0;         // no slot
  uint64_t refused_source = 0;       // the source has its share
  uint64_t refused_network = 0;      // not in api.allowedNetworks
  uint64_t refused_descriptors = 0;  // the process had none left
  uint64_t refused_not_tls = 0;      // its first bytes are no TLS ClientHello
  uint64_t refused_hello = 0;        // no whole ClientHello in time
  uint64_t cut = 0;                  // by a policy, an expired certificate or Shutdown
};

class Server {
 public:
  virtual ~Server() = default;
  // The endpoints in use, with the ports that were picked.
  virtual std::vector<std::string> endpoints() const = 0;
  // Client CAs, deny list, allowed networks, listen addresses. Connections that the new policy
  // refuses are closed; there is no gap: the old listener serves until the new one is up. On error
  // the old one stays.
  virtual absl::Status SetPolicy(const engine::ApiPolicy& policy) = 0;
  // Calls under way may end within `grace`, then they are cancelled. Returns when all is closed.
  virtual void Shutdown(absl::Duration grace) = 0;
  virtual ServerStats stats() const = 0;
  // Waits until `reached` holds of the counts; false when it did not within `timeout`.
  virtual bool AwaitStats(const std::function<bool(const ServerStats&)>& reached,
                          absl::Duration timeout) const = 0;
};

absl::StatusOr<std::unique_ptr<Server>> StartServer(const ServerOptions& options,
                                                    const engine::ApiPolicy& policy,
                                                    engine::NodeApi& api);

}  // namespace basalt::rpc
