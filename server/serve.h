// Builds the graph of a node and runs its loop: the one place that knows every part.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "server/options.h"

namespace basalt {

// Was this process started by noded-init (it left the channel's descriptor in
// BASALT_SUPERVISOR_FD)?
bool UnderSupervisor();

// Replaces this process by noded-init, which starts `program` again. Returns on failure only.
absl::Status BecomeSupervisor(const std::string& program, const ServeOptions& options);

// Until SIGTERM. Errors at the start are the user's to mend: reasons node-in-use, bad-root,
// no-trust, shared-namespaces, trust-damaged, listen-failed.
absl::Status Serve(const ServeOptions& options);

}  // namespace basalt
