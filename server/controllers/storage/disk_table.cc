#include "server/controllers/storage/disk_table.h"

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/gpt/format_mark.h"

namespace basalt::storage {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
constexpr size_t kMarkBlock = 4096;  // a whole sector of any disk

class DiskIo : public gpt::Io {
 public:
  DiskIo(host::BlockDevices& block, const std::string& device) : block_(block), device_(device) {}
  int Read(uint64_t offset, void* data, size_t size) override {
    auto bytes = block_.Read(device_, offset, size);
    if (!bytes.ok()) return Fail(bytes.status());
    memcpy(data, bytes->data(), size);
    return 0;
  }
  int Write(uint64_t offset, const void* data, size_t size) override {
    return Fail(block_.Write(device_, offset, {static_cast<const char*>(data), size}));
  }
  const absl::Status& status() const { return status_; }

 private:
  int Fail(const absl::Status& status) {
    if (status.ok()) return 0;
    status_ = status;
    return EIO;
  }
  host::BlockDevices& block_;
  const std::string& device_;
  absl::Status status_;
};

absl::Status FromErrno(int error, const DiskIo& io, const std::string& device) {
  if (error == 0) return absl::OkStatus();
  if (!io.status().ok()) return absl::UnavailableError(io.status().message());
  switch (error) {
    case ENODATA:
      return absl::NotFoundError(absl::StrCat(device, " has no partition table"));
    case ENOTSUP:
      return absl::UnimplementedError(
          absl::StrCat(device, " has a partition table of a size that nothing here makes"));
    case EINVAL:
      return absl::FailedPreconditionError(absl::StrCat(device, " is too small"));
    default:
      return absl::DataLossError(absl::StrCat("the partition table of ", device, " is damaged"));
  }
}

absl::Status WriteMark(host::BlockDevices& block, const std::string& device, uint64_t end,
                       bool mark) {
  std::string bytes(kMarkBlock, '\0');
  if (mark) memcpy(bytes.data(), gpt::kFormatMark, sizeof gpt::kFormatMark);
  return block.Write(device, end - gpt::kMarkDistance, bytes);
}

absl::Status WriteTable(host::BlockDevices& block, const host::BlockDisk& disk,
                        const gpt::Table& table) {
  DiskIo io(block, disk.device);
  return FromErrno(gpt::WriteTable(io, table), io, disk.device);
}

}  // namespace

std::string PartitionDevice(const std::string& disk, int number) {
  const bool digit = absl::ascii_isdigit(static_cast<unsigned char>(disk.back()));
  return absl::StrCat(disk, digit ? "p" : "", number);
}

absl::Status ReadTable(host::BlockDevices& block, const host::BlockDisk& disk, gpt::Table* table,
                       bool* both_copies) {
  if (disk.sector == 0) return absl::UnavailableError("the disk has no sectors");
  DiskIo io(block, disk.device);
  gpt::Copies copies;
  const int error = gpt::ReadTable(io, {disk.sector, disk.size / disk.sector}, table, &copies);
  if (both_copies != nullptr) *both_copies = copies.good();
  return FromErrno(error, io, disk.device);
}

absl::Status MendTable(host::BlockDevices& block, const host::BlockDisk& disk) {
  auto table = std::make_unique<gpt::Table>();
  if (absl::Status status = ReadTable(block, disk, table.get()); !status.ok()) return status;
  gpt::MoveToEnd(table.get());
  return WriteTable(block, disk, *table);
}

absl::StatusOr<std::string> AddVolume(host::BlockDevices& block, const host::BlockDisk& disk,
                                      const std::string& name, uint64_t start, uint64_t size,
                                      const std::string& id, const std::string& disk_id) {
  auto table = std::make_unique<gpt::Table>();
  absl::Status status = ReadTable(block, disk, table.get());
  const bool fresh = absl::IsNotFound(status);
  if (fresh) {
    DiskIo io(block, disk.device);
    status =
        FromErrno(gpt::MakeTable({disk.sector, disk.size / disk.sector},
                                 reinterpret_cast<const uint8_t*>(disk_id.data()), table.get()),
                  io, disk.device);
  }
  if (!status.ok()) return status;
  gpt::MoveToEnd(table.get());
  uint32_t index = 0;
  while (index < gpt::kPartitions && table->partition[index].used()) ++index;
  if (index == gpt::kPartitions) {
    return absl::ResourceExhaustedError(absl::StrCat(disk.device, " has 128 partitions already"));
  }
  gpt::Partition& p = table->partition[index];
  memcpy(p.type, gpt::kLinuxData, sizeof p.type);
  memcpy(p.id, id.data(), sizeof p.id);
  p.first = start / disk.sector;
  p.last = (start + size) / disk.sector - 1;
  gpt::SetName(&p, name.c_str());
  // Before the table has it: what lies there from earlier is nobody's, and has to go with a format.
  // And a table that is half written would be somebody else's to the next boot.
  if (fresh) status = WriteMark(block, disk.device, disk.size, /*mark=*/true);
  if (status.ok()) status = WriteMark(block, disk.device, start + size, /*mark=*/true);
  if (status.ok()) status = WriteTable(block, disk, *table);
  if (status.ok() && fresh) status = WriteMark(block, disk.device, disk.size, /*mark=*/false);
  const int number = static_cast<int>(index + 1);
  if (status.ok()) status = block.AddPartition(disk.device, number, start, size);
  if (!status.ok()) return status;
  return PartitionDevice(disk.device, number);
}

absl::Status ResizeVolume(host::BlockDevices& block, const host::BlockDisk& disk, int number,
                          uint64_t size) {
  auto table = std::make_unique<gpt::Table>();
  if (absl::Status status = ReadTable(block, disk, table.get()); !status.ok()) return status;
  gpt::MoveToEnd(table.get());
  gpt::Partition& p = table->partition[number - 1];
  if (!p.used()) return absl::NotFoundError(absl::StrCat("no partition ", number));
  const uint64_t start = p.first * disk.sector;
  // The place of the mark at its new end may hold anything.
  absl::Status status = WriteMark(block, disk.device, start + size, /*mark=*/false);
  p.last = (start + size) / disk.sector - 1;
  if (status.ok()) status = WriteTable(block, disk, *table);
  if (status.ok()) status = block.ResizePartition(disk.device, number, start, size);
  return status;
}

absl::Status RemoveVolume(host::BlockDevices& block, const host::BlockDisk& disk,
                          const std::string& id) {
  auto table = std::make_unique<gpt::Table>();
  absl::Status status = ReadTable(block, disk, table.get());
  if (absl::IsNotFound(status)) return absl::OkStatus();
  if (!status.ok()) return status;
  const std::string bytes = absl::HexStringToBytes(id);
  for (uint32_t i = 0; i < gpt::kPartitions; ++i) {
    gpt::Partition& p = table->partition[i];
    if (!p.used() || bytes.size() != sizeof p.id || memcmp(p.id, bytes.data(), sizeof p.id) != 0) {
      continue;
    }
    const uint64_t start = p.first * disk.sector, end = (p.last + 1) * disk.sector;
    // The kernel first: it refuses while somebody uses it.
    status = block.RemovePartition(disk.device, static_cast<int>(i + 1));
    if (!status.ok() && !absl::IsNotFound(status)) return status;
    gpt::MoveToEnd(table.get());
    p = {};
    if (status = WriteTable(block, disk, *table); !status.ok()) return status;
    const std::string zeros(kMebibyte, '\0');
    status = block.Write(disk.device, start, zeros);
    if (status.ok()) status = block.Write(disk.device, end - kMebibyte, zeros);
    return status;
  }
  return absl::OkStatus();
}

absl::Status RemoveMark(host::BlockDevices& block, const std::string& device, uint64_t size) {
  return WriteMark(block, device, size, /*mark=*/false);
}

absl::Status SetMark(host::BlockDevices& block, const std::string& device, uint64_t size) {
  return WriteMark(block, device, size, /*mark=*/true);
}

}  // namespace basalt::storage
