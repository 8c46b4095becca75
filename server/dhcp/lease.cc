#include "server/dhcp/lease.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace basalt::dhcp {
namespace {

constexpr size_t kMostServers = 3;  // MAXNS of resolv.conf(5)
constexpr size_t kMostSearch = 6;
constexpr size_t kMostTime = 4;
constexpr size_t kMostName = 253;

bool IsAddress(const std::string& text) {
  if (text.find('\0') != std::string::npos) return false;  // inet_pton would stop there
  in6_addr unused;
  return inet_pton(AF_INET, text.c_str(), &unused) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &unused) == 1;
}

bool IsDomain(absl::string_view text) {
  if (text.empty() || text.size() > kMostName || text[0] == '-' || text[0] == '.') return false;
  if (IsAddress(std::string(text))) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
  });
}

bool IsInterface(absl::string_view text) {
  if (text.empty() || text.size() >= IF_NAMESIZE || text[0] == '.') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
  });
}

std::string Value(const Environment& environment, const std::string& name) {
  auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

void AddServers(absl::string_view words, std::vector<std::string>* servers,
                size_t most = kMostServers) {
  for (absl::string_view word : absl::StrSplit(words, ' ', absl::SkipEmpty())) {
    const std::string address(word);
    if (servers->size() == most || !IsAddress(address)) continue;
    if (std::find(servers->begin(), servers->end(), address) == servers->end()) {
      servers->push_back(address);
    }
  }
}

void AddSearch(absl::string_view words, std::vector<std::string>* search) {
  for (absl::string_view word : absl::StrSplit(words, ' ', absl::SkipEmpty())) {
    const std::string domain(word);
    if (search->size() == kMostSearch || !IsDomain(domain)) continue;
    if (std::find(search->begin(), search->end(), domain) == search->end()) {
      search->push_back(domain);
    }
  }
}

}  // namespace

bool IsVersion6(const Environment& environment) {
  return absl::EndsWith(Value(environment, "reason"), "6");
}

bool IsLeaseFile(absl::string_view name) {
  return absl::EndsWith(name, ".lease") || absl::EndsWith(name, ".lease6");
}

Change ChangeOf(const Environment& environment) {
  std::string reason = Value(environment, "reason");
  if (IsVersion6(environment)) reason.pop_back();
  for (const char* bound : {"BOUND", "RENEW", "REBIND", "REBOOT", "INFORM", "STATIC"}) {
    if (reason == bound) return Change::kBound;
  }
  for (const char* gone :
       {"EXPIRE", "FAIL", "NAK", "NOCARRIER", "RELEASE", "STOP", "STOPPED", "DEPARTED"}) {
    if (reason == gone) return Change::kGone;
  }
  return Change::kNone;
}

Lease LeaseOf(const Environment& environment) {
  Lease lease;
  const std::string interface = Value(environment, "interface");
  if (IsInterface(interface)) lease.interface = interface;
  AddServers(Value(environment, "new_domain_name_servers"), &lease.servers);
  AddSearch(Value(environment, "new_domain_search"), &lease.search);
  AddSearch(Value(environment, "new_domain_name"), &lease.search);
  AddServers(Value(environment, "new_ntp_servers"), &lease.time, kMostTime);
  // Of DHCPv6.
  AddServers(Value(environment, "new_dhcp6_name_servers"), &lease.servers);
  AddSearch(Value(environment, "new_dhcp6_domain_search"), &lease.search);
  AddServers(Value(environment, "new_dhcp6_sntp_servers"), &lease.time, kMostTime);
  return lease;
}

std::string ToText(const Lease& lease) {
  return absl::StrCat(
      "interface ", lease.interface, "\nservers ", absl::StrJoin(lease.servers, " "), "\nsearch ",
      absl::StrJoin(lease.search, " "), "\ntime ", absl::StrJoin(lease.time, " "), "\n");
}

Lease FromText(absl::string_view text) {
  Lease lease;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> word =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    if (word.first == "interface" && IsInterface(word.second)) {
      lease.interface = std::string(word.second);
    }
    if (word.first == "servers") AddServers(word.second, &lease.servers);
    if (word.first == "search") AddSearch(word.second, &lease.search);
    if (word.first == "time") AddServers(word.second, &lease.time, kMostTime);
  }
  return lease;
}

std::string ResolvConf(const std::vector<Lease>& leases) {
  Lease all;
  for (const Lease& lease : leases) {
    AddServers(absl::StrJoin(lease.servers, " "), &all.servers);
    AddSearch(absl::StrJoin(lease.search, " "), &all.search);
  }
  std::string text = "# by noded: the machine config's, then those of leases\n";
  if (!all.search.empty()) absl::StrAppend(&text, "search ", absl::StrJoin(all.search, " "), "\n");
  for (const std::string& server : all.servers) absl::StrAppend(&text, "nameserver ", server, "\n");
  return text;
}

}  // namespace basalt::dhcp
