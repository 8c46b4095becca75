// One small HTTP request to the K3s on this node, with a deadline: for probes and label patches.
// Blocks; runs on the pool. TLS verifies the peer's chain against the given CA and not its name,
// because the address is this node's own and K3s's certificate may not have it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace basalt::k3s {

struct HttpCall {
  std::string address;  // IPv4 or IPv6, no name
  int port = 0;
  bool tls = false;
  std::string ca_pem;  // "" : any certificate will do (/ping before the CA is there)
  std::string certificate_pem, key_pem;  // client certificate
  std::string method = "GET";
  std::string path = "/";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  absl::Duration timeout = absl::Seconds(3);
};

struct HttpAnswer {
  int status = 0;  // 0: none; `error` says why
  std::string body;
  std::string error;
};

HttpAnswer Send(const HttpCall& call);

// What came over the wire so far; status 0 when it is no answer.
HttpAnswer ParseAnswer(const std::string& data);
// Is that all? A server that keeps the connection in spite of "Connection: close" must not cost the
// timeout.
bool IsComplete(const std::string& data);

}  // namespace basalt::k3s
