#include "server/host/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace basalt::host {

std::string ResolveAddress(const std::string& name) {
  addrinfo hints{.ai_flags = AI_ADDRCONFIG, .ai_socktype = SOCK_DGRAM};
  addrinfo* found = nullptr;
  if (getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return "";
  std::string out;
  for (const addrinfo* each = found; each != nullptr && out.empty(); each = each->ai_next) {
    if (each->ai_family == AF_INET) {
      const auto* at = reinterpret_cast<const sockaddr_in*>(each->ai_addr);
      out.assign(reinterpret_cast<const char*>(&at->sin_addr), 4);
    } else if (each->ai_family == AF_INET6) {
      const auto* at = reinterpret_cast<const sockaddr_in6*>(each->ai_addr);
      out.assign(reinterpret_cast<const char*>(&at->sin6_addr), 16);
    }
  }
  freeaddrinfo(found);
  return out;
}

}  // namespace basalt::host
