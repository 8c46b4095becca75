// An HTTP server that misbehaves on command. Each connection is one request; the script gets what
// was asked and writes bytes as it likes. Serves in a thread of its own, one connection at a time.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/host/fd.h"

namespace basalt::testing {

class ScriptedServer {
 public:
  struct Connection {
    int fd = -1;
    std::string request;  // head only
    void Send(const std::string& bytes) const;
    // Until the peer closes: what a stalled server does.
    void AwaitClose() const;
    // The number after "Range: bytes="; -1 when none was asked for.
    int64_t RangeStart() const;
  };
  using Script = std::function<void(const Connection&)>;

  explicit ScriptedServer(Script script);
  ~ScriptedServer();
  std::string Url(const std::string& path = "/k3s") const;
  std::vector<std::string> requests() const;

 private:
  void Run();

  Script script_;
  host::UniqueFd listener_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

// A whole answer with its length.
std::string Answer(const std::string& status, const std::string& body,
                   const std::string& headers = "");

}  // namespace basalt::testing
