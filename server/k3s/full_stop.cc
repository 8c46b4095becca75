#include "server/k3s/full_stop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/host/fd.h"
#include "server/k3s/network_links.h"

namespace basalt::k3s {
namespace {

namespace fs = std::filesystem;

constexpr int kRounds = 20;
constexpr int kWaitMs = 3000;  // for one process to be gone after SIGKILL
constexpr const char* kOutside[] = {"/run/k3s", "/run/flannel", "/var/lib/kubelet/pods",
                                    "/var/lib/kubelet/plugins", "/var/lib/cni"};
constexpr char kNamespacesDir[] = "/run/netns";
constexpr char kNamespacePrefix[] = "cni-";

std::vector<int> Pids() {
  std::vector<int> pids;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    int pid = 0;
    if (absl::SimpleAtoi(entry.path().filename().string(), &pid)) pids.push_back(pid);
  }
  return pids;
}

int ParentOf(int pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/stat"));
  std::string text;
  std::getline(in, text);
  // The name may hold spaces and parentheses: the last one ends it.
  size_t at = text.rfind(')');
  if (at == std::string::npos) return 0;
  std::istringstream rest(text.substr(at + 1));
  char state = 0;
  int parent = 0;
  rest >> state >> parent;
  return state == 'Z' ? 0 : parent;
}

std::string ExeOf(int pid) {
  std::error_code error;
  std::string exe = fs::read_symlink(absl::StrCat("/proc/", pid, "/exe"), error);
  return error ? "" : exe;
}

// Does `pid` run from below `prefix`? Or did K3s leave it to this node's supervisor, which adopts
// what loses its parent: K3s prefers programs that another K3s of the same release extracted below
// /var/lib/rancher, so the shims of its pods may run from there.
bool IsRoot(int pid, const std::string& prefix) {
  const std::string exe = ExeOf(pid);
  return absl::StartsWith(exe, prefix) ||
         (ParentOf(pid) == getppid() && !ExtractionTreeOf(exe).empty());
}

// What K3s left running: the roots, and what came of them.
struct Family {
  std::set<int> roots, others;
  bool Has(int pid) const { return roots.count(pid) > 0 || others.count(pid) > 0; }
};

Family FindFamily(const std::string& prefix) {
  std::multimap<int, int> children;
  Family family;
  for (int pid : Pids()) {
    if (pid == getpid() || pid == 1) continue;
    children.emplace(ParentOf(pid), pid);
    if (IsRoot(pid, prefix)) family.roots.insert(pid);
  }
  std::vector<int> found(family.roots.begin(), family.roots.end());
  while (!found.empty()) {
    auto [from, to] = children.equal_range(found.back());
    found.pop_back();
    for (auto it = from; it != to; ++it) {
      if (family.Has(it->second)) continue;
      family.others.insert(it->second);
      found.push_back(it->second);
    }
  }
  return family;
}

// By descriptor: the number may be another process's by the time the signal arrives.
void KillAndWait(const std::set<int>& pids, const std::string& prefix, const Family& family) {
  std::vector<host::UniqueFd> ours;
  for (int pid : pids) {
    host::UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (fd.valid() && (IsRoot(pid, prefix) || family.Has(ParentOf(pid))))
      ours.push_back(std::move(fd));
  }
  for (const host::UniqueFd& fd : ours)
    syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0);
  for (const host::UniqueFd& fd : ours) {
    pollfd entry{fd.get(), POLLIN, 0};
    poll(&entry, 1, kWaitMs);
  }
}

// A shim adopts what loses its parent in its pod. So it goes last: what it left would belong to
// nobody that can be told from others, and a stop that is cut short can be repeated.
bool EndFamily(const std::string& prefix) {
  for (int round = 0; round < kRounds; ++round) {
    Family family = FindFamily(prefix);
    if (family.roots.empty()) return true;
    KillAndWait(family.others.empty() ? family.roots : family.others, prefix, family);
  }
  return FindFamily(prefix).roots.empty();
}

// "\040" and friends of mountinfo.
std::string Unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

// Mount points whose path begins with any of `places`, deepest first.
std::vector<std::string> MountsAt(const std::vector<std::string>& places) {
  std::ifstream in("/proc/self/mountinfo");
  std::vector<std::string> mounts;
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string skip, point;
    words >> skip >> skip >> skip >> skip >> point;
    point = Unescape(point);
    for (const std::string& place : places) {
      if (absl::StartsWith(point, place)) mounts.push_back(point);
    }
  }
  std::sort(mounts.begin(), mounts.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  return mounts;
}

absl::Status Unmount(const std::vector<std::string>& places) {
  std::string failed;
  for (const std::string& path : MountsAt(places)) {
    if (umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT) continue;
    // Busy: the kernel takes it away when its last user is gone.
    if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && failed.empty()) failed = path;
  }
  // What is still mounted must not be cleared away as if it were K3s's own files.
  std::vector<std::string> left = MountsAt(places);
  if (failed.empty() && !left.empty()) failed = left.front();
  return failed.empty() ? absl::OkStatus()
                        : absl::UnavailableError(absl::StrCat("cannot unmount ", failed));
}

// What K3s keeps outside its data directory. The directories themselves may be mount points of the
// owner's: what they hold goes.
absl::Status ClearNamespaces() {
  std::error_code error;
  for (const char* place : kOutside) {
    std::vector<fs::path> entries;
    for (const fs::directory_entry& entry : fs::directory_iterator(place, error)) {
      entries.push_back(entry.path());
    }
    error.clear();
    for (const fs::path& entry : entries) fs::remove_all(entry, error);
    // Ignoring failure: what is left is a file, not a process or a mount.
  }
  std::vector<fs::path> namespaces;
  for (const fs::directory_entry& entry : fs::directory_iterator(kNamespacesDir, error)) {
    if (absl::StartsWith(entry.path().filename().string(), kNamespacePrefix))
      namespaces.push_back(entry.path());
  }
  for (const fs::path& path : namespaces) fs::remove(path, error);
  return RemoveLinksOfK3s();
}

}  // namespace

std::string ExtractionTreeOf(const std::string& program) {
  static constexpr absl::string_view kData = "/data/";
  static constexpr size_t kHash = 64;
  size_t at = program.find("/bin/");
  if (at == std::string::npos || at < kData.size() + kHash) return "";
  const std::string tree = program.substr(0, at);
  const std::string hash = tree.substr(at - kHash);
  if (tree.substr(at - kHash - kData.size(), kData.size()) != kData) return "";
  return hash.find_first_not_of("0123456789abcdef") == std::string::npos ? tree : "";
}

absl::Status FullStop(const std::string& data_dir, bool owns_namespaces) {
  std::error_code error;
  const std::string root = fs::weakly_canonical(data_dir, error);
  // Below an empty name lies the whole machine: its processes would die and its mounts go.
  if (error || !absl::StartsWith(root, "/") || root.size() < 2) {
    return absl::UnavailableError(
        absl::StrCat("cannot tell where ", data_dir, " is: ", error.message()));
  }
  const std::string prefix = absl::StrCat(root, "/data/");
  if (!EndFamily(prefix)) {
    return absl::UnavailableError("a process that K3s started does not end");
  }
  std::vector<std::string> places = {root + "/"};
  if (owns_namespaces) {
    for (const char* place : kOutside) places.push_back(absl::StrCat(place, "/"));
    places.push_back(absl::StrCat(kNamespacesDir, "/", kNamespacePrefix));
  }
  if (geteuid() != 0) return absl::OkStatus();  // who is not root has mounted nothing
  if (absl::Status status = Unmount(places); !status.ok()) return status;
  return owns_namespaces ? ClearNamespaces() : absl::OkStatus();
}

}  // namespace basalt::k3s
