#include "server/k3s/node_files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "machineconfig/base/digest.h"
#include "server/host/fd.h"
#include "server/k3s/full_stop.h"
#include "server/k3s/render.h"

namespace basalt::k3s {
namespace {

namespace fs = std::filesystem;

std::string HashFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  Sha256Stream hash;
  std::vector<char> buffer(256 << 10);
  while (in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    hash.Update(absl::string_view(buffer.data(), static_cast<size_t>(in.gcount())));
  }
  return in.bad() ? "" : hash.Finish().Hex();
}

std::map<std::string, TreeEntry> ReadEntries(const fs::path& tree) {
  std::map<std::string, TreeEntry> files;
  std::error_code error;
  for (fs::recursive_directory_iterator at(tree, error), end; !error && at != end;
       at.increment(error)) {
    struct stat info {};
    if (lstat(at->path().c_str(), &info) != 0 || S_ISDIR(info.st_mode)) continue;
    std::string name = at->path().lexically_relative(tree);
    TreeEntry& entry = files[name];
    entry.mode = info.st_mode & 07777;
    if (S_ISLNK(info.st_mode)) {
      entry.mode = 0;
      entry.sha256 = Sha256(fs::read_symlink(at->path(), error).string()).Hex();
    } else {
      entry.size = info.st_size;
      entry.sha256 = HashFile(at->path());
    }
  }
  return files;
}

// The hash is a directory name: nothing that leads elsewhere.
bool IsHash(const std::string& hash) { return Digest::Parse(hash).ok() && hash.size() == 64; }

class RealFiles : public NodeFiles {
 public:
  absl::Status LinkImages(const std::string& dir,
                          const std::map<std::string, std::string>& images) override {
    std::error_code error;
    if (images.empty() && !fs::exists(dir, error)) return absl::OkStatus();
    fs::create_directories(dir, error);
    if (error) return absl::UnavailableError(absl::StrCat("mkdir ", dir, ": ", error.message()));
    std::vector<fs::path> stale;
    for (const fs::directory_entry& entry : fs::directory_iterator(dir, error)) {
      std::string name = entry.path().filename();
      if (absl::StartsWith(name, kOwnPrefix) && images.count(name) == 0)
        stale.push_back(entry.path());
    }
    for (const fs::path& path : stale) fs::remove(path, error);
    for (const auto& [name, target] : images) {
      fs::path path = fs::path(dir) / name;
      if (fs::equivalent(path, target, error)) continue;
      fs::remove(path, error);
      // Another name of the same bytes; a copy where the two are on different file systems.
      fs::create_hard_link(target, path, error);
      if (error) fs::copy_file(target, path, error);
      if (error)
        return absl::UnavailableError(absl::StrCat("link ", path.string(), ": ", error.message()));
    }
    // Its presence makes newer releases import only what has changed.
    fs::path cache = fs::path(dir) / ".cache.json";
    if (!images.empty() && !fs::exists(cache, error)) std::ofstream(cache).flush();
    return absl::OkStatus();
  }

  absl::StatusOr<TreeRecord> ReadTree(const std::string& data_dir, int pid,
                                      bool contents) override {
    std::error_code error;
    std::string exe = fs::read_symlink(absl::StrCat("/proc/", pid, "/exe"), error);
    std::string prefix = absl::StrCat(fs::weakly_canonical(data_dir, error).string(), "/data/");
    TreeRecord record;
    if (absl::StartsWith(exe, prefix)) {
      record.hash = exe.substr(prefix.size(), exe.find('/', prefix.size()) - prefix.size());
    }
    if (!IsHash(record.hash)) {
      std::string tree = ExtractionTreeOf(exe);
      if (tree.empty()) return absl::NotFoundError("K3s does not run from its extraction tree");
      return absl::FailedPreconditionError(
          absl::StrCat("K3s runs programs that were extracted to ", tree,
                       " before: they are not checked. Remove them if no other K3s needs them, "
                       "then restart K3s"));
    }
    if (contents) record.files = ReadEntries(fs::path(prefix) / record.hash);
    return record;
  }

  std::vector<std::string> CompareTree(const std::string& data_dir,
                                       const TreeRecord& record) override {
    fs::path tree = fs::path(data_dir) / "data" / record.hash;
    std::error_code error;
    std::vector<std::string> changed;
    if (!IsHash(record.hash) || !fs::exists(tree, error)) return changed;
    std::map<std::string, TreeEntry> now = ReadEntries(tree);
    for (const auto& [name, entry] : record.files) {
      auto it = now.find(name);
      if (it == now.end() || !(it->second == entry)) changed.push_back(name);
    }
    for (const auto& [name, entry] : now) {
      if (record.files.count(name) == 0) changed.push_back(name);
    }
    return changed;
  }

  void RemoveTree(const std::string& data_dir, const std::string& hash) override {
    std::error_code error;
    if (!IsHash(hash)) return;
    fs::path tree = fs::path(data_dir) / "data" / hash;
    // Out of the way first, in one step: a half-removed tree would be taken for a whole one.
    fs::path dead = fs::path(data_dir) / "data" / absl::StrCat("removed-", hash);
    fs::remove_all(dead, error);
    fs::rename(tree, dead, error);
    fs::remove_all(dead, error);
  }

  std::vector<std::string> Trees(const std::string& data_dir) override {
    std::vector<std::string> hashes;
    std::error_code error;
    for (const fs::directory_entry& entry :
         fs::directory_iterator(fs::path(data_dir) / "data", error)) {
      std::string name = entry.path().filename();
      if (IsHash(name) && !entry.is_symlink(error)) hashes.push_back(name);
    }
    return hashes;
  }

  void KeepTrees(const std::string& data_dir, const std::set<std::string>& keep) override {
    std::error_code error;
    const fs::path trees = fs::weakly_canonical(fs::path(data_dir) / "data", error);
    if (error) return;
    std::set<std::string> used = keep;
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
      std::string exe = fs::read_symlink(entry.path() / "exe", error);
      // Ignoring failure: it is no process, or one that is gone.
      error.clear();
      std::string tree = ExtractionTreeOf(exe);
      if (!tree.empty() && fs::path(tree).parent_path() == trees)
        used.insert(fs::path(tree).filename());
    }
    for (const std::string& hash : Trees(data_dir)) {
      if (used.count(hash) == 0) RemoveTree(data_dir, hash);
    }
  }

  absl::Status Erase(const std::vector<std::string>& places) override {
    std::set<std::string> parents;
    for (const std::string& place : places) {
      std::error_code error;
      fs::remove_all(place, error);
      if (error) {
        return absl::UnavailableError(absl::StrCat("cannot remove ", place, ": ", error.message()));
      }
      parents.insert(fs::path(place).parent_path());
    }
    for (const std::string& parent : parents) {
      host::UniqueFd dir(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      // Ignoring one that is not there: it has nothing to keep.
      if (dir.valid() && fsync(dir.get()) != 0) {
        return absl::DataLossError(absl::StrCat("fsync ", parent, ": ", std::strerror(errno)));
      }
    }
    return absl::OkStatus();
  }

  absl::Status CleanUp(const std::string& data_dir, bool owns_namespaces) override {
    return FullStop(data_dir, owns_namespaces);
  }

  absl::StatusOr<absl::Duration> MeasureDisk(const std::string& dir) override {
    constexpr int kWrites = 25;
    const std::string block(2300, 'x');  // as etcd's write-ahead log has them
    host::UniqueFd fd(open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    std::vector<absl::Duration> took;
    for (int i = 0; fd.valid() && i < kWrites; ++i) {
      auto before = std::chrono::steady_clock::now();
      if (write(fd.get(), block.data(), block.size()) != static_cast<ssize_t>(block.size()) ||
          fdatasync(fd.get()) != 0)
        break;
      took.push_back(absl::FromChrono(std::chrono::steady_clock::now() - before));
    }
    if (took.size() < kWrites)
      return absl::UnavailableError(absl::StrCat("cannot try ", dir, ": ", std::strerror(errno)));
    std::nth_element(took.begin(), took.begin() + kWrites / 2, took.end());
    return took[kWrites / 2];
  }

  std::string PortTaken(const std::string& address, int port) override {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_port = htons(static_cast<uint16_t>(port));
    if (inet_pton(AF_INET, address.c_str(), &where.sin_addr) != 1) return "";
    host::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    int one = 1;
    // As K3s binds: connections of an earlier run that linger do not count.
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd.get(), reinterpret_cast<sockaddr*>(&where), sizeof where) == 0 ||
        errno != EADDRINUSE)
      return "";
    return absl::StrCat("port ", port, " on ", address, " is taken by another program");
  }

  std::string ResolvConf() override {
    for (const char* path : {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}) {
      std::ifstream in(path);
      if (IsForPods(std::string(std::istreambuf_iterator<char>(in), {}))) return path;
    }
    return "";
  }

  std::vector<std::string> Addresses() override {
    std::vector<std::string> out;
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return out;
    for (ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
      if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_LOOPBACK) != 0) continue;
      char text[INET6_ADDRSTRLEN] = {};
      if (at->ifa_addr->sa_family == AF_INET) {
        inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(at->ifa_addr)->sin_addr, text,
                  sizeof text);
      } else if (at->ifa_addr->sa_family == AF_INET6) {
        auto* v6 = reinterpret_cast<sockaddr_in6*>(at->ifa_addr);
        if (!IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
          inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
      }
      if (text[0] != '\0') out.emplace_back(text);
    }
    freeifaddrs(list);
    return out;
  }
};

}  // namespace

// One line a file: "SHA256 MODE SIZE PATH", after the line with the tree's name.
std::string Encode(const TreeRecord& record) {
  std::string text = absl::StrCat("tree ", record.hash, "\n");
  for (const auto& [name, entry] : record.files) {
    // A newline in a name could forge a line; K3s has none.
    if (absl::StrContains(name, '\n')) continue;
    absl::StrAppend(&text, entry.sha256, " ", entry.mode, " ", entry.size, " ", name, "\n");
  }
  return absl::StrCat(text, "sha256 ", Sha256(text).Hex(), "\n");
}

absl::StatusOr<TreeRecord> DecodeTree(const std::string& text) {
  size_t at = text.rfind("sha256 ");
  if (at == std::string::npos ||
      text.substr(at) != absl::StrCat("sha256 ", Sha256(text.substr(0, at)).Hex(), "\n")) {
    return absl::DataLossError("the record of K3s's extraction tree is damaged");
  }
  TreeRecord record;
  for (absl::string_view line : absl::StrSplit(text.substr(0, at), '\n', absl::SkipEmpty())) {
    std::vector<std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 3));
    if (words.size() == 2 && words[0] == "tree") {
      record.hash = words[1];
      continue;
    }
    TreeEntry entry;
    if (words.size() != 4 || !absl::SimpleAtoi(words[1], &entry.mode) ||
        !absl::SimpleAtoi(words[2], &entry.size)) {
      return absl::DataLossError("the record of K3s's extraction tree cannot be read");
    }
    entry.sha256 = words[0];
    record.files[words[3]] = entry;
  }
  return record;
}

std::shared_ptr<NodeFiles> MakeNodeFiles() { return std::make_shared<RealFiles>(); }

}  // namespace basalt::k3s
