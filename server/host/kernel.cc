#include "server/host/kernel.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "server/host/fd.h"

namespace basalt::host {
namespace {

namespace fs = std::filesystem;

constexpr char kModuleList[] = "/usr/lib/basalt/modules.list";
constexpr char kExtensions[] = "/usr/lib/basalt/extensions";
constexpr size_t kMostFile = 64 << 20;
constexpr size_t kMostHostName = 64;  // of Linux

absl::Status FromErrno(int error, const std::string& what) {
  const std::string text = absl::StrCat(what, ": ", std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(text);
    case EINVAL:
    case ERANGE:
    case E2BIG:
      return absl::InvalidArgumentError(text);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(text);
    default:
      return absl::InternalError(text);
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return FromErrno(errno, path);
  std::string out;
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FromErrno(errno, path);
    if (n == 0) return out;
    out.append(buffer, static_cast<size_t>(n));
    if (out.size() > kMostFile) return absl::ResourceExhaustedError(path);
  }
}

// One write: the kernel's own files take a value whole or not at all.
absl::Status WriteFile(const std::string& path, const std::string& value) {
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_TRUNC));
  if (!fd.valid()) return FromErrno(errno, path);
  const ssize_t n = write(fd.get(), value.data(), value.size());
  if (n < 0) return FromErrno(errno, path);
  return static_cast<size_t>(n) == value.size() ? absl::OkStatus()
                                                : absl::InternalError(path + ": a short write");
}

class LinuxKernel : public Kernel {
 public:
  explicit LinuxKernel(std::string root) : root_(std::move(root)) {}

  std::string HostName() override {
    char name[kMostHostName + 1] = {};
    return gethostname(name, sizeof name - 1) == 0 ? name : "";
  }

  absl::Status SetHostName(const std::string& name) override {
    if (name.empty() || name.size() > kMostHostName) {
      return absl::InvalidArgumentError(absl::StrCat("not a host name: `", name, "`"));
    }
    return sethostname(name.data(), name.size()) == 0 ? absl::OkStatus()
                                                      : FromErrno(errno, "sethostname");
  }

  absl::StatusOr<std::string> Sysctl(const std::string& name) override {
    absl::StatusOr<std::string> path = SysctlPath(name);
    if (!path.ok()) return path.status();
    absl::StatusOr<std::string> text = ReadFile(*path);
    if (!text.ok()) return text.status();
    return std::string(absl::StripTrailingAsciiWhitespace(*text));
  }

  absl::Status SetSysctl(const std::string& name, const std::string& value) override {
    absl::StatusOr<std::string> path = SysctlPath(name);
    if (!path.ok()) return path.status();
    return WriteFile(*path, value);
  }

  ModuleState Module(const std::string& name) override {
    const std::string directory = ModuleDirectory(name);
    std::error_code error;
    ModuleState state;
    state.on_image = !FileOf(ModuleId(name)).empty();
    if (!fs::exists(directory, error)) return state;
    // Only what was loaded has a state of its own there.
    state.loaded = fs::exists(directory + "/initstate", error);
    state.built_in = !state.loaded;
    if (absl::StatusOr<std::string> users = ReadFile(directory + "/refcnt"); users.ok()) {
      // Ignoring what is no number: a kernel without unloading says "-".
      (void)absl::SimpleAtoi(absl::StripAsciiWhitespace(*users), &state.users);
    }
    for (const auto& file : fs::directory_iterator(directory + "/parameters", error)) {
      absl::StatusOr<std::string> value = ReadFile(file.path());
      if (!value.ok()) continue;  // for writing only
      const std::string parameter = file.path().filename();
      state.parameters[parameter] = std::string(absl::StripTrailingAsciiWhitespace(*value));
      const fs::perms mode = fs::status(file.path(), error).permissions();
      if ((mode & fs::perms::owner_write) != fs::perms::none) state.writable.insert(parameter);
    }
    return state;
  }

  absl::Status LoadModule(const std::string& name,
                          const std::vector<std::string>& parameters) override {
    std::set<std::string> above;
    return Load(ModuleId(name), absl::StrJoin(parameters, " "), &above);
  }

  absl::Status UnloadModule(const std::string& name) override {
    const std::string id = ModuleId(name);
    if (syscall(SYS_delete_module, id.c_str(), O_NONBLOCK) == 0 || errno == ENOENT) {
      return absl::OkStatus();
    }
    if (errno == EWOULDBLOCK || errno == EBUSY) {
      return api::Coded(absl::StatusCode::kFailedPrecondition, "module-in-use",
                        absl::StrCat("the module ", id, " is in use"));
    }
    return FromErrno(errno, absl::StrCat("unloading ", id));
  }

  absl::Status SetModuleParameter(const std::string& module, const std::string& name,
                                  const std::string& value) override {
    if (name.empty() || absl::StrContains(name, '/') || name[0] == '.') {
      return absl::InvalidArgumentError(name);
    }
    return WriteFile(absl::StrCat(ModuleDirectory(module), "/parameters/", name), value);
  }

 private:
  absl::StatusOr<std::string> SysctlPath(const std::string& name) const {
    // `.` and `/` change places, as in sysctl(8). The schema lets no "." part through; this does
    // not rely on it.
    std::string path = name;
    for (char& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
    for (absl::string_view part : absl::StrSplit(path, '/')) {
      if (part.empty() || part == "." || part == "..") {
        return absl::InvalidArgumentError(absl::StrCat("not a setting: ", name));
      }
    }
    return absl::StrCat(root_, "/proc/sys/", path);
  }

  std::string ModuleDirectory(const std::string& name) const {
    return absl::StrCat(root_, "/sys/module/", ModuleId(name));
  }

  // The build put every module of the image into one list, and those of an extension into another.
  std::string FileOf(const std::string& id) const {
    std::string list = ReadFile(root_ + kModuleList).value_or("");
    std::error_code error;
    for (const auto& extension : fs::directory_iterator(root_ + kExtensions, error)) {
      list += ReadFile(extension.path().string() + "/modules.list").value_or("");
    }
    for (absl::string_view line : absl::StrSplit(list, '\n', absl::SkipEmpty())) {
      if (line[0] != '/') continue;
      absl::string_view base = line.substr(line.rfind('/') + 1);
      if (ModuleId(base.substr(0, base.find('.'))) == id) return absl::StrCat(root_, line);
    }
    return "";
  }

  absl::Status Load(const std::string& id, const std::string& parameters,
                    std::set<std::string>* above) {
    if (!above->insert(id).second) return absl::OkStatus();  // a circle is the kernel's to refuse
    const std::string path = FileOf(id);
    if (path.empty()) {
      return Module(id).here() ? absl::OkStatus()
                               : api::Coded(absl::StatusCode::kNotFound, "module-missing",
                                            absl::StrCat("the image has no module ", id));
    }
    absl::StatusOr<std::string> file = ReadFile(path);
    if (!file.ok()) return file.status();
    for (const std::string& needed : ModuleDependencies(*file)) {
      if (Module(needed).here()) continue;
      if (absl::Status status = Load(needed, "", above); !status.ok()) return status;
    }
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return FromErrno(errno, path);
    if (syscall(SYS_finit_module, fd.get(), parameters.c_str(), 0) == 0 || errno == EEXIST) {
      return absl::OkStatus();
    }
    if (errno == ENODEV) {
      return api::Coded(absl::StatusCode::kFailedPrecondition, "no-such-device",
                        absl::StrCat("the module ", id, " finds nothing that it could drive"));
    }
    return FromErrno(errno, absl::StrCat("loading ", id));
  }

  const std::string root_;
};

}  // namespace

std::string ModuleId(absl::string_view name) { return absl::StrReplaceAll(name, {{"-", "_"}}); }

std::vector<std::string> ModuleDependencies(absl::string_view file) {
  // .modinfo is a row of zero-terminated texts.
  static constexpr absl::string_view kKey("\0depends=", 9);
  std::vector<std::string> out;
  const size_t at = file.find(kKey);
  if (at == absl::string_view::npos) return out;
  absl::string_view value = file.substr(at + kKey.size());
  const size_t end = value.find('\0');
  if (end == absl::string_view::npos || end > 4096) return out;
  for (absl::string_view name : absl::StrSplit(value.substr(0, end), ',', absl::SkipEmpty())) {
    out.push_back(ModuleId(name));
  }
  return out;
}

std::unique_ptr<Kernel> MakeKernel(const std::string& root) {
  return std::make_unique<LinuxKernel>(root);
}

}  // namespace basalt::host
