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
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/host/fd.h"

namespace basalt::k3s {
namespace {

namespace fs = std::filesystem;

constexpr int kRounds = 10;
constexpr int kWaitMs = 3000;  // for one process to be gone after SIGKILL

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

// Every process that runs from below `prefix`, and all that came of it.
std::set<int> Family(const std::string& prefix) {
  std::multimap<int, int> children;
  std::vector<int> found;
  for (int pid : Pids()) {
    if (pid == getpid() || pid == 1) continue;
    children.emplace(ParentOf(pid), pid);
    std::error_code error;
    std::string exe = fs::read_symlink(absl::StrCat("/proc/", pid, "/exe"), error);
    if (!error && absl::StartsWith(exe, prefix)) found.push_back(pid);
  }
  std::set<int> family;
  while (!found.empty()) {
    int pid = found.back();
    found.pop_back();
    if (!family.insert(pid).second) continue;
    auto [from, to] = children.equal_range(pid);
    for (auto it = from; it != to; ++it) found.push_back(it->second);
  }
  return family;
}

// By descriptor: the number may be another process's by the time the signal arrives.
void KillAndWait(int pid, const std::string& prefix, const std::set<int>& family) {
  host::UniqueFd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return;
  std::error_code error;
  std::string exe = fs::read_symlink(absl::StrCat("/proc/", pid, "/exe"), error);
  bool still = absl::StartsWith(exe, prefix) || family.count(ParentOf(pid)) > 0;
  if (!still) return;
  syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0);
  pollfd entry{fd.get(), POLLIN, 0};
  poll(&entry, 1, kWaitMs);
}

// Mount points at or below any of `places`, deepest first.
std::vector<std::string> MountsBelow(const std::vector<std::string>& places) {
  std::ifstream in("/proc/self/mountinfo");
  std::vector<std::string> mounts;
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string skip, point;
    words >> skip >> skip >> skip >> skip >> point;
    for (const std::string& place : places) {
      if (absl::StartsWith(point, place + "/")) mounts.push_back(point);
    }
  }
  std::sort(mounts.begin(), mounts.end(),
            [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
  return mounts;
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

absl::Status Unmount(const std::vector<std::string>& places) {
  std::string failed;
  for (const std::string& mount : MountsBelow(places)) {
    std::string path = Unescape(mount);
    if (umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT) continue;
    // Busy: the kernel takes it away when its last user is gone.
    if (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && failed.empty()) failed = path;
  }
  return failed.empty() ? absl::OkStatus()
                        : absl::UnavailableError(absl::StrCat("cannot unmount ", failed));
}

}  // namespace

absl::Status FullStop(const std::string& data_dir, bool whole_machine) {
  std::error_code error;
  const std::string root = fs::weakly_canonical(data_dir, error);
  // Below an empty name lies the whole machine: its processes would die and its mounts go.
  if (error || !absl::StartsWith(root, "/") || root.size() < 2) {
    return absl::UnavailableError(
        absl::StrCat("cannot tell where ", data_dir, " is: ", error.message()));
  }
  const std::string prefix = absl::StrCat(root, "/data/");
  std::set<int> family;
  for (int round = 0; round < kRounds; ++round) {
    // Again until none is left: what is being killed may have started another.
    family = Family(prefix);
    if (family.empty()) break;
    for (int pid : family) KillAndWait(pid, prefix, family);
  }
  if (!Family(prefix).empty()) {
    return absl::UnavailableError("a process that K3s started does not end");
  }
  std::vector<std::string> places = {root};
  if (whole_machine) {
    places.insert(places.end(),
                  {"/run/k3s", "/var/lib/kubelet/pods", "/var/lib/kubelet/plugins", "/run/netns"});
  }
  if (geteuid() != 0) return absl::OkStatus();  // who is not root has mounted nothing
  if (absl::Status status = Unmount(places); !status.ok()) return status;
  if (whole_machine) {
    for (size_t i = 1; i + 1 < places.size(); ++i) fs::remove_all(places[i], error);
    for (const fs::directory_entry& entry : fs::directory_iterator("/run/netns", error)) {
      if (absl::StartsWith(entry.path().filename().string(), "cni-"))
        fs::remove(entry.path(), error);
    }
  }
  return absl::OkStatus();
}

}  // namespace basalt::k3s
