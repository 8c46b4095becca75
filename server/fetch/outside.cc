#include "server/fetch/outside.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace basalt::fetch {
namespace {

// Of user information in a URL: everything but what RFC 3986 calls unreserved.
std::string Escape(absl::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const unsigned char c : text) {
    if (absl::ascii_isalnum(c) || absl::StrContains("-._~", static_cast<char>(c))) {
      out.push_back(static_cast<char>(c));
    } else {
      out.push_back('%');
      out.push_back(kHex[c >> 4]);
      out.push_back(kHex[c & 15]);
    }
  }
  return out;
}

std::string WithUser(const std::string& url, const v1::Proxy& proxy) {
  const size_t scheme = url.find("://");
  if (!proxy.has_username() || scheme == std::string::npos) return url;
  return absl::StrCat(url.substr(0, scheme + 3), Escape(proxy.username()), ":",
                      Escape(proxy.password().plain()), "@", url.substr(scheme + 3));
}

}  // namespace

std::map<std::string, std::string> OutsideEnvironment(const v1::System& system,
                                                      const std::string& root) {
  std::map<std::string, std::string> environment;
  const v1::Proxy& proxy = system.proxy();
  if (proxy.has_http()) environment["HTTP_PROXY"] = WithUser(proxy.http(), proxy);
  if (proxy.has_https()) environment["HTTPS_PROXY"] = WithUser(proxy.https(), proxy);
  if (!environment.empty()) {
    std::string exempt = absl::StrJoin(proxy.no_proxy(), ",");
    // This machine is never reached by way of another.
    environment["NO_PROXY"] =
        absl::StrCat("localhost,127.0.0.0/8,::1", exempt.empty() ? "" : ",", exempt);
  }
  if (system.ca_certificates_size() > 0) {
    environment["SSL_CERT_FILE"] = absl::StrCat(root, "/", kAuthorities);
  }
  return environment;
}

std::string AuthoritiesText(const v1::System& system, absl::string_view image) {
  std::string text(image);
  for (const v1::CaCertificate& authority : system.ca_certificates()) {
    if (!text.empty() && text.back() != '\n') text.push_back('\n');
    absl::StrAppend(&text, authority.certificate());
  }
  if (!text.empty() && text.back() != '\n') text.push_back('\n');
  return text;
}

}  // namespace basalt::fetch
