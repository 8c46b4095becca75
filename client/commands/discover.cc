// nodectl discover: asks the networks of this machine by mDNS which nodes there are. What comes
// back is anybody's word: it is shown, to be compared with a console, and never pinned.
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "api/coded_status.h"
#include "api/mdns_message.h"
#include "client/commands/commands.h"
#include "client/commands/discovered.h"
#include "client/output/errors.h"
#include "client/output/table.h"
#include "nlohmann/json.hpp"

namespace basalt::client {
namespace {

using api::mdns::Message;

constexpr absl::Duration kAskAgain = absl::Seconds(1);
constexpr size_t kMostNodes = 1000;  // what a hostile network may make us keep

class Socket {
 public:
  explicit Socket(int family) : fd_(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// To every network of this machine; how many were asked.
size_t AskAll(const Socket& v4, const Socket& v6) {
  const std::string question = Write(Message{
      .questions = {{.name = api::mdns::kService, .type = api::mdns::kPtr, .unicast = true}}});
  std::set<int> four, six;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return 0;
  for (const ifaddrs* i = all; i != nullptr; i = i->ifa_next) {
    constexpr unsigned kWanted = IFF_UP | IFF_MULTICAST;
    if (i->ifa_addr == nullptr || (i->ifa_flags & kWanted) != kWanted) continue;
    const int index = static_cast<int>(if_nametoindex(i->ifa_name));
    if (i->ifa_addr->sa_family == AF_INET) four.insert(index);
    if (i->ifa_addr->sa_family == AF_INET6) six.insert(index);
  }
  freeifaddrs(all);
  size_t sent = 0;
  for (int index : four) {
    ip_mreqn out{};
    out.imr_ifindex = index;
    (void)setsockopt(v4.fd(), IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(api::mdns::kPort);
    inet_pton(AF_INET, api::mdns::kGroup4, &to.sin_addr);
    sent += sendto(v4.fd(), question.data(), question.size(), 0, reinterpret_cast<sockaddr*>(&to),
                   sizeof to) > 0;
  }
  for (int index : six) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(api::mdns::kPort);
    to.sin6_scope_id = static_cast<uint32_t>(index);
    inet_pton(AF_INET6, api::mdns::kGroup6, &to.sin6_addr);
    sent += sendto(v6.fd(), question.data(), question.size(), 0, reinterpret_cast<sockaddr*>(&to),
                   sizeof to) > 0;
  }
  return sent;
}

std::string LinkOf(const sockaddr_storage& from) {
  if (from.ss_family != AF_INET6) return "";
  char name[IF_NAMESIZE] = {};
  const auto& six = reinterpret_cast<const sockaddr_in6&>(from);
  return if_indextoname(six.sin6_scope_id, name) == nullptr ? "" : name;
}

}  // namespace

std::string EndpointOf(const api::mdns::Advert& advert, const std::string& link) {
  std::string best;
  int best_rank = 0;
  for (const std::string& address : advert.addresses) {
    char text[INET6_ADDRSTRLEN] = {};
    const bool four = address.size() == 4;
    if (inet_ntop(four ? AF_INET : AF_INET6, address.data(), text, sizeof text) == nullptr)
      continue;
    const bool link_local = !four && static_cast<uint8_t>(address[0]) == 0xfe &&
                            (static_cast<uint8_t>(address[1]) & 0xc0) == 0x80;
    const int rank = four ? 3 : link_local ? 1 : 2;
    if (rank <= best_rank) continue;
    best_rank = rank;
    best = four ? absl::StrCat(text, ":", advert.port)
                : absl::StrCat("[", text, link_local && !link.empty() ? "%" : "",
                               link_local ? link : "", "]:", advert.port);
  }
  return best;
}

void AddDiscovered(absl::string_view bytes, const std::string& link,
                   std::map<std::string, Discovered>& found) {
  absl::StatusOr<Message> message = api::mdns::Parse(bytes);
  if (!message.ok()) return;
  for (api::mdns::Advert& advert : api::mdns::AdvertsOf(*message)) {
    const std::string endpoint = EndpointOf(advert, link);
    if (endpoint.empty() || (found.size() == kMostNodes && found.count(advert.fingerprint) == 0)) {
      continue;
    }
    Discovered& node = found[absl::StrCat(advert.fingerprint, " ", advert.instance)];
    // Over IPv4 and IPv6 alike, or from two networks.
    if (node.endpoint.empty() || node.endpoint[0] == '[') node.endpoint = endpoint;
    node.advert = std::move(advert);
  }
}

absl::StatusOr<int> RunDiscover(Session& session, const DiscoverOptions& options) {
  Io& io = session.io();
  Socket v4(AF_INET), v6(AF_INET6);
  std::map<std::string, Discovered> found;
  const absl::Time end = absl::Now() + options.timeout;
  absl::Time ask = absl::InfinitePast();
  size_t asked = 0;
  while (absl::Now() < end) {
    if (absl::Now() >= ask) {
      asked += AskAll(v4, v6);
      if (asked == 0) {
        return api::Coded(absl::StatusCode::kUnavailable, "no-network",
                          "this machine has no network on which it could ask",
                          "nodectl pin NAME --node HOST:6050 asks a node whose address is known");
      }
      ask = absl::Now() + kAskAgain;
    }
    pollfd waits[] = {{.fd = v4.fd(), .events = POLLIN}, {.fd = v6.fd(), .events = POLLIN}};
    const absl::Duration left = std::min(end, ask) - absl::Now();
    poll(waits, 2, static_cast<int>(std::max<int64_t>(0, absl::ToInt64Milliseconds(left)) + 1));
    for (const pollfd& one : waits) {
      if ((one.revents & POLLIN) == 0) continue;
      char bytes[api::mdns::kMostBytes];
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const ssize_t n = recvfrom(one.fd, bytes, sizeof bytes, MSG_DONTWAIT,
                                 reinterpret_cast<sockaddr*>(&from), &size);
      if (n > 0) AddDiscovered({bytes, static_cast<size_t>(n)}, LinkOf(from), found);
    }
  }
  // Those of the inventory are told apart; a context is not needed to look around.
  const Inventory* inventory = nullptr;
  if (absl::StatusOr<const Inventory*> known = session.inventory(); known.ok()) inventory = *known;
  ShowDiscovered(io, found, inventory);
  return 0;
}

void ShowDiscovered(Io& io, const std::map<std::string, Discovered>& found,
                    const Inventory* inventory) {
  const auto pinned_as = [&](const Discovered& node) -> std::string {
    if (inventory == nullptr) return "";
    for (const InventoryNode& known : inventory->nodes()) {
      if (!known.fingerprint.empty() && known.fingerprint.compare(0, api::mdns::kFingerprintShown,
                                                                  node.advert.fingerprint) == 0) {
        return known.name;
      }
    }
    return "";
  };
  if (io.json()) {
    nlohmann::ordered_json nodes = nlohmann::ordered_json::array();
    for (const auto& [key, node] : found) {
      nlohmann::ordered_json one;
      one["name"] = node.advert.instance;
      one["endpoint"] = node.endpoint;
      one["fingerprintBegin"] = node.advert.fingerprint;
      one["state"] = node.advert.state;
      one["version"] = node.advert.version;
      one["apiVersion"] = node.advert.api;
      one["inventoryName"] = pinned_as(node);
      nodes.push_back(std::move(one));
    }
    nlohmann::ordered_json out;
    out["authenticated"] = false;
    out["nodes"] = std::move(nodes);
    io.out << out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
    return;
  }
  if (io.format == Format::kName) {
    for (const auto& [key, node] : found) io.out << Escape(node.advert.instance) << "\n";
    return;
  }
  const bool wide = io.format == Format::kWide;
  Table table{.titles = {"NAME", "ENDPOINT", "FINGERPRINT", "STATE", "INVENTORY"}};
  if (wide) table.titles.insert(table.titles.end(), {"VERSION", "API"});
  for (const auto& [key, node] : found) {
    std::vector<std::string> row = {node.advert.instance, node.endpoint,
                                    absl::StrCat(node.advert.fingerprint, "..."), node.advert.state,
                                    pinned_as(node)};
    if (wide) row.insert(row.end(), {node.advert.version, node.advert.api});
    table.rows.push_back(std::move(row));
  }
  if (table.rows.empty()) {
    io.err << "no node answered; one with a config answers only with api.discoverable: true\n";
    return;
  }
  PrintTable(io, table);
  io.err << "This is what somebody on the network says, not what is proven: compare the whole "
            "fingerprint with the node's console before nodectl pin NAME --node ENDPOINT "
            "--fingerprint FINGERPRINT\n";
}

}  // namespace basalt::client
