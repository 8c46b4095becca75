// How programs of the node reach the outside, as system.proxy and system.caCertificates say: one
// environment for noded-fetch and for K3s. Pure.
#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "basalt/v1/system.pb.h"

namespace basalt::fetch {

// The authorities of the image and those of the config in one file; there only while a config
// names some. Relative to the root of the node.
inline constexpr char kAuthorities[] = "run/etc/ssl/certs/ca-certificates.crt";
inline constexpr char kImageAuthorities[] = "etc/ssl/certs/ca-certificates.crt";

// HTTP_PROXY, HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE: what of it the config says. Secrets are
// opened. `root`: of the node, absolute, "" on metal. The values hold the proxy's password.
std::map<std::string, std::string> OutsideEnvironment(const v1::System& system,
                                                      const std::string& root);

// The file kAuthorities: `image` is the text of the image's own.
std::string AuthoritiesText(const v1::System& system, absl::string_view image);

}  // namespace basalt::fetch
