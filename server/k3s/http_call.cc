#include "server/k3s/http_call.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "server/host/fd.h"

namespace basalt::k3s {
namespace {

constexpr size_t kMaxAnswer = 4 << 20;

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using Ssl = std::unique_ptr<SSL, decltype(&SSL_free)>;

class Deadline {
 public:
  explicit Deadline(absl::Duration timeout) : end_(absl::Now() + timeout) {}
  // Waits for the events; false when time is up.
  bool Wait(int fd, short events) const {
    int64_t left = absl::ToInt64Milliseconds(end_ - absl::Now());
    pollfd entry{fd, events, 0};
    return left > 0 && poll(&entry, 1, static_cast<int>(left)) > 0;
  }

 private:
  absl::Time end_;
};

host::UniqueFd Connect(const HttpCall& call, const Deadline& deadline, std::string* error) {
  sockaddr_storage where{};
  socklen_t length = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&where);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&where);
  if (inet_pton(AF_INET, call.address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<uint16_t>(call.port));
    length = sizeof *v4;
  } else if (inet_pton(AF_INET6, call.address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<uint16_t>(call.port));
    length = sizeof *v6;
  } else {
    *error = absl::StrCat("bad address ", call.address);
    return {};
  }
  host::UniqueFd fd(socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&where), length) != 0) {
    int code = errno;
    if (code == EINPROGRESS) {
      if (!deadline.Wait(fd.get(), POLLOUT)) {
        *error = "no answer in time";
        return {};
      }
      socklen_t size = sizeof code;
      getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &code, &size);
    }
    if (code != 0) {
      *error = std::strerror(code);
      return {};
    }
  }
  return fd;
}

bool SetCertificates(SSL_CTX* context, const HttpCall& call) {
  if (!call.ca_pem.empty()) {
    Bio bio(BIO_new_mem_buf(call.ca_pem.data(), static_cast<int>(call.ca_pem.size())), BIO_free);
    bool any = false;
    while (X509* ca = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
      any = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca) == 1 || any;
      X509_free(ca);
    }
    ERR_clear_error();
    if (!any) return false;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  if (call.certificate_pem.empty()) return true;
  Bio a(BIO_new_mem_buf(call.certificate_pem.data(), static_cast<int>(call.certificate_pem.size())),
        BIO_free);
  Bio b(BIO_new_mem_buf(call.key_pem.data(), static_cast<int>(call.key_pem.size())), BIO_free);
  std::unique_ptr<X509, decltype(&X509_free)> cert(
      PEM_read_bio_X509(a.get(), nullptr, nullptr, nullptr), X509_free);
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(b.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  return cert && key && SSL_CTX_use_certificate(context, cert.get()) == 1 &&
         SSL_CTX_use_PrivateKey(context, key.get()) == 1;
}

// Bytes over a socket that does not block, with or without TLS.
class Stream {
 public:
  Stream(int fd, SSL* ssl, const Deadline& deadline) : fd_(fd), ssl_(ssl), deadline_(deadline) {}

  bool Handshake() {
    for (;;) {
      int result = SSL_connect(ssl_);
      if (result == 1) return true;
      if (!Retry(result)) return false;
    }
  }
  bool Write(const std::string& data) {
    size_t done = 0;
    while (done < data.size()) {
      int n =
          ssl_ != nullptr
              ? SSL_write(ssl_, data.data() + done, static_cast<int>(data.size() - done))
              : static_cast<int>(send(fd_, data.data() + done, data.size() - done, MSG_NOSIGNAL));
      if (n > 0)
        done += static_cast<size_t>(n);
      else if (!Retry(n, POLLOUT))
        return false;
    }
    return true;
  }
  // Appends what comes; false at the end, on an error or when time is up.
  bool Read(std::string* data) {
    char buffer[16384];
    for (;;) {
      int n = ssl_ != nullptr ? SSL_read(ssl_, buffer, sizeof buffer)
                              : static_cast<int>(recv(fd_, buffer, sizeof buffer, 0));
      if (n > 0) {
        data->append(buffer, static_cast<size_t>(n));
        return data->size() <= kMaxAnswer;
      }
      if (n == 0 && ssl_ == nullptr) return false;
      if (!Retry(n, POLLIN)) return false;
    }
  }

 private:
  bool Retry(int result, short plain_events = POLLIN) {
    if (ssl_ == nullptr) {
      return (errno == EAGAIN || errno == EINTR) && deadline_.Wait(fd_, plain_events);
    }
    switch (SSL_get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ:
        return deadline_.Wait(fd_, POLLIN);
      case SSL_ERROR_WANT_WRITE:
        return deadline_.Wait(fd_, POLLOUT);
      default:
        return false;
    }
  }

  int fd_;
  SSL* ssl_;
  const Deadline& deadline_;
};

std::string Dechunk(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t end = text.find("\r\n");
    if (end == absl::string_view::npos) break;
    uint64_t size = 0;
    std::string digits(text.substr(0, std::min(end, text.find(';'))));
    if (!absl::SimpleHexAtoi(digits, &size) || size == 0 || size > text.size() - end - 2) break;
    absl::StrAppend(&out, text.substr(end + 2, size));
    text.remove_prefix(std::min<size_t>(text.size(), end + 2 + size + 2));
  }
  return out;
}

}  // namespace

HttpAnswer ParseAnswer(const std::string& data) {
  HttpAnswer answer;
  size_t end = data.find("\r\n\r\n");
  if (!absl::StartsWith(data, "HTTP/1.") || end == std::string::npos ||
      !absl::SimpleAtoi(data.substr(9, 3), &answer.status) || answer.status < 100) {
    answer.status = 0;
    answer.error = "no complete answer";
    return answer;
  }
  std::string head = absl::AsciiStrToLower(data.substr(0, end));
  answer.body = data.substr(end + 4);
  if (absl::StrContains(head, "\r\ntransfer-encoding: chunked")) answer.body = Dechunk(answer.body);
  return answer;
}

bool IsComplete(const std::string& data) {
  size_t end = data.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  std::string head = absl::AsciiStrToLower(data.substr(0, end));
  size_t at = head.find("\r\ncontent-length:");
  if (at == std::string::npos) {
    return absl::StrContains(head, "\r\ntransfer-encoding: chunked") &&
           absl::EndsWith(data, "0\r\n\r\n");
  }
  uint64_t length = 0;
  std::string value = head.substr(at + 17, head.find("\r\n", at + 2) - at - 17);
  return absl::SimpleAtoi(value, &length) && data.size() - end - 4 >= length;
}

HttpAnswer Send(const HttpCall& call) {
  HttpAnswer answer;
  Deadline deadline(call.timeout);
  host::UniqueFd fd = Connect(call, deadline, &answer.error);
  if (!fd.valid()) return answer;
  Context context(nullptr, SSL_CTX_free);
  Ssl ssl(nullptr, SSL_free);
  if (call.tls) {
    context.reset(SSL_CTX_new(TLS_client_method()));
    if (!SetCertificates(context.get(), call)) {
      ERR_clear_error();
      answer.error = "K3s's certificate files cannot be read";
      return answer;
    }
    ssl.reset(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), fd.get());
  }
  Stream stream(fd.get(), ssl.get(), deadline);
  if (call.tls && !stream.Handshake()) {
    long verify = SSL_get_verify_result(ssl.get());
    answer.error = verify == X509_V_OK
                       ? "no TLS connection"
                       : absl::StrCat("certificate: ", X509_verify_cert_error_string(verify));
    ERR_clear_error();
    return answer;
  }
  std::string request =
      absl::StrCat(call.method, " ", call.path, " HTTP/1.1\r\nHost: ", call.address, ":", call.port,
                   "\r\nConnection: close\r\nAccept: application/json, */*\r\n");
  for (const auto& [name, value] : call.headers)
    absl::StrAppend(&request, name, ": ", value, "\r\n");
  absl::StrAppend(&request, "Content-Length: ", call.body.size(), "\r\n\r\n", call.body);
  std::string data;
  if (stream.Write(request)) {
    while (!IsComplete(data) && stream.Read(&data)) {
    }
  }
  ERR_clear_error();
  return ParseAnswer(data);
}

}  // namespace basalt::k3s
