// The verbs about the disks of a node: reset, wipe, install. As commands.h has the others.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/commands/commands.h"

namespace basalt::client {

struct ResetOptions {
  OrderOptions order;
  bool state = false;
  bool data = false;
  bool all = false;
  bool forget_trust = false;
  bool graceful = true;
  std::string method;  // fast, zero, discard, crypto-erase; "": fast
  bool reboot = false;
  bool power_off = false;
  bool no_wait = false;
  absl::Duration timeout = absl::Minutes(15);
};
absl::StatusOr<int> RunReset(Session& session, const ResetOptions& options);

struct WipeOptions {
  OrderOptions order;
  std::string disk;    // a selector: "serial=S64D", "type=nvme,minSize=100G", "/dev/sdb"
  std::string volume;  // or a volume
  std::string method;
  bool no_wait = false;
  absl::Duration timeout = absl::Hours(12);
};
absl::StatusOr<int> RunWipe(Session& session, const WipeOptions& options);

struct InstallOptions {
  std::string disk;  // a selector
  bool wipe = false;
  std::string file;  // the source; empty: that of apply.node
  ApplyOptions apply;
};
absl::StatusOr<int> RunInstall(Session& session, const InstallOptions& options);

class Parser;
void AddDiskVerbs(Parser& p);

}  // namespace basalt::client
