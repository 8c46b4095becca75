// What nodes said by mDNS, gathered and shown. Nothing of it is authenticated. Pure, but for Io.
#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "api/mdns_message.h"
#include "client/context/inventory.h"
#include "client/output/io.h"

namespace basalt::client {

struct Discovered {
  api::mdns::Advert advert;
  std::string endpoint;
};

// The address to reach it at: IPv4 before IPv6, and of that one that is routed before a link's own,
// which is only good with the `link`. "" when it says none.
std::string EndpointOf(const api::mdns::Advert& advert, const std::string& link);
// A datagram that came over `link`; one that says nothing of a node adds nothing.
void AddDiscovered(absl::string_view bytes, const std::string& link,
                   std::map<std::string, Discovered>& found);
// `inventory` may be null.
void ShowDiscovered(Io& io, const std::map<std::string, Discovered>& found,
                    const Inventory* inventory);

}  // namespace basalt::client
