// One request and its reply over the supervisor channel, and the wake packets in between. Loop
// thread only.
//
// Invariant: a wake-up is never lost. A wake packet that arrives while a reply is awaited is kept
// in an eventfd, so the loop sees it on its next turn; event_fd() is an epoll descriptor over both.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/host/fd.h"
#include "server/init/protocol.h"

namespace basalt::host {

class SupervisorChannel {
 public:
  static constexpr absl::Duration kDeadline = absl::Seconds(2);

  struct Reply {
    int error = 0;  // an errno, as noded-init answered
    uint32_t count = 0;
    std::string body;  // its length is checked by the caller against the op
    UniqueFd fd;
  };

  // Internal when an eventfd or epoll cannot be made.
  static absl::StatusOr<std::unique_ptr<SupervisorChannel>> Open(UniqueFd fd);

  // Unavailable "supervisor-gone" (noded-init ended; final) or "supervisor-timeout" (2 s; may be
  // tried again, a late reply is dropped); DataLoss "supervisor-protocol" for a malformed reply.
  absl::StatusOr<Reply> Call(init::Op op, absl::string_view body, const std::vector<int>& fds = {});
  int event_fd() const { return epoll_.get(); }
  void DrainWakeups();

 private:
  SupervisorChannel() = default;
  // The next packet that is not a wake. NotFound: nothing waits.
  absl::StatusOr<Reply> Receive(init::Header* header);
  absl::Status Wait(short events, absl::Duration until);
  absl::Status Gone();
  void KeepWake();

  UniqueFd channel_;
  UniqueFd kept_;   // eventfd: wakes seen while waiting for a reply
  UniqueFd epoll_;  // of both
  uint32_t seq_ = 0;
};

}  // namespace basalt::host
