// chronyd, as the keeper of the clock: what it is told, and how it is started. Pure, but for the
// descriptor of the program.
//
// It drops from root to its own user with the one right to set the clock, behind its own filter of
// system calls (-F 1), opens no port and no socket of commands; whether the clock is kept is read
// from the kernel (host/wall_clock.h).
#pragma once

#include <string>
#include <vector>

#include "basalt/v1/system.pb.h"
#include "server/host/supervisor.h"

namespace basalt::system {

inline constexpr char kTimeService[] = "time";
inline constexpr char kChronyd[] = "/usr/sbin/chronyd";
inline constexpr char kChronyConfig[] = "run/chrony.conf";

struct TimeSources {
  std::vector<v1::TimeServer> servers;
  bool authenticated = false;              // at least one proves who it is, and then counts
  std::vector<std::string> Names() const;  // "time.example.org (NTS)"
};

// Of the config, else `dhcp` (addresses that a lease named), else the pool's.
TimeSources SourcesOf(const v1::TimeSync& time, const std::vector<std::string>& dhcp);

// What a lease, as noded-dhcp keeps it, names: addresses of its line `time`. Whoever
// answered first on the link chose them.
std::vector<std::string> LeasedServers(absl::string_view lease);

// Absolute paths of this node: its own directory of volatile files, and the authorities that it
// trusts.
std::string RenderChrony(const TimeSources& sources, const std::string& run_directory,
                         const std::string& authorities);

// Without exec_fd. `config`: absolute path of the rendered file; the tag is its content's, so that
// a new noded leaves a service alone that asks whom it should.
host::ServiceSpec ChronyService(const std::string& config_path, const std::string& config);

}  // namespace basalt::system
