#include "server/controllers/storage/tools.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/engine/one_shot.h"

namespace basalt::storage {
namespace {

class SupervisedTools : public Tools {
 public:
  SupervisedTools(engine::Executor& executor, host::Supervisor& supervisor)
      : one_shot_(executor, supervisor, "storage-tool") {}

  void Run(std::vector<std::string> argv, absl::Duration limit, Done done) override {
    auto program = std::make_shared<host::UniqueFd>(open(argv[0].c_str(), O_PATH | O_CLOEXEC));
    if (!program->valid()) {
      return done(absl::NotFoundError(absl::StrCat(argv[0], ": ", strerror(errno))));
    }
    engine::OneShotCommand command;
    command.program = std::move(program);
    command.argv = std::move(argv);
    command.env = {"PATH=/usr/sbin:/usr/bin", "HOME=/", "LC_ALL=C"};
    one_shot_.Run(std::move(command), limit,
                  [done = std::move(done)](absl::StatusOr<engine::OneShotResult> result) {
                    if (!result.ok()) return done(result.status());
                    done(ToolResult{result->signal != 0 ? 128 + result->signal : result->exit_code,
                                    std::move(result->output)});
                  });
  }
  void OnServiceEvent(const host::ServiceEvent& event) override { one_shot_.OnServiceEvent(event); }

 private:
  engine::OneShot one_shot_;
};

}  // namespace

std::unique_ptr<Tools> MakeTools(engine::Executor& executor, host::Supervisor& supervisor) {
  return std::make_unique<SupervisedTools>(executor, supervisor);
}

}  // namespace basalt::storage
