#include "server/host/vfs.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "server/host/vfs_disk.h"

namespace basalt::host {
namespace {

// Without "." components and doubled slashes; "" is the root.
absl::StatusOr<std::string> Clean(absl::string_view path) {
  if (absl::StartsWith(path, "/") || path.find('\0') != absl::string_view::npos) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-path",
                      absl::StrCat("not a path below the node's directory: ", path));
  }
  std::vector<absl::string_view> parts;
  for (absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == "..") {
      return api::Coded(absl::StatusCode::kInvalidArgument, "bad-path",
                        absl::StrCat("a path may not leave the node's directory: ", path));
    }
    if (part != ".") parts.push_back(part);
  }
  return absl::StrJoin(parts, "/");
}

absl::StatusOr<std::string> CleanFile(absl::string_view path) {
  absl::StatusOr<std::string> clean = Clean(path);
  if (clean.ok() && clean->empty()) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-path", "a file needs a name");
  }
  return clean;
}

std::string Parent(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string TempName(const std::string& path) {
  size_t slash = path.rfind('/');
  size_t at = slash == std::string::npos ? 0 : slash + 1;
  return absl::StrCat(path.substr(0, at), kTempPrefix, path.substr(at));
}

class DiskVfs : public Vfs {
 public:
  explicit DiskVfs(std::unique_ptr<Disk> disk) : disk_(std::move(disk)) {}

  absl::StatusOr<std::string> Read(absl::string_view path, size_t max_bytes) override {
    absl::StatusOr<std::string> clean = CleanFile(path);
    if (!clean.ok()) return clean.status();
    return disk_->Read(*clean, max_bytes);
  }

  absl::Status Replace(absl::string_view path, absl::string_view data, uint32_t mode) override {
    return Put(path, data, mode, /*durable=*/true);
  }

  absl::Status ReplaceVolatile(absl::string_view path, absl::string_view data,
                               uint32_t mode) override {
    return Put(path, data, mode, /*durable=*/false);
  }

  absl::Status AppendSync(absl::string_view path, absl::string_view data) override {
    return AppendTo(path, data, /*durable=*/true);
  }
  absl::Status Append(absl::string_view path, absl::string_view data) override {
    return AppendTo(path, data, /*durable=*/false);
  }

  absl::Status Truncate(absl::string_view path, uint64_t size) override {
    absl::StatusOr<std::string> clean = CleanFile(path);
    if (!clean.ok()) return clean.status();
    absl::StatusOr<int> file = disk_->OpenFile(*clean, Disk::Open::kAppend, 0600);
    if (!file.ok()) return file.status();
    absl::Status status = disk_->Resize(*file, size);
    if (status.ok()) status = disk_->SyncFile(*file);
    disk_->Close(*file);
    return status;
  }

  absl::Status Remove(absl::string_view path) override {
    absl::StatusOr<std::string> clean = CleanFile(path);
    if (!clean.ok()) return clean.status();
    absl::Status status = disk_->Unlink(*clean);
    return absl::IsNotFound(status) ? absl::OkStatus() : status;
  }

  absl::Status SyncDir(absl::string_view path) override {
    absl::StatusOr<std::string> clean = Clean(path);
    if (!clean.ok()) return clean.status();
    return disk_->SyncDir(*clean);
  }

  absl::Status MakeDirs(absl::string_view path, uint32_t mode) override {
    absl::StatusOr<std::string> clean = Clean(path);
    if (!clean.ok()) return clean.status();
    std::string sofar;
    for (absl::string_view part : absl::StrSplit(*clean, '/', absl::SkipEmpty())) {
      std::string parent = sofar;
      absl::StrAppend(&sofar, sofar.empty() ? "" : "/", part);
      absl::Status status = disk_->MakeDir(sofar, mode);
      if (absl::IsAlreadyExists(status)) continue;
      if (status.ok()) status = disk_->SyncDir(parent);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> List(absl::string_view dir) override {
    absl::StatusOr<std::string> clean = Clean(dir);
    if (!clean.ok()) return clean.status();
    return disk_->List(*clean);
  }

  bool Exists(absl::string_view path) override {
    absl::StatusOr<std::string> clean = Clean(path);
    return clean.ok() && (clean->empty() || disk_->Exists(*clean));
  }

  absl::StatusOr<uint64_t> FreeBytes(absl::string_view dir) override {
    absl::StatusOr<std::string> clean = Clean(dir);
    if (!clean.ok()) return clean.status();
    return disk_->FreeBytes(*clean);
  }

  std::string Absolute(absl::string_view path) const override {
    return disk_->Absolute(std::string(path));
  }

 private:
  // The order is the promise: content durable before it gets the name, the name durable before
  // success is reported.
  absl::Status Put(absl::string_view path, absl::string_view data, uint32_t mode, bool durable) {
    absl::StatusOr<std::string> clean = CleanFile(path);
    if (!clean.ok()) return clean.status();
    const std::string temp = TempName(*clean);
    absl::StatusOr<int> file = disk_->OpenFile(temp, Disk::Open::kCreateNew, mode);
    if (absl::IsAlreadyExists(file.status())) {  // a cut left it; nobody else writes this path now
      absl::Status removed = disk_->Unlink(temp);
      if (!removed.ok()) return removed;
      file = disk_->OpenFile(temp, Disk::Open::kCreateNew, mode);
    }
    if (!file.ok()) return file.status();
    absl::Status status = disk_->Write(*file, data);
    if (status.ok() && durable) status = disk_->SyncFile(*file);
    disk_->Close(*file);
    if (status.ok()) status = disk_->Rename(temp, *clean);
    if (!status.ok()) {
      disk_->Unlink(temp).IgnoreError();  // the first error is the one to report
      return status;
    }
    return durable ? disk_->SyncDir(Parent(*clean)) : absl::OkStatus();
  }

  absl::Status AppendTo(absl::string_view path, absl::string_view data, bool durable) {
    absl::StatusOr<std::string> clean = CleanFile(path);
    if (!clean.ok()) return clean.status();
    bool created = false;
    absl::StatusOr<int> file = disk_->OpenFile(*clean, Disk::Open::kAppend, 0600);
    if (absl::IsNotFound(file.status())) {
      file = disk_->OpenFile(*clean, Disk::Open::kCreateNew, 0600);
      created = file.ok();
    }
    if (!file.ok()) return file.status();
    absl::StatusOr<uint64_t> size = disk_->Size(*file);
    absl::Status status = size.status();
    if (status.ok()) status = disk_->Write(*file, data);
    if (status.ok() && durable) status = disk_->SyncFile(*file);
    if (status.ok() && durable && created) status = disk_->SyncDir(Parent(*clean));
    // Half an append must not stay in front of the next one. When the cut back fails too, the
    // record's own checksum is what is left; the first error is the one to report.
    if (!status.ok() && size.ok()) disk_->Resize(*file, *size).IgnoreError();
    disk_->Close(*file);
    return status;
  }

  std::unique_ptr<Disk> disk_;
};

}  // namespace

std::unique_ptr<Vfs> MakeVfs(std::unique_ptr<Disk> disk) {
  return std::make_unique<DiskVfs>(std::move(disk));
}

absl::StatusOr<std::unique_ptr<Vfs>> OpenVfs(const std::string& root) {
  absl::StatusOr<std::unique_ptr<Disk>> disk = OpenPosixDisk(root);
  if (!disk.ok()) return disk.status();
  return MakeVfs(*std::move(disk));
}

}  // namespace basalt::host
