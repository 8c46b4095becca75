// `k3s agent`, doubled: joins as K3s does (for ever, if refused), keeps its Node fresh and opens
// the ports of the load balancer, the kubelet and kube-proxy.
#pragma once

#include <string>

#include "tests/support/k3s_double/settings.h"

namespace basalt::k3s_double {

[[noreturn]] void RunAgent(const Settings& settings, const Faults& faults);

// The password of this node: what the file says, or a new one, stored.
std::string NodePassword(const Settings& settings);
// "K10<hash>::user:password" taken apart; a short token is the password alone.
void SplitToken(const std::string& token, std::string* ca_hash, std::string* password);
// The server's CA, checked against the token's hash. Tries for ever, in K3s's words.
std::string AwaitServerCa(const std::string& host, int port, const std::string& ca_hash,
                          int retry_ms);

}  // namespace basalt::k3s_double
