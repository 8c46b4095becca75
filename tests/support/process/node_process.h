// A node as it ships: `noded serve` under noded-init, on an address of its own in 127/8, with the
// double as its K3s, below a directory that goes away with the object. What it started it ends.
// One thread at a time, except Connect().
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/fleet/apply_session.h"
#include "client/fleet/node_client.h"
#include "server/host/fd.h"
#include "tests/support/process/owner.h"

namespace basalt::testing {

struct NodeOptions {
  std::vector<std::string> environment;  // "NAME=value", on top of our own; reaches noded
  std::vector<std::string> arguments;    // more for `noded serve`
  std::string trust_json;                // default: the owner's
  std::string directory;                 // default: one made below /tmp and removed at the end
};

class NodeProcess {
 public:
  explicit NodeProcess(const Owner& owner, NodeOptions options = {});
  ~NodeProcess();  // Stop, then the directory goes, and with it what the double left running

  // Starts it and waits until it listens. Again after Stop. What noded said, when it does not.
  absl::Status Start();
  // SIGTERM to noded-init, and waits for its end; kills it when it takes too long. Exit status as
  // waitpid has it.
  int Stop();

  // The end of the present noded, and the next one that listens.
  host::UniqueFd Noded() const;
  pid_t noded_pid() const;
  void KillNoded(int signal = 9);
  // A noded other than the one with this pid serves.
  bool AwaitNoded(pid_t other_than);

  absl::StatusOr<std::unique_ptr<client::NodeClient>> Connect() const;
  // To its end, coming back over a new connection where the node asks for it. `on_event` sees each.
  absl::StatusOr<v1::ApplyEvent> Apply(
      const v1::SignedDocument& document,
      const std::function<void(const v1::ApplyEvent&)>& on_event = nullptr,
      absl::Duration patience = absl::Seconds(120));
  // A config of this node; `config.machine_id` is filled in.
  absl::StatusOr<v1::ApplyEvent> Apply(NodeConfig config);
  v1::SignedDocument Sign(NodeConfig config) const;

  absl::StatusOr<v1::ConfigStatus> Config() const;
  absl::StatusOr<v1::K3sStatus> K3s() const;
  absl::StatusOr<v1::Service> Service(const std::string& name) const;
  // Until no apply is pending; the status then.
  absl::StatusOr<v1::ConfigStatus> AwaitSettled(absl::Duration patience = absl::Seconds(60)) const;

  pid_t init_pid() const { return init_pid_; }
  const std::string& dir() const { return dir_; }
  std::string Path(const std::string& relative) const { return dir_ + "/" + relative; }
  const std::string& address() const { return address_; }
  std::string endpoint() const;
  std::string fingerprint() const;
  std::string Log() const;  // of noded and noded-init, all lives
  // Pids of processes that run from below this node's K3s data directory.
  std::vector<pid_t> K3sProcesses() const;

 private:
  const Owner& owner_;
  NodeOptions options_;
  std::string dir_;
  bool own_dir_ = false;
  std::string address_;
  pid_t init_pid_ = 0;
  host::UniqueFd init_;
};

struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;
};
// Runs a program to its end, at most `patience`.
Ran RunProgram(const std::vector<std::string>& argv,
               const std::vector<std::string>& environment = {},
               absl::Duration patience = absl::Seconds(120));

}  // namespace basalt::testing
