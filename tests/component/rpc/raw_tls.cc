#include "tests/component/rpc/raw_tls.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace basalt::rpc {
namespace {

std::string Frame(uint8_t type, uint8_t flags, uint32_t stream, absl::string_view payload) {
  std::string out;
  for (int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(stream >> shift);
  return absl::StrCat(out, payload);
}

// HPACK: a literal field without indexing, both strings shorter than 127 and not compressed.
std::string Field(absl::string_view name, absl::string_view value) {
  std::string out(1, '\0');
  out += static_cast<char>(name.size());
  absl::StrAppend(&out, name);
  out += static_cast<char>(value.size());
  return absl::StrCat(out, value);
}

}  // namespace

RawTls::RawTls(host::UniqueFd fd, const Options& options) : fd_(std::move(fd)) {
  timeval limit{.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  context_ = SSL_CTX_new(TLS_client_method());
  if (options.tls12) {
    SSL_CTX_clear_options(context_, SSL_OP_NO_TLSv1_2);
    SSL_CTX_set_max_proto_version(context_, TLS1_2_VERSION);
  }
  static const unsigned char kH2[] = {2, 'h', '2'};
  if (options.alpn) SSL_CTX_set_alpn_protos(context_, kH2, sizeof(kH2));
  ssl_ = SSL_new(context_);
  SSL_set_fd(ssl_, fd_.get());
}

RawTls::~RawTls() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
}

bool RawTls::Handshake() { return SSL_connect(ssl_) == 1; }

bool RawTls::Write(absl::string_view bytes) {
  return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) ==
         static_cast<int>(bytes.size());
}

bool RawTls::ReadSome(absl::Duration limit) {
  if (SSL_pending(ssl_) == 0) {
    pollfd item{.fd = fd_.get(), .events = POLLIN};
    if (poll(&item, 1, static_cast<int>(absl::ToInt64Milliseconds(limit))) <= 0) return false;
  }
  char buffer[4096];
  int n = SSL_read(ssl_, buffer, sizeof(buffer));
  if (n <= 0) {
    closed_ = SSL_get_error(ssl_, n) != SSL_ERROR_WANT_READ;
    return false;
  }
  received_.append(buffer, n);
  return true;
}

bool RawTls::ReadUntil(absl::string_view needle, absl::Duration limit) {
  absl::Time end = absl::Now() + limit;
  while (received_.find(std::string(needle)) == std::string::npos) {
    absl::Duration left = end - absl::Now();
    if (closed_ || left <= absl::ZeroDuration()) return false;
    ReadSome(left);
  }
  return true;
}

bool RawTls::AwaitClosed(absl::Duration limit) {
  absl::Time end = absl::Now() + limit;
  while (!closed_) {
    absl::Duration left = end - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    ReadSome(left);
  }
  return true;
}

std::string Http2Preface() {
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Frame(4, 0, 0, ""));
}

std::string Http2Call(absl::string_view path) {
  return Frame(1, 4, 1,
               absl::StrCat(Field(":method", "POST"), Field(":scheme", "https"),
                            Field(":path", path), Field(":authority", "node"),
                            Field("content-type", "application/grpc"), Field("te", "trailers")));
}

std::string Http2Data(absl::string_view bytes) { return Frame(0, 0, 1, bytes); }

}  // namespace basalt::rpc
