// Mirrors of registries and how to log in to them.
#include <re2/re2.h>

#include <string>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/validate/k3s_rules.h"

namespace basalt::validate {
namespace {

// "*" among the mirrors came late and was ported back.
bool KnowsAnyMirror(const format::K3sVersion& version) {
  constexpr std::pair<int, int> kPorts[] = {{26, 15}, {27, 12}, {28, 8}, {29, 3}};
  for (const auto& [minor, patch] : kPorts) {
    if (version.minor == minor) return version.patch >= patch;
  }
  return version.minor > 29;
}

void CheckRewrite(const v1::RegistryRewrite& rewrite, const std::string& path, Report& report) {
  // K3s is written in Go, whose regular expressions are those of RE2.
  const RE2 pattern(rewrite.match(), RE2::Quiet);
  if (!pattern.ok()) {
    report.Error(schema::Child(path, "match"), "bad-format",
                 absl::StrCat("not a regular expression (RE2): ", pattern.error()));
    return;
  }
  static const RE2* const kGroup = new RE2("\\$\\{?([0-9]+)");
  absl::string_view rest = rewrite.replace();
  re2::StringPiece input(rest.data(), rest.size());
  int group = 0;
  while (RE2::FindAndConsume(&input, *kGroup, &group)) {
    if (group <= pattern.NumberOfCapturingGroups()) continue;
    report.Error(schema::Child(path, "replace"), "bad-format",
                 absl::StrCat("names group $", group, ", and the match has ",
                              pattern.NumberOfCapturingGroups()),
                 "put ( ) around the part of the match that is meant");
    return;
  }
}

void CheckMirror(const v1::RegistryMirror& mirror, const K3sFacts& facts, Report& report) {
  const std::string path = schema::Element("k3s.registries.mirrors", mirror.name());
  if (mirror.name() == "*" && facts.version && !KnowsAnyMirror(*facts.version)) {
    report.Error(schema::Child(path, "name"), "wrong-k3s-version",
                 absl::StrCat("K3s knows mirrors of all registries from v1.26.15, v1.27.12, "
                              "v1.28.8, v1.29.3 on; this is ",
                              facts.k3s.version()),
                 "name each registry, or pin a newer release");
  }
  for (absl::string_view alias :
       {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"}) {
    if (mirror.name() != alias) continue;
    report.Warning(schema::Child(path, "name"), "likely-mistake",
                   "images of Docker Hub are known under docker.io", "write name: docker.io");
  }
  if (mirror.endpoints().empty() && mirror.rewrites_size() > 0) {
    report.Warning(schema::Child(path, "rewrites"), "ignored",
                   "rewrites count at mirrors, and there are none", "write `endpoints`");
  } else if (mirror.endpoints().empty() && facts.server && !facts.On("embedded-registry")) {
    report.Warning(path, "ignored",
                   "without endpoints it has a meaning with embedded-registry alone",
                   "write `endpoints`, or k3s.config: {embedded-registry: true}");
  }
  for (const v1::RegistryRewrite& rewrite : mirror.rewrites()) {
    CheckRewrite(rewrite, absl::StrCat(path, ".", schema::Element("rewrites", rewrite.match())),
                 report);
  }
}

void CheckConfig(const v1::RegistryConfig& config, Report& report) {
  const std::string path = schema::Element("k3s.registries.configs", config.name());
  if (config.has_certificate() != Present(config.key())) {
    report.Error(schema::Child(path, config.has_certificate() ? "key" : "certificate"), "required",
                 "a client certificate needs its key, and the key its certificate");
  }
  if (config.has_username() != Present(config.password())) {
    report.Error(schema::Child(path, config.has_username() ? "password" : "username"), "required",
                 "user name and password go together");
  }
  if (Present(config.token()) && (config.has_username() || Present(config.password()))) {
    report.Error(schema::Child(path, "token"), "conflict",
                 "a token stands instead of user name and password", "keep one of the two");
  }
  if (config.insecure_skip_verify()) {
    report.Warning(schema::Child(path, "insecureSkipVerify"), "insecure",
                   "the certificate of the registry is not checked",
                   config.has_ca() ? "remove it: `ca` is enough" : "write its authority as `ca`");
  }
}

// Where credentials of a registry go without TLS.
void CheckPlainText(const v1::K3sRegistries& registries, Report& report) {
  for (const v1::RegistryMirror& mirror : registries.mirrors()) {
    for (int i = 0; i < mirror.endpoints_size(); ++i) {
      const auto url = format::ParseUrl(mirror.endpoints(i));
      if (!url.ok() || url->scheme != "http") continue;
      const std::string host = url->port == 0 ? url->host : absl::StrCat(url->host, ":", url->port);
      for (const v1::RegistryConfig& config : registries.configs()) {
        if (config.name() != host && config.name() != url->host && config.name() != "*") continue;
        if (!Present(config.password()) && !Present(config.token())) continue;
        report.Warning(
            schema::Element(schema::Child(schema::Element("k3s.registries.mirrors", mirror.name()),
                                          "endpoints"),
                            i),
            "insecure",
            absl::StrCat("the credentials of `", config.name(), "` go there without TLS"),
            "write https://");
      }
    }
  }
}

}  // namespace

void CheckK3sRegistries(const K3sFacts& facts, Report& report) {
  const v1::K3sRegistries& registries = facts.k3s.registries();
  for (const v1::RegistryMirror& mirror : registries.mirrors()) CheckMirror(mirror, facts, report);
  for (const v1::RegistryConfig& config : registries.configs()) CheckConfig(config, report);
  CheckPlainText(registries, report);
}

}  // namespace basalt::validate
