// What anybody on the network sends to a node, and to who looks for nodes: messages of mDNS.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "api/mdns_message.h"

namespace {

namespace mdns = basalt::api::mdns;

void Must(bool holds) {
  if (!holds) std::abort();
}

void CheckName(const std::string& name) {
  Must(name.size() <= 255);
  for (char c : name) Must(c >= 0x20 && c < 0x7f);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto message = mdns::Parse({reinterpret_cast<const char*>(data), size});
  if (!message.ok()) return 0;
  for (const mdns::Question& q : message->questions) CheckName(q.name);
  for (const mdns::Record& r : message->records) {
    CheckName(r.name);
    CheckName(r.target);
  }
  for (const mdns::Advert& advert : mdns::AdvertsOf(*message)) {
    Must(advert.fingerprint.size() == mdns::kFingerprintShown && advert.port != 0);
    // Said again it is the same node.
    const auto again = mdns::AdvertsOf(mdns::Announce(advert));
    Must(again.size() == 1 && again[0].fingerprint == advert.fingerprint);
  }
  (void)mdns::AsksFor(*message, {.instance = "n1"});
  return 0;
}
