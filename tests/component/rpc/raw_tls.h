// A TLS client that can misbehave: it speaks below HTTP/2, byte by byte. Blocking, with a timeout
// on every step. Not thread-safe.
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/host/fd.h"

namespace basalt::rpc {

class RawTls {
 public:
  struct Options {
    bool alpn = true;
    bool tls12 = false;  // offer nothing newer
  };
  RawTls(host::UniqueFd fd, const Options& options);
  ~RawTls();
  RawTls(const RawTls&) = delete;
  RawTls& operator=(const RawTls&) = delete;

  bool Handshake();
  bool Write(absl::string_view bytes);
  // Reads until `needle` has come, the peer closes or `limit` passes. True: found.
  bool ReadUntil(absl::string_view needle, absl::Duration limit);
  // True: the peer closed within `limit`.
  bool AwaitClosed(absl::Duration limit);
  // Reads what there is, waiting at most `limit` for it. False: nothing came, or the connection
  // ended (then `closed`).
  bool ReadSome(absl::Duration limit);
  bool closed() const { return closed_; }
  const std::string& received() const { return received_; }

 private:
  host::UniqueFd fd_;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
  std::string received_;
  bool closed_ = false;
};

// HTTP/2 by hand.
std::string Http2Preface();
// HEADERS of a gRPC call on stream 1, end of headers.
std::string Http2Call(absl::string_view path);
// DATA on stream 1.
std::string Http2Data(absl::string_view bytes);

}  // namespace basalt::rpc
