// Programs of e2fsprogs and noded-unlock, run to their end. One at a time; on the loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/engine/executor.h"
#include "server/host/supervisor.h"

namespace basalt::storage {

struct ToolResult {
  int exit_code = 0;  // 128 + signal when one ended it
  std::string output;
};

class Tools {
 public:
  using Done = std::function<void(absl::StatusOr<ToolResult>)>;
  virtual ~Tools() = default;
  // argv[0] is an absolute path. `secret`: what the program reads from descriptor 3, "" for none;
  // it is overwritten here. NotFound: the image has no such program; DeadlineExceeded.
  virtual void Run(std::vector<std::string> argv, std::string secret, absl::Duration limit,
                   Done done) = 0;
  virtual void OnServiceEvent(const host::ServiceEvent& event) = 0;
};

std::unique_ptr<Tools> MakeTools(engine::Executor& executor, host::Supervisor& supervisor);

}  // namespace basalt::storage
