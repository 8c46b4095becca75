#include "server/rpc/client_hello.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace basalt::rpc {
namespace {

// RFC 8446: a record is type(1) version(2) length(2) and at most 2^14 bytes; type 22 is handshake,
// and a handshake message of type 1 is a ClientHello.
constexpr size_t kHeader = 5;
constexpr size_t kMaxRecord = 1 << 14;

}  // namespace

HelloState PeekClientHello(int fd) {
  // On the accept loop's stack: one thread, one at a time.
  uint8_t bytes[kHeader + kMaxRecord];
  ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
  if (n == 0) return HelloState::kEnded;
  if (n < 0) {
    return errno == EAGAIN || errno == EINTR ? HelloState::kMore : HelloState::kEnded;
  }
  return ClassifyHello({reinterpret_cast<const char*>(bytes), static_cast<size_t>(n)});
}

HelloState ClassifyHello(absl::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const size_t have = text.size();
  if (have == 0) return HelloState::kMore;
  if (bytes[0] != 22) return HelloState::kNotTls;
  if (have > 1 && bytes[1] != 3) return HelloState::kNotTls;
  if (have < kHeader) return HelloState::kMore;
  size_t length = static_cast<size_t>(bytes[3]) << 8 | bytes[4];
  if (length == 0 || length > kMaxRecord) return HelloState::kNotTls;
  if (have > kHeader && bytes[kHeader] != 1) return HelloState::kNotTls;
  return have >= kHeader + length ? HelloState::kComplete : HelloState::kMore;
}

}  // namespace basalt::rpc
