#include "server/controllers/system/chrony.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/format/net.h"

namespace basalt::system {
namespace {

constexpr size_t kMostLeased = 8;  // of all leases

}  // namespace

std::vector<std::string> TimeSources::Names() const {
  std::vector<std::string> names;
  for (const v1::TimeServer& server : servers) {
    names.push_back(absl::StrCat(server.address(), server.nts() ? " (NTS)" : ""));
  }
  return names;
}

TimeSources SourcesOf(const v1::TimeSync& time, const std::vector<std::string>& dhcp) {
  TimeSources sources;
  sources.servers.assign(time.servers().begin(), time.servers().end());
  std::vector<std::string> rest = sources.servers.empty() ? dhcp : std::vector<std::string>{};
  if (sources.servers.empty() && rest.empty()) {
    for (int i = 0; i < 4; ++i) rest.push_back(absl::StrCat(i, ".pool.ntp.org"));
  }
  for (const std::string& address : rest) {
    if (sources.servers.size() == kMostLeased) break;
    v1::TimeServer& server = sources.servers.emplace_back();
    server.set_address(address);
  }
  sources.authenticated = std::any_of(sources.servers.begin(), sources.servers.end(),
                                      [](const v1::TimeServer& server) { return server.nts(); });
  return sources;
}

std::vector<std::string> LeasedServers(absl::string_view lease) {
  std::vector<std::string> servers;
  for (absl::string_view line : absl::StrSplit(lease, '\n')) {
    if (!absl::ConsumePrefix(&line, "time ")) continue;
    for (absl::string_view word : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
      if (servers.size() < kMostLeased && format::ParseIp(word).ok()) servers.emplace_back(word);
    }
  }
  return servers;
}

std::string RenderChrony(const TimeSources& sources, const std::string& run_directory,
                         const std::string& authorities) {
  std::string text = "# Written by noded from system.time.\n";
  for (const v1::TimeServer& server : sources.servers) {
    absl::StrAppend(&text, "server ", server.address(), " iburst", server.nts() ? " nts" : "",
                    "\n");
  }
  const bool all_prove = std::all_of(sources.servers.begin(), sources.servers.end(),
                                     [](const v1::TimeServer& server) { return server.nts(); });
  absl::StrAppend(
      &text,
      // Where some prove who they are, time that they do not agree with is not taken.
      "authselectmode ", all_prove ? "require" : "mix", "\n",
      // One that lies is outvoted where there are enough to vote.
      "minsources ", sources.servers.size() >= 3 ? 2 : 1, "\n",
      // Far off only right after the start; later a jump of an hour is a lie, and is not believed.
      "makestep 1 3\n"
      "maxchange 3600 3 -1\n"
      // Says to the kernel that the clock is kept: noded reads it there.
      "rtcsync\n"
      "cmdport 0\n"
      "bindcmdaddress /\n"
      "user _chrony\n",
      // This line makes the directory, and gives it to that user.
      "ntsdumpdir ", run_directory, "\n", "pidfile ", run_directory, "/chronyd.pid\n", "driftfile ",
      run_directory, "/drift\n");
  if (sources.authenticated) {
    absl::StrAppend(&text, "nosystemcert\nntstrustedcerts ", authorities, "\n",
                    // A clock that starts wrong cannot judge whether a certificate has begun.
                    "nocerttimecheck 1\n");
  }
  return text;
}

host::ServiceSpec ChronyService(const std::string& config_path, const std::string& config) {
  host::ServiceSpec spec;
  spec.name = kTimeService;
  spec.tag = Sha256(config).Hex();
  spec.argv = {"chronyd", "-d", "-F", "1", "-f", config_path};
  spec.env = {"PATH=/usr/sbin:/usr/bin"};
  spec.cgroup = kTimeService;
  spec.nofile = 256;
  spec.restart = {.always = true,
                  .delay = absl::Seconds(2),
                  .max_delay = absl::Minutes(2),
                  .rapid = absl::Seconds(30)};
  spec.stop_grace = absl::Seconds(5);
  return spec;
}

}  // namespace basalt::system
