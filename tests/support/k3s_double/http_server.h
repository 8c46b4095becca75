// A small HTTP/1.1 server, one request a connection and one thread a connection, bounded in count
// and time. With TLS it asks for a client certificate without insisting.
#pragma once

#include <functional>
#include <map>
#include <string>

namespace basalt::k3s_double {

struct Request {
  std::string method;
  std::string path;                            // without the query
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
  bool client_certificate = false;  // verified against the client CA
  std::string common_name;          // of it
  std::string organization;
};

struct Response {
  int status = 200;
  std::string body;
  std::string type = "text/plain";
};

struct TlsFiles {
  std::string certificate, key;  // PEM
  std::string client_ca;         // PEM
};

using Handler = std::function<Response(const Request&)>;

// Listens and serves in threads of its own until the process ends. Fatal when the port is taken, in
// K3s's words. `tls` null: plain HTTP.
void Serve(const std::string& address, int port, const TlsFiles* tls, Handler handler);
// Passes connections on, bytes as they are: the agent's load balancer.
void ServeProxy(const std::string& address, int port, const std::string& to_host, int to_port);

}  // namespace basalt::k3s_double
