#include "tests/unit/server/fetch/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>

namespace basalt::testing {

void ScriptedServer::Connection::Send(const std::string& bytes) const {
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t n = send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (n <= 0) return;
    done += static_cast<size_t>(n);
  }
}

void ScriptedServer::Connection::AwaitClose() const {
  char byte;
  while (recv(fd, &byte, 1, 0) > 0) {
  }
}

int64_t ScriptedServer::Connection::RangeStart() const {
  size_t at = request.find("Range: bytes=");
  return at == std::string::npos ? -1 : strtoll(request.c_str() + at + 13, nullptr, 10);
}

ScriptedServer::ScriptedServer(Script script) : script_(std::move(script)) {
  listener_.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof where;
  if (bind(listener_.get(), reinterpret_cast<sockaddr*>(&where), length) != 0 ||
      listen(listener_.get(), 16) != 0) {
    abort();
  }
  getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&where), &length);
  port_ = ntohs(where.sin_port);
  thread_ = std::thread([this] { Run(); });
}

ScriptedServer::~ScriptedServer() {
  shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

std::string ScriptedServer::Url(const std::string& path) const {
  return "http://127.0.0.1:" + std::to_string(port_) + path;
}

std::vector<std::string> ScriptedServer::requests() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return requests_;
}

void ScriptedServer::Run() {
  for (;;) {
    host::UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.valid()) return;
    Connection connection{fd.get(), ""};
    char buffer[4096];
    while (connection.request.find("\r\n\r\n") == std::string::npos) {
      ssize_t n = recv(fd.get(), buffer, sizeof buffer, 0);
      if (n <= 0) break;
      connection.request.append(buffer, static_cast<size_t>(n));
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      requests_.push_back(connection.request);
    }
    script_(connection);
  }
}

std::string Answer(const std::string& status, const std::string& body, const std::string& headers) {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n" + headers + "\r\n" + body;
}

}  // namespace basalt::testing
