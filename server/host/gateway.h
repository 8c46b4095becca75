// Does whoever carries this machine's packets away still answer? Asked of the kernel's table of
// neighbours (ARP, neighbour discovery), which a gateway has to answer while many answer no ping.
// Short calls, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

struct nlmsghdr;

namespace basalt::host {

struct GatewayState {
  bool answers = false;  // one of them does
  std::string text;      // "192.168.1.1", "no default route"
};

class Gateway {
 public:
  virtual ~Gateway() = default;
  // What the kernel found out since the last call, and makes it find out anew.
  virtual GatewayState Look() = 0;
};

struct Neighbour {
  int link = 0;
  std::string ip;  // network byte order
  uint16_t state = 0;
};
std::optional<Neighbour> ReadNeighbour(const nlmsghdr* message);
// Does a neighbour in that state answer? One that was not asked lately does until it is found out.
bool NeighbourAnswers(uint16_t state);

absl::StatusOr<std::unique_ptr<Gateway>> OpenGateway();

}  // namespace basalt::host
