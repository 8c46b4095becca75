#include "server/metal.h"

#include <poll.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt {
namespace {

constexpr int kFeedMs = 10000;

}  // namespace

absl::StatusOr<host::BootStatus> AskPid1(host::Supervisor& supervisor, bool container) {
  absl::StatusOr<host::BootStatus> boot = supervisor.Boot();
  if (!boot.ok()) return api::Reason(boot.status()) != "not-pid1" ? boot : NotBelowPid1();
  if (boot->owns_kernel && container) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "not-a-container",
                      "--platform container: noded-init is PID 1 of the machine itself",
                      "--platform metal");
  }
  if (!boot->owns_kernel && !container) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "not-a-machine",
                      "--platform metal: this is a container, and the kernel is somebody else's",
                      "--platform container");
  }
  return boot;
}

absl::Status NotBelowPid1() {
  return api::Coded(absl::StatusCode::kFailedPrecondition, "not-pid1",
                    "--platform metal and container: noded-init is not PID 1 here",
                    "they are for the node image; elsewhere --platform sandbox");
}

absl::Status WaitWithoutState(host::Supervisor& supervisor, const host::BootStatus& boot,
                              int termination_fd) {
  std::fprintf(stderr,
               "noded: this node cannot start: STATE: %s [state-missing]\n"
               "  It keeps the node's identity, trust and config; none of them is made anew.\n"
               "  Nothing is served until STATE is there again.\n",
               boot.state_reason.c_str());
  pollfd ended = {.fd = termination_fd, .events = POLLIN, .revents = 0};
  while (poll(&ended, 1, kFeedMs) == 0) {
    absl::Status fed = supervisor.Feed();
    if (api::Reason(fed) == "supervisor-gone") return fed;
  }
  return absl::OkStatus();
}

void BootHealth::Look() {
  const std::vector<engine::Condition> conditions = conditions_();
  const bool healthy =
      !boot_.data_missing && std::all_of(conditions.begin(), conditions.end(),
                                         [](const engine::Condition& c) { return c.holds; });
  if (boot_.entry == host::BootStatus::Entry::kTrial && !healthy) {
    executor_.After(kLookEvery, [this] { Look(); });
    return;
  }
  absl::Status said = supervisor_.Healthy();
  if (said.ok()) return;
  std::fprintf(stderr, "noded: %s [%s]\n", std::string(said.message()).c_str(),
               api::Reason(said).c_str());
  // A full or failing ESP may be mended while there is time; an entry that is not ours stays so.
  if (boot_.entry == host::BootStatus::Entry::kTrial) {
    executor_.After(10 * kLookEvery, [this] { Look(); });
  }
}

}  // namespace basalt
