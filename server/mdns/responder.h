// Says on the node's own networks that it is there, to `nodectl discover`: multicast DNS (RFC 6762)
// service discovery (RFC 6763) of _basalt._tcp.local, and nothing else of either.
//
// A node answers while it has no config, and afterwards when api.discoverable says so; what it says
// proves nothing, and holds no more than a console shows. It answers who is on the same network
// alone, once a second on each, so that nobody uses it to flood somebody else. It never asks, and
// does not defend its name: two nodes of one name are two answers, and their fingerprints differ.
//
// Loop thread only. Where nothing changes it sends nothing but answers.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "api/mdns_message.h"
#include "server/engine/executor.h"
#include "server/mdns/links.h"

namespace basalt::mdns {

class Responder {
 public:
  static constexpr absl::Duration kLookEvery = absl::Seconds(5);  // at links and facts
  static constexpr absl::Duration kAgain = absl::Seconds(1);      // a datagram may be lost

  struct Parts {
    engine::Executor& executor;
    Links& links;
    // What is said, without addresses; nothing while it is not to be said.
    std::function<std::optional<api::mdns::Advert>()> advert;
    std::function<absl::Duration()> since_boot;
  };
  explicit Responder(Parts parts) : parts_(std::move(parts)) {}
  ~Responder();
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  void Start() { Look(); }

 private:
  void Look();
  void Open(const std::vector<Link>& links);
  void Say(uint32_t ttl);
  void Answer(const Datagram& question);
  api::mdns::Advert AdvertOn(const Link& link) const;

  const Parts parts_;
  std::optional<api::mdns::Advert> advert_;
  std::vector<Link> links_;
  std::vector<int> watched_;
  std::map<int, absl::Duration> answered_;  // when, by link
};

// Does `source` lie in a network of the link? An answer leaves no router.
bool IsOnLink(const Link& link, const std::string& source);

}  // namespace basalt::mdns
