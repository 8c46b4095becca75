// The networks that a node may speak mDNS on. Real: real_links.cc. Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace basalt::mdns {

struct LinkAddress {
  std::string bytes;  // 4 or 16
  int prefix = 0;
  bool operator==(const LinkAddress&) const = default;
};

struct Link {
  int index = 0;
  std::string name;
  std::vector<LinkAddress> addresses;
  bool operator==(const Link&) const = default;
};

struct Datagram {
  int link = 0;        // by its index
  std::string source;  // 4 or 16 bytes
  uint16_t port = 0;
  std::string bytes;
};

class Links {
 public:
  virtual ~Links() = default;
  // Those that are up, can multicast and belong to the machine: not those that K3s makes for pods.
  virtual std::vector<Link> List() = 0;
  // Listens on those, and on no other any more. None: the port is closed.
  virtual void ListenOn(const std::vector<Link>& links) = 0;
  // To be watched while they are open.
  virtual std::vector<int> descriptors() const = 0;
  virtual std::vector<Datagram> Receive() = 0;  // what is there; at most a few
  // To everybody on the link, by both families where it has addresses of both.
  virtual void Multicast(const Link& link, const std::string& bytes) = 0;
  virtual void Unicast(const Datagram& to, const std::string& bytes) = 0;
};

std::unique_ptr<Links> MakeLinks();

// Also without a device behind it: in tests, whose links are all made.
std::unique_ptr<Links> MakeAnyLinks();

}  // namespace basalt::mdns
