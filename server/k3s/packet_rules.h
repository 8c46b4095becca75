// What Kubernetes, CNI plugins and flannel put among the packet filter's rules, taken out of the
// text of `iptables-save -c`. Pure.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace basalt::k3s {

struct SweptRules {
  // For `iptables-restore -c`: the tables that lose something, with everything else that they hold.
  // A table that loses nothing is left out, since restore touches no table that it is not told of.
  std::string text;
  int removed = 0;  // rules and chains
  bool operator==(const SweptRules&) const = default;
};

SweptRules SweepRules(absl::string_view saved);

}  // namespace basalt::k3s
