// One HTTPS request to a server, for joining.
#pragma once

#include <map>
#include <string>

namespace basalt::k3s_double {

// A connected socket with timeouts set, or -1.
int Connect(const std::string& host, int port, int timeout_ms);

struct Call {
  std::string method = "GET";
  std::string path;
  std::map<std::string, std::string> headers;
  std::string body;
  std::string ca;                // PEM; "" = the peer is not verified (trust on first use)
  std::string certificate, key;  // PEM; client certificate
};

struct Reply {
  int status = 0;  // 0: `error` says why there is none
  std::string body;
  std::string error;  // "dial tcp 127.0.0.1:6443: connect: connection refused"
};

Reply Send(const std::string& host, int port, const Call& call);

// "https://HOST:PORT" taken apart.
bool SplitUrl(const std::string& url, std::string* host, int* port);
std::string BasicAuth(const std::string& user, const std::string& password);
// The inverse, on a header value; false when it is not Basic.
bool ParseBasicAuth(const std::string& header, std::string* user, std::string* password);

}  // namespace basalt::k3s_double
