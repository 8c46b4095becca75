// Values of k3s.config: what K3s would refuse at its start, in a loop, is refused here.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "machineconfig/format/format.h"
#include "machineconfig/schema/fields.h"
#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/validate/k3s_rules.h"
#include "machineconfig/yaml/flow.h"

namespace basalt::validate {
namespace {

using schema::K3sKey;
using schema::K3sKeyFormat;
using schema::K3sKeyOwner;
using schema::K3sKeyType;
using schema::K3sValue;

bool Printable(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), absl::ascii_isgraph);
}

bool IsRegistry(absl::string_view text) {
  if (text.empty() || !Printable(text) || absl::StrContains(text, "://")) return false;
  const absl::string_view host = text.substr(0, text.find('/'));
  return !host.empty() && host.find_first_of("@?#") == absl::string_view::npos;
}

absl::Status Expect(bool ok, absl::string_view message) {
  return ok ? absl::OkStatus() : absl::InvalidArgumentError(message);
}

absl::Status CheckPortRange(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, '-');
  int first = 0;
  int last = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &first) ||
      !absl::SimpleAtoi(parts[1], &last) || first < 1 || last > 65535) {
    return absl::InvalidArgumentError(
        "not a range of ports: FIRST-LAST, both from 1 to 65535, such as 30000-32767");
  }
  return Expect(first <= last, "the range ends before it begins");
}

// "10.42.0.1/16" is what people write for 10.42.0.0/16.
absl::Status CheckCidr(absl::string_view text) {
  const absl::Status status = format::Check(v1::FORMAT_CIDR, text);
  if (status.ok() || absl::StrContains(text, '/')) return status;
  return Expect(!format::ParseIp(text).ok(), "a network needs a prefix, such as 10.42.0.0/16");
}

absl::Status CheckFormat(K3sKeyFormat format, absl::string_view text) {
  switch (format) {
    case K3sKeyFormat::kCidr: {
      const absl::Status status = CheckCidr(text);
      return status.ok() ? format::Check(v1::FORMAT_CIDR, text) : status;
    }
    case K3sKeyFormat::kIp:
      return format::Check(v1::FORMAT_IP, text);
    case K3sKeyFormat::kDnsName:
      return format::Check(v1::FORMAT_DNS_NAME, text);
    case K3sKeyFormat::kDnsLabel:
      return format::Check(v1::FORMAT_HOSTNAME, text);
    case K3sKeyFormat::kDuration:
      return format::Check(v1::FORMAT_DURATION, text);
    case K3sKeyFormat::kFileName:
      return format::Check(v1::FORMAT_FILE_NAME, text);
    case K3sKeyFormat::kPortRange:
      return CheckPortRange(text);
    case K3sKeyFormat::kPath:
      return Expect(absl::StartsWith(text, "/") && Printable(text) &&
                        !absl::StrContains(absl::StrCat(text, "/"), "/../"),
                    "not an absolute path without `..`, such as /var/lib/snapshots");
    case K3sKeyFormat::kInterface:
      return Expect(
          !text.empty() && text.size() <= 15 && Printable(text) && !absl::StrContains(text, '/'),
          "not the name of a network interface: 1 to 15 characters without spaces and "
          "slashes, such as eth0");
    case K3sKeyFormat::kImage:
      return Expect(
          IsRegistry(text) && absl::AsciiStrToLower(text.substr(0, text.find_last_of(":@"))) ==
                                  text.substr(0, text.find_last_of(":@")),
          "not the name of an image: [REGISTRY/]NAME[:TAG] in lower case, without "
          "https://, such as rancher/mirrored-pause:3.6");
    case K3sKeyFormat::kRegistry:
      return Expect(IsRegistry(text),
                    "not a registry: HOST[:PORT][/PATH] without https://, such as "
                    "registry.example.org:5000");
    case K3sKeyFormat::kArgument:  // k3s_arguments.cc
    case K3sKeyFormat::kAny:
      break;
  }
  return absl::OkStatus();
}

std::string Names(const K3sKey& key, const K3sFacts& facts) {
  std::vector<std::string> names;
  for (const K3sValue& value : key.values) {
    if (facts.version && (facts.version->minor < value.since ||
                          (value.until != 0 && facts.version->minor > value.until))) {
      continue;
    }
    names.emplace_back(value.name);
  }
  return absl::StrJoin(names, ", ");
}

void CheckChoice(const K3sKey& key, const Placed& placed, const K3sFacts& facts, Report& report) {
  absl::string_view word = placed.value;
  // v1.22 to v1.26 took options of flannel's backend behind a "=".
  const bool options = key.name == "flannel-backend" && absl::StrContains(word, '=');
  if (options) word = word.substr(0, word.find('='));
  for (const K3sValue& value : key.values) {
    if (value.name != word) continue;
    if (facts.version && value.until != 0 && facts.version->minor > value.until) {
      report.Error(placed.path, "wrong-k3s-version",
                   absl::StrCat("K3s has no `", word, "` after v1.", value.until, "; this is ",
                                facts.k3s.version()),
                   absl::StrCat("use `", value.instead, "`"));
    } else if (options && facts.version && facts.version->minor > 26) {
      report.Error(placed.path, "wrong-k3s-version",
                   "K3s takes no options of the backend here after v1.26",
                   "k3s.config.flannel-conf names a file with them");
    }
    return;
  }
  if (key.name == "disable" || key.name == "no-deploy") return;  // k3s_components.cc
  std::vector<absl::string_view> names;
  for (const K3sValue& value : key.values) names.push_back(value.name);
  const std::string near = schema::Nearest(word, names);
  if (key.open) {
    report.Warning(placed.path, "unusual-value",
                   absl::StrCat("K3s itself has ", absl::StrJoin(names, ", ")),
                   near.empty() ? "" : absl::StrCat("did you mean `", near, "`?"));
    return;
  }
  report.Error(
      placed.path, "not-allowed",
      absl::StrCat(yaml::QuotedText(word.substr(0, 64)), " is not one of ", Names(key, facts)),
      near.empty() ? "" : absl::StrCat("did you mean `", near, "`?"));
}

// At most an IPv4 and an IPv6 one.
void CheckFamilies(const K3sKey& key, const std::vector<Placed>& values, Report& report) {
  if (key.format != K3sKeyFormat::kCidr && key.name != "cluster-dns") return;
  int v4 = 0;
  int v6 = 0;
  for (const Placed& placed : values) {
    const absl::string_view text = placed.value;
    const auto ip = format::ParseIp(text.substr(0, text.find('/')));
    if (!ip.ok()) continue;
    if (++(ip->v6() ? v6 : v4) == 2) {
      report.Error(placed.path, "conflict",
                   absl::StrCat("a second ", ip->v6() ? "IPv6" : "IPv4", " ",
                                key.name == "cluster-dns" ? "address" : "network",
                                "; at most one of each family"),
                   "remove one of the two");
    }
  }
}

void CheckKey(const K3sKey& key, const v1::ConfigValue& value, const K3sFacts& facts,
              Report& report) {
  const std::string path = ConfigPath(key.name);
  if (value.has_integer() && key.type == K3sKeyType::kInt) {
    if (key.max > 0 && (value.integer() < key.min || value.integer() > key.max)) {
      report.Error(path, "out-of-range",
                   absl::StrCat(value.integer(), " is out of range; allowed: from ", key.min,
                                " to ", key.max));
    }
    return;
  }
  if (!value.has_text() && !value.has_list()) return;
  const bool list = key.type == K3sKeyType::kList;
  if (!list && value.has_list()) return;  // a wrong type
  const std::vector<Placed> values =
      list ? facts.Values(key.name) : std::vector<Placed>{{value.text(), path}};
  for (const Placed& placed : values) {
    if (key.format == K3sKeyFormat::kArgument) break;
    if (placed.value.empty()) {
      report.Error(placed.path, "bad-format", "is empty", "remove the key, or write a value");
    } else if (!key.values.empty()) {
      CheckChoice(key, placed, facts, report);
    } else if (const absl::Status status = CheckFormat(key.format, placed.value); !status.ok()) {
      report.Error(placed.path, "bad-format", status.message());
    }
  }
  CheckFamilies(key, values, report);
}

}  // namespace

void CheckK3sValues(const K3sFacts& facts, Report& report) {
  for (const auto& [name, value] : facts.k3s.config()) {
    const K3sKey* key = schema::FindK3sKey(name);
    if (key != nullptr && key->owner == K3sKeyOwner::kUser) CheckKey(*key, value, facts, report);
  }
}

}  // namespace basalt::validate
