#include "server/mdns/responder.h"

#include <algorithm>
#include <utility>

namespace basalt::mdns {
namespace {

using api::mdns::Advert;
using api::mdns::Message;

constexpr absl::Duration kQuiet = absl::Seconds(1);  // RFC 6762, 6
constexpr uint32_t kLegacyTtl = 10;                  // RFC 6762, 6.7

bool IsLinkLocal6(const std::string& address) {
  return address.size() == 16 && static_cast<uint8_t>(address[0]) == 0xfe &&
         (static_cast<uint8_t>(address[1]) & 0xc0) == 0x80;
}

}  // namespace

bool IsOnLink(const Link& link, const std::string& source) {
  if (IsLinkLocal6(source)) return true;
  return std::any_of(link.addresses.begin(), link.addresses.end(), [&](const LinkAddress& own) {
    if (own.bytes.size() != source.size()) return false;
    for (int bit = 0; bit < own.prefix; ++bit) {
      const auto difference = static_cast<uint8_t>(own.bytes[bit / 8] ^ source[bit / 8]);
      if ((difference >> (7 - bit % 8) & 1) != 0) return false;
    }
    return own.prefix > 0;
  });
}

Responder::~Responder() {
  for (int fd : watched_) parts_.executor.UnwatchFd(fd);
}

Advert Responder::AdvertOn(const Link& link) const {
  Advert advert = *advert_;
  for (const LinkAddress& address : link.addresses) advert.addresses.push_back(address.bytes);
  return advert;
}

void Responder::Look() {
  const std::optional<Advert> now = parts_.advert();
  const std::vector<Link> links = now ? parts_.links.List() : std::vector<Link>();
  if (now != advert_ || links != links_) {
    // The name that goes is taken back, so that nobody keeps it for two minutes.
    if (advert_ && (!now || now->instance != advert_->instance)) Say(0);
    advert_ = now;
    if (links != links_) Open(links);
    if (advert_) {
      Say(120);
      parts_.executor.After(kAgain, [this] {
        if (advert_) Say(120);
      });
    }
  }
  parts_.executor.After(kLookEvery, [this] { Look(); });
}

void Responder::Open(const std::vector<Link>& links) {
  for (int fd : watched_) parts_.executor.UnwatchFd(fd);
  parts_.links.ListenOn(links);
  links_ = links;
  watched_ = parts_.links.descriptors();
  for (int fd : watched_) {
    parts_.executor.WatchFd(fd, [this] {
      for (const Datagram& datagram : parts_.links.Receive()) Answer(datagram);
    });
  }
}

void Responder::Say(uint32_t ttl) {
  for (const Link& link : links_) {
    parts_.links.Multicast(link, Write(api::mdns::Announce(AdvertOn(link), ttl)));
  }
}

void Responder::Answer(const Datagram& question) {
  if (!advert_) return;
  auto link = std::find_if(links_.begin(), links_.end(),
                           [&](const Link& l) { return l.index == question.link; });
  if (link == links_.end() || !IsOnLink(*link, question.source)) return;
  absl::StatusOr<Message> message = api::mdns::Parse(question.bytes);
  const Advert advert = AdvertOn(*link);
  if (!message.ok() || !api::mdns::AsksFor(*message, advert)) return;
  const absl::Duration now = parts_.since_boot();
  auto before = answered_.find(link->index);
  if (before != answered_.end() && now - before->second < kQuiet) return;
  answered_[link->index] = now;
  if (question.port == api::mdns::kPort) {
    parts_.links.Multicast(*link, Write(api::mdns::Announce(advert)));
    return;
  }
  // One that is no responder itself: as unicast DNS would answer, with its question.
  Message answer = api::mdns::Announce(advert, kLegacyTtl);
  answer.id = message->id;
  answer.questions = message->questions;
  for (api::mdns::Question& q : answer.questions) q.unicast = false;
  for (api::mdns::Record& r : answer.records) r.flush = false;
  parts_.links.Unicast(question, Write(answer));
}

}  // namespace basalt::mdns
