// Runs the real noded-init with relay_noded as its noded, and hands the test the supervisor channel
// of each noded that starts. All waits are on descriptors, with one generous deadline against a
// hang.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/host/fd.h"
#include "server/host/supervisor.h"

namespace basalt::testing {

// One noded: its pid, its channel, and the connection that keeps it alive.
struct RelayedNoded {
  pid_t pid = 0;
  host::UniqueFd channel;
  host::UniqueFd connection;
};

class RealInit {
 public:
  enum class As {
    kSubreaper,
    kPid1,  // of pid, mount, network, UTS and IPC namespaces, on a root of its own
  };
  explicit RealInit(const std::vector<std::string>& options = {}, As as = As::kSubreaper);
  ~RealInit();  // kills and reaps what is left
  RealInit(const RealInit&) = delete;
  RealInit& operator=(const RealInit&) = delete;

  bool running() const { return pid_ > 0; }  // false: no namespaces here, see why()
  const std::string& why() const { return why_; }
  pid_t pid() const { return pid_; }
  RelayedNoded AwaitNoded();  // the next one that starts
  void Signal(int signal);
  int AwaitExit();  // its wait status

  // A spec of remote_service named `name`, with its command socket at descriptor 3. Say() talks to
  // it; the socket outlives restarts, as the service's descriptors do.
  host::ServiceSpec Remote(const std::string& name);
  // Sends a command; returns the answer, "" when the command ends the service.
  std::string Say(const std::string& name, const std::string& command, bool answers = true);

 private:
  void StartSubreaper(const std::vector<std::string>& options);
  void StartPid1(const std::vector<std::string>& options);

  std::string directory_;
  std::string why_;
  host::UniqueFd listener_;
  pid_t pid_ = 0;
  std::map<std::string, host::UniqueFd> remotes_;
};

// Waits until `fd` is readable; fails the test after 30 s.
bool AwaitReadable(int fd);
// The first event after `*seq` of that kind and name; moves *seq to it. Waits on the channel.
host::ServiceEvent AwaitEvent(host::Supervisor& supervisor, uint64_t* seq,
                              host::ServiceEvent::Kind kind, const std::string& name);

}  // namespace basalt::testing
