#include "tests/support/boot_disk/fake_boot_disk.h"

#include <algorithm>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "server/update/boot_view.h"

namespace basalt::testing {
namespace {

absl::Status NoPower() { return absl::UnavailableError("the power is gone"); }

bool GoodName(const std::string& name) {
  return !name.empty() && name[0] != '.' && name.find('/') == std::string::npos;
}

absl::StatusOr<update::KernelImage> Inspect(const std::string& kernel) {
  return update::InspectKernel([&](uint64_t offset, size_t size) -> absl::StatusOr<std::string> {
    return kernel.substr(std::min<size_t>(offset, kernel.size()), size);
  });
}

}  // namespace

class FakeBootFiles : public host::BootFiles {
 public:
  explicit FakeBootFiles(FakeBootDisk& disk, bool change) : disk_(disk), change_(change) {}

  absl::StatusOr<std::vector<host::BootFile>> List() override {
    if (disk_.cut_) return NoPower();
    std::vector<host::BootFile> files;
    for (const auto& [name, file] : disk_.files_) {
      files.push_back({name, static_cast<int64_t>(file.now.size())});
    }
    return files;
  }
  absl::StatusOr<std::string> Read(const std::string& name, uint64_t offset, size_t size) override {
    if (disk_.cut_) return NoPower();
    if (!GoodName(name)) return absl::InvalidArgumentError("name");
    const auto it = disk_.files_.find(name);
    if (it == disk_.files_.end()) return absl::NotFoundError(name);
    return offset < it->second.now.size() ? it->second.now.substr(offset, size) : std::string();
  }
  absl::Status Append(const std::string& name, absl::string_view bytes) override {
    if (!GoodName(name)) return absl::InvalidArgumentError("name");
    if (absl::Status status = Change(); !status.ok()) return status;
    if (bytes.size() > disk_.Free()) {
      return api::Coded(absl::StatusCode::kResourceExhausted, "esp-full", "no space left");
    }
    disk_.files_[name].now.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  }
  absl::Status Sync(const std::string& name) override {
    const auto it = disk_.files_.find(name);
    if (it == disk_.files_.end()) return absl::NotFoundError(name);
    if (absl::Status status = Change(); !status.ok()) return status;
    if (disk_.bad_medium && !it->second.now.empty()) it->second.now[0] ^= 1;
    it->second.durable = it->second.now;
    it->second.synced_once = true;
    return absl::OkStatus();
  }
  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (!GoodName(from) || !GoodName(to)) return absl::InvalidArgumentError("name");
    if (disk_.files_.count(from) == 0) return absl::NotFoundError(from);
    const std::string bytes = disk_.files_[from].now;
    if (const auto there = disk_.files_.find(to); there != disk_.files_.end()) {
      if (there->second.now == bytes && !bytes.empty()) return Remove(from);
      if (!there->second.now.empty()) return absl::AlreadyExistsError(to);
      if (absl::Status status = Remove(to); !status.ok()) return status;
    }
    if (absl::EndsWith(from, host::kUnfinishedEnd)) return RenameOnly(from, to);
    const std::string copy = absl::StrCat(to, host::kUnfinishedEnd);
    absl::Status status = Remove(copy);
    if (status.ok()) status = Append(copy, bytes);
    if (status.ok()) status = Sync(copy);
    if (status.ok()) status = RenameOnly(copy, to);
    return status.ok() ? Remove(from) : status;
  }
  absl::Status Remove(const std::string& name) override {
    if (!GoodName(name)) return absl::InvalidArgumentError("name");
    if (disk_.files_.count(name) == 0) return absl::OkStatus();
    if (absl::Status status = Change(); !status.ok()) return status;
    disk_.files_.erase(name);
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> FreeBytes() override { return disk_.Free(); }

 private:
  // A power cut in the middle leaves the new name with nothing in it.
  absl::Status RenameOnly(const std::string& from, const std::string& to) {
    const bool powered = !disk_.cut_;
    const absl::Status status = Change();
    if (!status.ok() && !(powered && disk_.cut_)) return status;
    auto node = disk_.files_.extract(from);
    node.key() = to;
    if (!status.ok()) node.mapped() = {.now = "", .durable = "", .synced_once = true};
    disk_.files_.insert(std::move(node));
    return status;
  }
  absl::Status Change() {
    if (!change_) return absl::FailedPreconditionError("mounted to be read");
    return disk_.Change();
  }
  FakeBootDisk& disk_;
  const bool change_;
};

FakeBootDisk::FakeBootDisk(size_t slot_size, uint64_t esp_size) : esp_size_(esp_size) {
  for (size_t i : {0, 1}) slots_[i] = durable_[i] = std::string(slot_size, '\0');
}

void FakeBootDisk::Install(host::BootSlot slot, const std::string& slot_bytes,
                           const std::string& entry, const std::string& kernel) {
  for (std::string* bytes : {&slots_[Index(slot)], &durable_[Index(slot)]}) {
    bytes->replace(0, slot_bytes.size(), slot_bytes);
  }
  files_[entry] = {.now = kernel, .durable = kernel, .synced_once = true};
}

void FakeBootDisk::Run(host::BootSlot slot, const std::string& root) {
  running_ = slot;
  running_root_ = root;
}

bool FakeBootDisk::Boot(const std::vector<std::string>& broken) {
  for (int starts = 0; starts < 10; ++starts) {
    std::optional<update::EntryName> best;
    std::string file;
    for (const auto& [name, unused] : files_) {
      std::optional<update::EntryName> entry = update::ParseEntryName(name);
      // The loader lists what has the sections of a kernel image.
      if (!entry || !Inspect(files_[name].now).ok()) continue;
      if (best && !update::BootsBefore(*entry, *best)) continue;
      best = std::move(entry);
      file = name;
    }
    if (!best) return false;
    if (best->counted) {  // before it is started
      best->left = std::max(best->left - 1, 0);
      ++best->done;
      auto node = files_.extract(file);
      file = node.key() = update::FormatEntryName(*best);
      files_.insert(std::move(node));
    }
    const std::string& kernel = files_[file].now;
    const auto whole = whole_kernels.find(best->version);
    const bool panics = std::find(broken.begin(), broken.end(), best->version) != broken.end();
    if (whole == whole_kernels.end() || kernel != whole->second || panics) continue;
    absl::StatusOr<update::KernelImage> image = Inspect(kernel);
    const auto root = image.ok() ? whole_roots.find(image->root.ToString()) : whole_roots.end();
    if (root == whole_roots.end()) continue;
    for (host::BootSlot slot : {host::BootSlot::kA, host::BootSlot::kB}) {
      if (slots_[Index(slot)].compare(0, root->second.size(), root->second) != 0) continue;
      Run(slot, root->first);
      return true;
    }
  }
  return false;
}

void FakeBootDisk::Bless() {
  for (const auto& [name, file] : files_) {
    std::optional<update::EntryName> entry = update::ParseEntryName(name);
    if (!entry || !entry->counted || file.now.find(running_root_) == std::string::npos) continue;
    auto node = files_.extract(name);
    node.key() = update::FormatEntryName({.version = entry->version});
    files_.insert(std::move(node));
    return;
  }
}

absl::Status FakeBootDisk::Change() {
  if (cut_after_ >= 0 && cut_after_-- == 0) {
    cut_ = true;
    on_cut();
  }
  if (cut_ || !powered()) return NoPower();
  ++changes_;
  return absl::OkStatus();
}

uint64_t FakeBootDisk::Free() const {
  uint64_t used = 0;
  for (const auto& [name, file] : files_) used += file.now.size();
  return used < esp_size_ ? esp_size_ - used : 0;
}

// Of what was not synced each block may be there or not, and of a file any beginning.
void FakeBootDisk::CutPower(uint64_t seed) {
  std::mt19937_64 random(seed);
  for (size_t i : {0, 1}) {
    for (size_t at = 0; at < slots_[i].size(); at += 512) {
      if (random() % 2 == 0) slots_[i].replace(at, 512, durable_[i], at, 512);
    }
    durable_[i] = slots_[i];
  }
  for (auto it = files_.begin(); it != files_.end();) {
    File& file = it->second;
    if (file.now != file.durable) {
      if (!file.synced_once && random() % 2 == 0) {
        it = files_.erase(it);
        continue;
      }
      file.now.resize(file.durable.size() + random() % (file.now.size() - file.durable.size() + 1));
    }
    file.durable = file.now;
    file.synced_once = true;
    ++it;
  }
  cut_ = false;
  cut_after_ = -1;
}

std::map<std::string, std::string> FakeBootDisk::files() const {
  std::map<std::string, std::string> out;
  for (const auto& [name, file] : files_) out[name] = file.now;
  return out;
}

std::vector<std::string> FakeBootDisk::names() const {
  std::vector<std::string> out;
  for (const auto& [name, file] : files_) out.push_back(name);
  return out;
}

absl::StatusOr<uint64_t> FakeBootDisk::SlotSize(host::BootSlot slot) {
  return slots_[Index(slot)].size();
}

absl::StatusOr<std::string> FakeBootDisk::ReadSlot(host::BootSlot slot, uint64_t offset,
                                                   size_t size) {
  if (cut_) return NoPower();
  const std::string& bytes = slots_[Index(slot)];
  return offset < bytes.size() ? bytes.substr(offset, size) : std::string();
}

absl::Status FakeBootDisk::WriteSlot(host::BootSlot slot, uint64_t offset,
                                     absl::string_view bytes) {
  if (slot == running_) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "slot-in-use", "it runs");
  }
  std::string& all = slots_[Index(slot)];
  if (offset > all.size() || bytes.size() > all.size() - offset) {
    return absl::OutOfRangeError("beyond the end of the slot");
  }
  if (absl::Status status = Change(); !status.ok()) return status;
  all.replace(offset, bytes.size(), bytes.data(), bytes.size());
  return absl::OkStatus();
}

absl::Status FakeBootDisk::SyncSlot(host::BootSlot slot) {
  if (slot == running_) {
    return api::Coded(absl::StatusCode::kFailedPrecondition, "slot-in-use", "it runs");
  }
  if (absl::Status status = Change(); !status.ok()) return status;
  if (bad_medium) slots_[Index(slot)][100] ^= 1;
  durable_[Index(slot)] = slots_[Index(slot)];
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<host::BootFiles>> FakeBootDisk::OpenFiles(Open how) {
  if (cut_) return NoPower();
  ++mounts;
  return std::make_unique<FakeBootFiles>(*this, how == Open::kChange);
}

}  // namespace basalt::testing
