// Records as each kind of sink takes them. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/logs/record.h"

namespace basalt::logs {

// RFC 5424, without framing. Facility 0 of the kernel, 3 (daemons) of services.
std::string Syslog(const Record& record, absl::string_view host_name);
// With its length before it: RFC 5425 over TLS, RFC 6587 (octet counting) over TCP.
std::string Framed(absl::string_view message);
// What fits a datagram that nothing on the way cuts in pieces.
inline constexpr size_t kMaxDatagram = 1400;

struct Body {
  std::string content_type;
  std::string bytes;
};
Body Encode(Encoding encoding, const std::vector<Record>& records, absl::string_view host_name);

// A POST of HTTP/1.1 on a connection that stays open.
std::string PostRequest(const SinkSpec& sink, const Body& body);

// `text` as the inside of a JSON string; what is not UTF-8 becomes U+FFFD.
std::string JsonText(absl::string_view text);

}  // namespace basalt::logs
