// Names to addresses, by the C library: /etc/hosts, then DNS. Blocks for as long as DNS does: for
// the pool.
#pragma once

#include <string>

namespace basalt::host {

// 4 or 16 bytes of the first address; "" when there is none.
std::string ResolveAddress(const std::string& name);

}  // namespace basalt::host
