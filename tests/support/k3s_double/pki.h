// The certificates that K3s makes below server/tls: P-256, keys in SEC1 form.
#pragma once

#include <string>
#include <vector>

namespace basalt::k3s_double {

struct KeyPair {
  std::string certificate;  // PEM
  std::string key;          // PEM, "EC PRIVATE KEY"
};

KeyPair MakeCa(const std::string& common_name);
// `addresses` may be IP addresses or DNS names. An empty list makes a client certificate.
KeyPair IssueFrom(const KeyPair& ca, const std::string& common_name,
                  const std::string& organization, const std::vector<std::string>& addresses);

}  // namespace basalt::k3s_double
