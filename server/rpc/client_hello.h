// Looks at the first bytes of a connection without taking them.
#pragma once

#include "absl/strings/string_view.h"

namespace basalt::rpc {

enum class HelloState {
  kMore,      // a good beginning, or nothing yet
  kComplete,  // a whole TLS handshake record that begins a ClientHello lies in the socket
  kNotTls,    // anything else
  kEnded,     // the peer closed, or the socket failed
};

// `fd` is a non-blocking stream socket.
HelloState PeekClientHello(int fd);
// The same of bytes; never kEnded.
HelloState ClassifyHello(absl::string_view bytes);

}  // namespace basalt::rpc
