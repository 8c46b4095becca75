#include "client/output/external_diff.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "client/context/files.h"

extern char** environ;

namespace basalt::client {
namespace {

absl::Status Failed(const std::string& command, absl::string_view what) {
  return api::Coded(absl::StatusCode::kUnavailable, "external-diff-failed",
                    absl::StrCat(command, ": ", what), "it comes from NODECTL_EXTERNAL_DIFF");
}

}  // namespace

std::string ExternalDiffCommand() {
  const char* command = getenv("NODECTL_EXTERNAL_DIFF");
  return command == nullptr ? "" : command;
}

absl::StatusOr<int> RunExternalDiff(Io& io, const std::string& command,
                                    const std::vector<Compared>& files) {
  const char* tmp = getenv("TMPDIR");
  std::string root = JoinPath(tmp == nullptr || *tmp == '\0' ? "/tmp" : tmp, "nodectl-diff.XXXXXX");
  if (mkdtemp(root.data()) == nullptr) return Failed(command, strerror(errno));
  auto remove = absl::MakeCleanup([&root] {
    std::error_code ignored;
    std::filesystem::remove_all(root, ignored);
  });
  const std::string before = JoinPath(root, "before"), after = JoinPath(root, "after");
  for (const std::string& directory : {before, after}) {
    if (absl::Status s = MakeDirectory(directory, 0700); !s.ok()) return s;
  }
  for (const Compared& file : files) {
    for (const auto& [directory, text] : {std::pair(before, file.before), {after, file.after}}) {
      if (text.empty()) continue;
      absl::Status s = WriteNewFile(JoinPath(directory, file.name), text, 0600);
      if (!s.ok()) return s;
    }
  }
  std::vector<std::string> words = absl::StrSplit(command, ' ', absl::SkipEmpty());
  if (words.empty()) return Failed(command, "names no program");
  words.push_back(before);
  words.push_back(after);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  io.out.flush();
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], nullptr, nullptr, argv.data(), environ);
  if (error != 0) return Failed(command, strerror(error));
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status)) return Failed(command, "was killed");
  if (WEXITSTATUS(status) > 1) {
    return Failed(command, absl::StrCat("exit code ", WEXITSTATUS(status)));
  }
  return WEXITSTATUS(status);
}

}  // namespace basalt::client
