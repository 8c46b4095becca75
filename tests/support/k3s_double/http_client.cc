#include "tests/support/k3s_double/http_client.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace basalt::k3s_double {

int Connect(const std::string& host, int port, int timeout_ms) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    errno = EHOSTUNREACH;
    return -1;
  }
  int fd = -1;
  for (addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next) {
    fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    timeval limit{timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
      int error = errno;
      close(fd);
      fd = -1;
      errno = error;
    }
  }
  int error = errno;
  freeaddrinfo(found);
  errno = error;
  return fd;
}

namespace {

bool UsePem(SSL_CTX* context, const Call& call) {
  if (!call.ca.empty()) {
    BIO* bio = BIO_new_mem_buf(call.ca.data(), static_cast<int>(call.ca.size()));
    X509* ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    if (ca == nullptr) return false;
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
    X509_free(ca);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  if (!call.certificate.empty()) {
    BIO* a = BIO_new_mem_buf(call.certificate.data(), static_cast<int>(call.certificate.size()));
    BIO* b = BIO_new_mem_buf(call.key.data(), static_cast<int>(call.key.size()));
    X509* cert = PEM_read_bio_X509(a, nullptr, nullptr, nullptr);
    EVP_PKEY* key = PEM_read_bio_PrivateKey(b, nullptr, nullptr, nullptr);
    bool ok = cert != nullptr && key != nullptr && SSL_CTX_use_certificate(context, cert) == 1 &&
              SSL_CTX_use_PrivateKey(context, key) == 1;
    X509_free(cert);
    EVP_PKEY_free(key);
    BIO_free(a);
    BIO_free(b);
    return ok;
  }
  return true;
}

}  // namespace

Reply Send(const std::string& host, int port, const Call& call) {
  Reply reply;
  std::string where = host + ":" + std::to_string(port);
  int fd = Connect(host, port, 5000);
  if (fd < 0) {
    reply.error = "dial tcp " + where +
                  ": connect: " + (errno == ECONNREFUSED ? "connection refused" : strerror(errno));
    return reply;
  }
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = nullptr;
  if (!UsePem(context, call)) {
    reply.error = "bad certificate files";
  } else {
    ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1) {
      reply.error = "Get \"https://" + where + call.path +
                    "\": x509: certificate signed by unknown authority";
    }
  }
  if (reply.error.empty()) {
    std::string text =
        call.method + " " + call.path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n";
    for (const auto& [name, value] : call.headers) text += name + ": " + value + "\r\n";
    text += "Content-Length: " + std::to_string(call.body.size()) + "\r\n\r\n" + call.body;
    SSL_write(ssl, text.data(), static_cast<int>(text.size()));
    std::string data;
    char buffer[8192];
    for (int n; (n = SSL_read(ssl, buffer, sizeof buffer)) > 0;)
      data.append(buffer, static_cast<size_t>(n));
    size_t end = data.find("\r\n\r\n");
    if (data.rfind("HTTP/1.1 ", 0) == 0 && end != std::string::npos) {
      reply.status = atoi(data.c_str() + 9);
      reply.body = data.substr(end + 4);
    } else {
      reply.error = "Get \"https://" + where + call.path + "\": EOF";
    }
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
  close(fd);
  ERR_clear_error();
  return reply;
}

bool SplitUrl(const std::string& url, std::string* host, int* port) {
  if (url.rfind("https://", 0) != 0) return false;
  std::string rest = url.substr(8);
  rest = rest.substr(0, rest.find('/'));
  size_t colon = rest.rfind(':');
  *host = rest.substr(0, colon);
  *port = colon == std::string::npos ? 443 : atoi(rest.c_str() + colon + 1);
  return !host->empty() && *port > 0;
}

std::string BasicAuth(const std::string& user, const std::string& password) {
  std::string text = user + ":" + password;
  std::vector<unsigned char> out(text.size() * 2 + 8);
  int n = EVP_EncodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()),
                          static_cast<int>(text.size()));
  return "Basic " + std::string(out.begin(), out.begin() + n);
}

bool ParseBasicAuth(const std::string& header, std::string* user, std::string* password) {
  if (header.rfind("Basic ", 0) != 0) return false;
  std::string encoded = header.substr(6);
  std::vector<unsigned char> out(encoded.size() + 4);
  int n = EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(encoded.data()),
                          static_cast<int>(encoded.size()));
  if (n < 0) return false;
  std::string text(out.begin(), out.begin() + n);
  while (!text.empty() && text.back() == '\0') text.pop_back();  // padding
  size_t colon = text.find(':');
  if (colon == std::string::npos) return false;
  *user = text.substr(0, colon);
  *password = text.substr(colon + 1);
  return true;
}

}  // namespace basalt::k3s_double
