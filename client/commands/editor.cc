#include "client/commands/editor.h"

#include <errno.h>
#include <linux/magic.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "client/context/files.h"

extern char** environ;

namespace basalt::client {
namespace {

namespace fs = std::filesystem;

sigset_t SignalsThatEnd() {
  sigset_t out;
  sigemptyset(&out);
  for (int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) sigaddset(&out, signal);
  return out;
}

bool IsTmpfs(const std::string& directory) {
  struct statfs info;
  return statfs(directory.c_str(), &info) == 0 &&
         (info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC) &&
         access(directory.c_str(), W_OK) == 0;
}

bool InPath(const std::string& program) {
  const char* path = getenv("PATH");
  for (std::string rest = path == nullptr ? "" : path; !rest.empty();) {
    const size_t colon = rest.find(':');
    if (access(JoinPath(rest.substr(0, colon), program).c_str(), X_OK) == 0) return true;
    rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
  }
  return false;
}

absl::Status FileError(const std::string& what) {
  return api::Coded(absl::StatusCode::kFailedPrecondition, "file-error",
                    absl::StrCat(what, ": ", strerror(errno)));
}

}  // namespace

absl::StatusOr<EditedFile> EditedFile::Make(const std::string& original, bool in_memory) {
  const fs::path name = fs::path(original).filename();
  if (!in_memory) {
    std::string path = JoinPath(
        DirectoryOf(original),
        absl::StrCat(".", name.stem().string(), ".edit.XXXXXX", name.extension().string()));
    const int fd = mkstemps(path.data(), static_cast<int>(name.extension().string().size()));
    if (fd < 0) return FileError(absl::StrCat("cannot create ", path));
    close(fd);
    return EditedFile("", path);
  }
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  for (const std::string& place : {std::string(runtime == nullptr ? "" : runtime),
                                   std::string("/dev/shm"), std::string("/run")}) {
    if (place.empty() || !IsTmpfs(place)) continue;
    std::string directory = JoinPath(place, "nodectl-edit.XXXXXX");
    if (mkdtemp(directory.data()) == nullptr) continue;
    EditedFile made(directory, JoinPath(directory, name.string()));
    made.held_ = std::make_unique<SignalsHeld>();
    return made;
  }
  return api::Coded(absl::StatusCode::kFailedPrecondition, "no-tmpfs",
                    "opened secrets are written to memory alone, and no tmpfs is there",
                    "XDG_RUNTIME_DIR or /dev/shm on a tmpfs; nodectl unseal and seal work without");
}

EditedFile::SignalsHeld::SignalsHeld() {
  const sigset_t ends = SignalsThatEnd();
  sigprocmask(SIG_BLOCK, &ends, &before_);
}

EditedFile::SignalsHeld::~SignalsHeld() { sigprocmask(SIG_SETMASK, &before_, nullptr); }

EditedFile::EditedFile(EditedFile&& other) noexcept
    : held_(std::move(other.held_)),
      directory_(std::move(other.directory_)),
      path_(std::exchange(other.path_, "")),
      keep_(other.keep_) {}

EditedFile::~EditedFile() {
  if (path_.empty() || keep_) return;
  std::error_code ignored;
  fs::remove(path_, ignored);
  // Whatever the editor left beside it goes as well.
  if (!directory_.empty()) fs::remove_all(directory_, ignored);
}

absl::Status EditedFile::Write(absl::string_view text) const {
  return WriteFileAtomically(path_, text, 0600);
}

absl::StatusOr<std::string> EditedFile::Read() const { return ReadFile(path_); }

absl::StatusOr<std::string> EditorCommand() {
  for (const char* name : {"VISUAL", "EDITOR"}) {
    const char* value = getenv(name);
    if (value != nullptr && *value != '\0') return std::string(value);
  }
  for (const char* program : {"vi", "nano"}) {
    if (InPath(program)) return std::string(program);
  }
  return api::Coded(absl::StatusCode::kInvalidArgument, "no-editor", "no editor is known",
                    "set VISUAL or EDITOR to the command of one");
}

absl::Status RunEditor(const std::string& command, const std::string& path) {
  // As git and kubectl run it: the command may have arguments, the path is one word of its own.
  std::string script = absl::StrCat(command, " \"$@\"");
  std::string file = path;
  char shell[] = "/bin/sh", flag[] = "-c", name[] = "nodectl-editor";
  char* argv[] = {shell, flag, script.data(), name, file.data(), nullptr};
  // Ctrl-C in an editor is the editor's.
  struct sigaction ignore {
  }, before{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGINT, &ignore, &before);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGINT);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);  // the editor holds nothing back
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, shell, nullptr, &attributes, argv, environ);
  posix_spawnattr_destroy(&attributes);
  int status = 0;
  if (error == 0) {
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  sigaction(SIGINT, &before, nullptr);
  sigset_t waiting;
  sigpending(&waiting);
  for (int signal : {SIGHUP, SIGQUIT, SIGTERM}) {
    if (sigismember(&waiting, signal) != 1) continue;
    return api::Coded(absl::StatusCode::kAborted, "interrupted",
                      absl::StrCat("interrupted by ", strsignal(signal), "; nothing was changed"));
  }
  if (error == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return api::Coded(
      absl::StatusCode::kAborted, "editor-failed",
      absl::StrCat("the editor `", command, "` ", error != 0 ? strerror(error) : "did not end well",
                   "; nothing was changed"));
}

}  // namespace basalt::client
