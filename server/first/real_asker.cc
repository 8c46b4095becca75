// Asks by noded-fetch: other people's servers stay out of noded.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/engine/one_shot.h"
#include "server/first/real_first.h"

namespace basalt::first {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(60);
constexpr int kStallSeconds = 10;

class RealAsker : public OneShotAsker {
 public:
  RealAsker(engine::Executor& executor, host::Supervisor& supervisor, std::string program)
      : one_shot_(executor, supervisor, "first-config"),
        executor_(executor),
        program_(std::move(program)) {}

  void Ask(const Question& question, std::function<void(Answer)> done) override {
    auto program = std::make_shared<host::UniqueFd>(open(program_.c_str(), O_RDONLY | O_CLOEXEC));
    auto file = std::make_shared<host::UniqueFd>(memfd_create("first-config", MFD_CLOEXEC));
    if (!program->valid() || !file->valid()) {
      const std::string why = absl::StrCat(program_, ": ", std::strerror(errno));
      executor_.Post([done, why] { done({.why = why}); });
      return;
    }
    engine::OneShotCommand command;
    command.program = std::move(program);
    command.argv = fetch::ToArgv(
        {.limit = kMostBytes, .stall_seconds = kStallSeconds, .urls = {question.url}});
    command.env = fetch::ToEnvironment(question.asking);
    command.env.push_back("PATH=/usr/bin:/bin");
    command.fds = {file};
    one_shot_.Run(std::move(command), kLimit,
                  [file, done](absl::StatusOr<engine::OneShotResult> result) {
                    done(AnswerOf(result, file->get()));
                  });
  }
  void OnServiceEvent(const host::ServiceEvent& event) override { one_shot_.OnServiceEvent(event); }

 private:
  static Answer AnswerOf(const absl::StatusOr<engine::OneShotResult>& result, int file) {
    if (!result.ok()) return {.why = std::string(result.status().message())};
    Answer answer{.status = fetch::HttpStatus(result->output)};
    if (result->exit_code != 0 || result->signal != 0) {
      answer.why = fetch::LastError(result->output);
      if (answer.why.empty()) answer.why = "noded-fetch ended without a word";
      return answer;
    }
    answer.body.resize(kMostBytes);
    size_t size = 0;
    while (size < answer.body.size()) {
      const ssize_t n = pread(file, answer.body.data() + size, answer.body.size() - size,
                              static_cast<off_t>(size));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      size += static_cast<size_t>(n);
    }
    answer.body.resize(size);
    return answer;
  }

  engine::OneShot one_shot_;
  engine::Executor& executor_;
  const std::string program_;
};

}  // namespace

std::unique_ptr<OneShotAsker> MakeAsker(engine::Executor& executor, host::Supervisor& supervisor,
                                        const std::string& fetch_program) {
  return std::make_unique<RealAsker>(executor, supervisor, fetch_program);
}

}  // namespace basalt::first
