// Multicast DNS as nodes and nodectl speak it: a subset of RFC 1035, 6762 and 6763. Messages of one
// datagram, read whatever they hold and written without compression; and what a node says of itself
// under _basalt._tcp.local. Nothing of it is authenticated: whoever is on the network may say it.
// Pure, thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace basalt::api::mdns {

inline constexpr uint16_t kPort = 5353;
inline constexpr char kGroup4[] = "224.0.0.251";
inline constexpr char kGroup6[] = "ff02::fb";
inline constexpr char kService[] = "_basalt._tcp.local";
inline constexpr size_t kMostBytes = 9000;  // RFC 6762, 17

enum Type : uint16_t { kA = 1, kPtr = 12, kTxt = 16, kAaaa = 28, kSrv = 33, kAny = 255 };

struct Question {
  std::string name;  // "n1._basalt._tcp.local"; bytes that are no printable ASCII, and dots within
                     // a label, are "?"
  uint16_t type = kPtr;
  bool unicast = false;  // the asker would rather have the answer alone
  bool operator==(const Question&) const = default;
};

struct Record {
  std::string name;
  uint16_t type = kPtr;
  bool flush = false;  // whoever knew others forgets them
  uint32_t ttl = 120;
  std::string target;              // of PTR and SRV
  uint16_t port = 0;               // of SRV
  std::vector<std::string> texts;  // of TXT
  std::string address;             // of A (4 bytes) and AAAA (16)
  bool operator==(const Record&) const = default;
};

struct Message {
  uint16_t id = 0;
  bool response = false;
  std::vector<Question> questions;
  std::vector<Record> records;  // of all sections; of types that are not ours only the name
  bool operator==(const Message&) const = default;
};

// InvalidArgument "bad-message".
absl::StatusOr<Message> Parse(absl::string_view bytes);
// At most kMostBytes; labels that are too long are cut.
std::string Write(const Message& message);

// What a node says of itself.
struct Advert {
  std::string instance;     // "n1", or "basalt-3f9a1c2b" before it has a name
  std::string fingerprint;  // its begin, kFingerprintShown hex digits: to find it, not to trust it
  std::string state;        // "no-config", "configured"
  std::string api;          // "basalt/v1"
  std::string version;      // of the release
  uint16_t port = 0;
  std::vector<std::string> addresses;  // 4 or 16 bytes each
  bool operator==(const Advert&) const = default;
};
inline constexpr size_t kFingerprintShown = 16;

// Everything in one answer. `ttl` 0: it goes.
Message Announce(const Advert& advert, uint32_t ttl = 120);
// Does the message ask for any of what Announce says?
bool AsksFor(const Message& message, const Advert& advert);
// The nodes of an answer; what is not whole is left out, and what goes (TTL 0).
std::vector<Advert> AdvertsOf(const Message& message);

}  // namespace basalt::api::mdns
