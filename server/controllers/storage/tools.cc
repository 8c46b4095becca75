#include "server/controllers/storage/tools.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/engine/one_shot.h"

namespace basalt::storage {
namespace {

// A descriptor that a program reads the secret from; invalid when there is no memory.
std::shared_ptr<host::UniqueFd> InMemory(std::string secret) {
  auto fd = std::make_shared<host::UniqueFd>(memfd_create("secret", MFD_CLOEXEC));
  const bool written =
      fd->valid() &&
      write(fd->get(), secret.data(), secret.size()) == static_cast<ssize_t>(secret.size()) &&
      lseek(fd->get(), 0, SEEK_SET) == 0;
  explicit_bzero(secret.data(), secret.size());
  return written ? fd : std::make_shared<host::UniqueFd>(-1);
}

class SupervisedTools : public Tools {
 public:
  SupervisedTools(engine::Executor& executor, host::Supervisor& supervisor)
      : one_shot_(executor, supervisor, "storage-tool") {}

  void Run(std::vector<std::string> argv, std::string secret, absl::Duration limit,
           Done done) override {
    auto program = std::make_shared<host::UniqueFd>(open(argv[0].c_str(), O_PATH | O_CLOEXEC));
    if (!program->valid()) {
      return done(absl::NotFoundError(absl::StrCat(argv[0], ": ", strerror(errno))));
    }
    engine::OneShotCommand command;
    command.program = std::move(program);
    command.argv = std::move(argv);
    if (!secret.empty()) {
      command.fds.push_back(InMemory(std::move(secret)));
      if (!command.fds[0]->valid()) return done(absl::ResourceExhaustedError("no memory"));
    }
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
