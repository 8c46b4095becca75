#include "tests/support/vfs/fake_vfs.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/host/vfs_disk.h"

namespace basalt::testing {
namespace {

std::string Parent(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

struct Inode {
  std::string now;
  std::string durable;
};
using InodePtr = std::shared_ptr<Inode>;

// A change of names in one directory that its fsync makes durable.
struct NameChange {
  std::string dir;
  std::string add;  // "" = none
  InodePtr inode;
  std::string remove;  // "" = none
};

uint64_t NextRandom(uint64_t& state) {  // splitmix64
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// What is on the platter of a file whose last writes were not fsynced.
std::string Torn(const Inode& inode, uint64_t& random) {
  switch (NextRandom(random) % 4) {
    case 0:
      return inode.durable;
    case 1:
      return inode.now;
    case 2:  // a prefix of what was added, or of all when it is not an append
      if (absl::StartsWith(inode.now, inode.durable)) {
        size_t added = inode.now.size() - inode.durable.size();
        return inode.now.substr(0, inode.durable.size() + NextRandom(random) % (added + 1));
      }
      return inode.now.substr(0, NextRandom(random) % (inode.now.size() + 1));
    default:  // the size got there, the data did not
      if (absl::StartsWith(inode.now, inode.durable)) {
        return inode.durable + std::string(inode.now.size() - inode.durable.size(), '\0');
      }
      return std::string(inode.now.size(), '\0');
  }
}

}  // namespace

class MemoryDisk : public host::Disk {
 public:
  absl::StatusOr<int> OpenFile(const std::string& path, Open how, uint32_t) override {
    std::lock_guard lock(mu);
    auto it = names.find(path);
    if (how == Open::kAppend) {
      if (it == names.end()) return absl::NotFoundError(path);
      files[next_file] = it->second;
      return next_file++;
    }
    if (it != names.end()) return absl::AlreadyExistsError(path);
    if (!dirs.count(Parent(path))) return absl::NotFoundError(Parent(path));
    if (absl::Status status = Step(DiskOp::kCreate); !status.ok()) return status;
    auto inode = std::make_shared<Inode>();
    names[path] = inode;
    pending.push_back({Parent(path), path, inode, ""});
    files[next_file] = inode;
    return next_file++;
  }
  absl::Status Write(int file, absl::string_view data) override {
    std::lock_guard lock(mu);
    if (absl::Status status = Step(DiskOp::kWrite); !status.ok()) return status;
    counters.bytes_written += static_cast<int64_t>(data.size());
    files.at(file)->now.append(data.data(), data.size());
    return absl::OkStatus();
  }
  absl::Status SyncFile(int file) override {
    std::lock_guard lock(mu);
    if (absl::Status status = Step(DiskOp::kSyncFile); !status.ok()) return status;
    ++counters.fsyncs;
    if (!lies.sync_file || !Lied(NameOf(files.at(file)))) {
      files.at(file)->durable = files.at(file)->now;
    }
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> Size(int file) override {
    std::lock_guard lock(mu);
    return files.at(file)->now.size();
  }
  absl::Status Resize(int file, uint64_t size) override {
    std::lock_guard lock(mu);
    if (absl::Status status = Step(DiskOp::kResize); !status.ok()) return status;
    files.at(file)->now.resize(size);
    return absl::OkStatus();
  }
  void Close(int file) override {
    std::lock_guard lock(mu);
    files.erase(file);
  }
  absl::StatusOr<std::string> Read(const std::string& path, size_t max_bytes) override {
    std::lock_guard lock(mu);
    auto it = names.find(path);
    if (it == names.end()) return absl::NotFoundError(path);
    if (it->second->now.size() > max_bytes) return absl::OutOfRangeError(path);
    return it->second->now;
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    std::lock_guard lock(mu);
    if (absl::Status status = Step(DiskOp::kRename); !status.ok()) return status;
    auto it = names.find(from);
    if (it == names.end()) return absl::NotFoundError(from);
    InodePtr inode = it->second;
    names.erase(it);
    if (lies.rename && Lied(to)) {
      auto [target, fresh] = names.try_emplace(to, std::make_shared<Inode>());
      target->second->now = inode->now;
      if (fresh) pending.push_back({Parent(to), to, target->second, from});
      return absl::OkStatus();
    }
    names[to] = inode;
    pending.push_back({Parent(to), to, inode, from});
    return absl::OkStatus();
  }
  absl::Status Unlink(const std::string& path) override {
    std::lock_guard lock(mu);
    if (!names.count(path)) return absl::NotFoundError(path);
    if (absl::Status status = Step(DiskOp::kUnlink); !status.ok()) return status;
    names.erase(path);
    pending.push_back({Parent(path), "", nullptr, path});
    return absl::OkStatus();
  }
  absl::Status MakeDir(const std::string& path, uint32_t) override {
    std::lock_guard lock(mu);
    if (dirs.count(path) || names.count(path)) return absl::AlreadyExistsError(path);
    if (!dirs.count(Parent(path))) return absl::NotFoundError(Parent(path));
    if (absl::Status status = Step(DiskOp::kMakeDir); !status.ok()) return status;
    dirs.insert(path);
    new_dirs.push_back(path);
    return absl::OkStatus();
  }
  absl::Status SyncDir(const std::string& path) override {
    std::lock_guard lock(mu);
    if (!dirs.count(path)) return absl::NotFoundError(path);
    if (absl::Status status = Step(DiskOp::kSyncDir); !status.ok()) return status;
    ++counters.fsyncs;
    if (lies.sync_dir && Lied(path)) return absl::OkStatus();
    Settle([&](const NameChange& change) { return change.dir == path; });
    std::erase_if(new_dirs, [&](const std::string& dir) { return Parent(dir) == path; });
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::string>> List(const std::string& dir) override {
    std::lock_guard lock(mu);
    if (!dirs.count(dir)) return absl::NotFoundError(dir);
    std::vector<std::string> out;
    size_t skip = dir.empty() ? 0 : dir.size() + 1;
    for (const auto& [path, inode] : names) {
      if (Parent(path) == dir) out.push_back(path.substr(skip));
    }
    for (const std::string& path : dirs) {
      if (!path.empty() && Parent(path) == dir) out.push_back(path.substr(skip));
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  bool Exists(const std::string& path) override {
    std::lock_guard lock(mu);
    return names.count(path) > 0 || dirs.count(path) > 0;
  }
  absl::StatusOr<uint64_t> FreeBytes(const std::string&) override {
    std::lock_guard lock(mu);
    return free_bytes;
  }
  std::string Absolute(const std::string& path) const override {
    return absl::StrCat("/fake/", path);
  }

  void Cut(CutMode mode, uint64_t seed) {
    std::lock_guard lock(mu);
    uint64_t random = seed;
    if (mode == CutMode::kKeepAll) {
      Settle([](const NameChange&) { return true; });
      new_dirs.clear();
    } else if (mode == CutMode::kSeeded) {
      std::map<std::string, size_t> count;
      for (const NameChange& change : pending) ++count[change.dir];
      for (auto& [dir, n] : count) n = NextRandom(random) % (n + 1);
      Settle([&](const NameChange& change) {
        size_t& left = count[change.dir];
        return left > 0 && left-- > 0;
      });
    }
    for (const std::string& dir : new_dirs) {
      if (mode == CutMode::kSeeded && NextRandom(random) % 2) continue;
      dirs.erase(dir);
      std::erase_if(durable_names, [&](const auto& entry) {
        return absl::StartsWith(entry.first, absl::StrCat(dir, "/"));
      });
    }
    for (auto& [path, inode] : durable_names) {
      if (mode == CutMode::kKeepAll) inode->durable = inode->now;
      if (mode == CutMode::kSeeded && inode->durable != inode->now) {
        inode->durable = Torn(*inode, random);
      }
      inode->now = inode->durable;
    }
    names = durable_names;
    new_dirs.clear();
    pending.clear();
    files.clear();
    ClearFaults();
  }

  void ClearFaults() {
    cut = false;
    cut_after = -1;
    faults.clear();
    all_writes = absl::OkStatus();
  }

  struct Fault {
    int64_t skip = 0;
    absl::Status status;
    bool forever = false;
  };

  mutable std::mutex mu;
  std::map<std::string, InodePtr> names;
  std::map<std::string, InodePtr> durable_names;
  std::set<std::string> dirs = {""};
  std::vector<std::string> new_dirs;
  std::vector<NameChange> pending;
  std::map<int, InodePtr> files;
  int next_file = 3;
  bool cut = false;
  int64_t cut_after = -1;
  std::map<DiskOp, Fault> faults;
  absl::Status all_writes;
  Lies lies;
  uint64_t free_bytes = uint64_t{1} << 30;
  FakeVfs::Counters counters;

 private:
  bool Lied(const std::string& path) const { return absl::StrContains(path, lies.only); }
  std::string NameOf(const InodePtr& inode) const {
    for (const auto& [name, other] : names) {
      if (other == inode) return name;
    }
    return "";
  }
  template <typename Select>
  void Settle(Select select) {
    std::vector<NameChange> rest;
    for (NameChange& change : pending) {
      if (!select(change)) {
        rest.push_back(std::move(change));
        continue;
      }
      if (!change.remove.empty()) durable_names.erase(change.remove);
      if (!change.add.empty()) durable_names[change.add] = change.inode;
    }
    pending = std::move(rest);
  }

  // Counts the operation, or says why it does not happen.
  absl::Status Step(DiskOp op) {
    if (cut_after == 0) cut = true;
    if (cut) return absl::UnavailableError("the power is cut");
    // A full or read-only disk still lets files go.
    if (!all_writes.ok() && op != DiskOp::kUnlink && op != DiskOp::kResize) return all_writes;
    if (auto it = faults.find(op); it != faults.end()) {
      if (it->second.skip > 0) {
        --it->second.skip;
      } else {
        absl::Status status = it->second.status;
        if (!it->second.forever) faults.erase(it);
        return status;
      }
    }
    if (cut_after > 0) --cut_after;
    ++counters.operations;
    return absl::OkStatus();
  }
};

FakeVfs::FakeVfs() {
  auto disk = std::make_unique<MemoryDisk>();
  disk_ = disk.get();
  vfs_ = host::MakeVfs(std::move(disk));
}
FakeVfs::~FakeVfs() = default;

void FakeVfs::CutAfter(int64_t n) {
  std::lock_guard lock(disk_->mu);
  disk_->cut_after = n;
}
bool FakeVfs::cut() const {
  std::lock_guard lock(disk_->mu);
  return disk_->cut;
}
void FakeVfs::CutPower(CutMode mode, uint64_t seed) { disk_->Cut(mode, seed); }
void FakeVfs::FailFrom(DiskOp op, int64_t skip, absl::Status status, bool forever) {
  std::lock_guard lock(disk_->mu);
  disk_->faults[op] = {skip, std::move(status), forever};
}
void FakeVfs::FailAllWrites(absl::Status status) {
  std::lock_guard lock(disk_->mu);
  disk_->all_writes = std::move(status);
}
void FakeVfs::ClearFaults() {
  std::lock_guard lock(disk_->mu);
  disk_->ClearFaults();
}
void FakeVfs::SetLies(Lies lies) {
  std::lock_guard lock(disk_->mu);
  disk_->lies = lies;
}
void FakeVfs::SetFreeBytes(uint64_t bytes) {
  std::lock_guard lock(disk_->mu);
  disk_->free_bytes = bytes;
}
FakeVfs::Counters FakeVfs::counters() const {
  std::lock_guard lock(disk_->mu);
  return disk_->counters;
}
uint64_t FakeVfs::TotalBytes() const {
  std::lock_guard lock(disk_->mu);
  uint64_t total = 0;
  for (const auto& [path, inode] : disk_->names) total += inode->now.size();
  return total;
}
std::vector<std::string> FakeVfs::AllFiles() const {
  std::lock_guard lock(disk_->mu);
  std::vector<std::string> out;
  for (const auto& [path, inode] : disk_->names) out.push_back(path);
  return out;
}
void FakeVfs::Corrupt(const std::string& path, const std::string& content) {
  std::lock_guard lock(disk_->mu);
  InodePtr& inode = disk_->names[path];
  if (inode == nullptr) inode = std::make_shared<Inode>();
  inode->now = inode->durable = content;
  disk_->durable_names[path] = inode;
}

absl::StatusOr<std::string> FakeVfs::Read(absl::string_view path, size_t max_bytes) {
  return vfs_->Read(path, max_bytes);
}
absl::Status FakeVfs::Replace(absl::string_view path, absl::string_view data, uint32_t mode) {
  return vfs_->Replace(path, data, mode);
}
absl::Status FakeVfs::ReplaceVolatile(absl::string_view path, absl::string_view data,
                                      uint32_t mode) {
  return vfs_->ReplaceVolatile(path, data, mode);
}
absl::Status FakeVfs::AppendSync(absl::string_view path, absl::string_view data) {
  return vfs_->AppendSync(path, data);
}
absl::Status FakeVfs::Append(absl::string_view path, absl::string_view data) {
  return vfs_->Append(path, data);
}
absl::Status FakeVfs::Truncate(absl::string_view path, uint64_t size) {
  return vfs_->Truncate(path, size);
}
absl::Status FakeVfs::Remove(absl::string_view path) { return vfs_->Remove(path); }
absl::Status FakeVfs::SyncDir(absl::string_view path) { return vfs_->SyncDir(path); }
absl::Status FakeVfs::MakeDirs(absl::string_view path, uint32_t mode) {
  return vfs_->MakeDirs(path, mode);
}
absl::StatusOr<std::vector<std::string>> FakeVfs::List(absl::string_view dir) {
  return vfs_->List(dir);
}
bool FakeVfs::Exists(absl::string_view path) { return vfs_->Exists(path); }
absl::StatusOr<uint64_t> FakeVfs::FreeBytes(absl::string_view dir) { return vfs_->FreeBytes(dir); }
std::string FakeVfs::Absolute(absl::string_view path) const { return vfs_->Absolute(path); }

}  // namespace basalt::testing
