#include "tests/support/k3s_double/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <sstream>
#include <thread>

#include "tests/support/k3s_double/http_client.h"
#include "tests/support/k3s_double/process.h"

namespace basalt::k3s_double {
namespace {

constexpr int kMaxConnections = 128;
constexpr size_t kMaxRequest = 1 << 20;

int Listen(const std::string& address, int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, address.c_str(), &where.sin_addr) != 1) Fatal("bad address " + address);
  if (bind(fd, reinterpret_cast<sockaddr*>(&where), sizeof where) != 0 || listen(fd, 128) != 0) {
    Fatal("listen tcp " + address + ":" + std::to_string(port) +
          ": bind: " + (errno == EADDRINUSE ? "address already in use" : strerror(errno)));
  }
  return fd;
}

void AcceptLoop(int listener, std::function<void(int)> serve) {
  std::thread([listener, serve = std::move(serve)] {
    auto open = std::make_shared<std::atomic<int>>(0);
    for (;;) {
      int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        continue;
      }
      if (*open >= kMaxConnections) {
        close(fd);
        continue;
      }
      ++*open;
      std::thread([fd, serve, open] {
        timeval limit{10, 0};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        serve(fd);
        close(fd);
        --*open;
      }).detach();
    }
  }).detach();
}

// A connection with or without TLS.
class Stream {
 public:
  Stream(int fd, SSL* ssl) : fd_(fd), ssl_(ssl) {}
  ssize_t Read(char* data, size_t size) {
    return ssl_ != nullptr ? SSL_read(ssl_, data, static_cast<int>(size))
                           : recv(fd_, data, size, 0);
  }
  void Write(const std::string& data) {
    size_t done = 0;
    while (done < data.size()) {
      ssize_t n = ssl_ != nullptr
                      ? SSL_write(ssl_, data.data() + done, static_cast<int>(data.size() - done))
                      : send(fd_, data.data() + done, data.size() - done, MSG_NOSIGNAL);
      if (n <= 0) return;
      done += static_cast<size_t>(n);
    }
  }

 private:
  int fd_;
  SSL* ssl_;
};

bool ReadRequest(Stream& stream, Request* request) {
  std::string data;
  char buffer[8192];
  size_t end = std::string::npos;
  while ((end = data.find("\r\n\r\n")) == std::string::npos) {
    ssize_t n = stream.Read(buffer, sizeof buffer);
    if (n <= 0 || data.size() > kMaxRequest) return false;
    data.append(buffer, static_cast<size_t>(n));
  }
  std::stringstream lines(data.substr(0, end));
  std::string target, line;
  std::getline(lines, line);
  std::stringstream first(line);
  first >> request->method >> target;
  request->path = target.substr(0, target.find('?'));
  while (std::getline(lines, line)) {
    size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(), ::tolower);
    size_t from = line.find_first_not_of(' ', colon + 1);
    std::string value = from == std::string::npos ? "" : line.substr(from);
    if (!value.empty() && value.back() == '\r') value.pop_back();
    request->headers[name] = value;
  }
  size_t length = 0;
  if (auto it = request->headers.find("content-length"); it != request->headers.end()) {
    length = std::min<size_t>(strtoul(it->second.c_str(), nullptr, 10), kMaxRequest);
  }
  request->body = data.substr(end + 4);
  while (request->body.size() < length) {
    ssize_t n = stream.Read(buffer, sizeof buffer);
    if (n <= 0) return false;
    request->body.append(buffer, static_cast<size_t>(n));
  }
  return true;
}

void Answer(Stream& stream, Request request, const Handler& handler) {
  if (!ReadRequest(stream, &request)) return;
  while (Hanging()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  Response response = handler(request);
  stream.Write("HTTP/1.1 " + std::to_string(response.status) + " -\r\nContent-Type: " +
               response.type + "\r\nContent-Length: " + std::to_string(response.body.size()) +
               "\r\nConnection: close\r\n\r\n" + response.body);
}

std::string NamePart(X509_NAME* name, int nid) {
  char text[256] = {};
  X509_NAME_get_text_by_NID(name, nid, text, sizeof text);
  return text;
}

SSL_CTX* MakeContext(const TlsFiles& files) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  BIO* cert_bio =
      BIO_new_mem_buf(files.certificate.data(), static_cast<int>(files.certificate.size()));
  BIO* key_bio = BIO_new_mem_buf(files.key.data(), static_cast<int>(files.key.size()));
  BIO* ca_bio = BIO_new_mem_buf(files.client_ca.data(), static_cast<int>(files.client_ca.size()));
  X509* cert = PEM_read_bio_X509(cert_bio, nullptr, nullptr, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
  X509* ca = PEM_read_bio_X509(ca_bio, nullptr, nullptr, nullptr);
  if (SSL_CTX_use_certificate(context, cert) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1 ||
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca) != 1) {
    Fatal("the serving certificate is damaged");
  }
  X509_free(cert);
  X509_free(ca);
  EVP_PKEY_free(key);
  BIO_free(cert_bio);
  BIO_free(key_bio);
  BIO_free(ca_bio);
  // Whoever shows a certificate of a stranger is told 401, not cut off: the handler decides.
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>("k3s"), 3);
  return context;
}

}  // namespace

void Serve(const std::string& address, int port, const TlsFiles* tls, Handler handler) {
  int listener = Listen(address, port);
  SSL_CTX* context = tls == nullptr ? nullptr : MakeContext(*tls);
  AcceptLoop(listener, [context, handler = std::move(handler)](int fd) {
    Request request;
    if (context == nullptr) {
      Stream stream(fd, nullptr);
      Answer(stream, std::move(request), handler);
      return;
    }
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
      if (X509* peer = SSL_get1_peer_certificate(ssl); peer != nullptr) {
        request.client_certificate = SSL_get_verify_result(ssl) == X509_V_OK;
        request.common_name = NamePart(X509_get_subject_name(peer), NID_commonName);
        request.organization = NamePart(X509_get_subject_name(peer), NID_organizationName);
        X509_free(peer);
      }
      Stream stream(fd, ssl);
      Answer(stream, std::move(request), handler);
      SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    ERR_clear_error();
  });
}

void ServeProxy(const std::string& address, int port, const std::string& to_host, int to_port) {
  int listener = Listen(address, port);
  AcceptLoop(listener, [to_host, to_port](int fd) {
    int up = Connect(to_host, to_port, 3000);
    if (up < 0) return;
    char buffer[16384];
    pollfd sides[2] = {{fd, POLLIN, 0}, {up, POLLIN, 0}};
    for (bool go_on = true; go_on && poll(sides, 2, 15000) > 0;) {
      for (int i = 0; i < 2; ++i) {
        if (sides[i].revents == 0) continue;
        ssize_t n = recv(sides[i].fd, buffer, sizeof buffer, 0);
        if (n <= 0 || send(sides[1 - i].fd, buffer, static_cast<size_t>(n), MSG_NOSIGNAL) != n) {
          go_on = false;
          break;
        }
      }
    }
    close(up);
  });
}

}  // namespace basalt::k3s_double
