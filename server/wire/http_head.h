// The head of an HTTP/1.x answer, as far as it is needed here: is it understood, how long is the
// body, may the connection be used again. Pure; a stranger wrote it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace basalt::wire {

// No head that is longer is read.
inline constexpr size_t kMaxHead = 32 << 10;

struct HttpHead {
  int status = 0;
  int64_t length = -1;  // of the body; -1: not said
  bool chunked = false;
  bool keep_alive = false;  // and the end of the body can be told
  std::string location;     // printable ASCII, at most 2 KiB; the same of `type`
  std::string type;
  size_t size = 0;  // of the head, with the empty line
};

// nullopt: not whole yet, or (when `bad`) never will be.
std::optional<HttpHead> ParseHttpHead(absl::string_view text, bool* bad);

}  // namespace basalt::wire
