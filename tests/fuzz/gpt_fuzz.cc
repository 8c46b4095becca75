// The begin and the end of a disk, as the partition table of it is read: by noded-init at boot, by
// noded before it makes a volume. What is accepted lies on the disk, no two partitions over each
// other, and is read the same after it was written back.
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "server/gpt/gpt.h"
#include "server/init/boot/grow.h"

namespace {

namespace gpt = basalt::gpt;

constexpr uint64_t kSize = 256 << 10;  // small, or a run would be about zeroing it

void Must(bool holds) {
  if (!holds) std::abort();
}

class Bytes : public gpt::Io {
 public:
  int Read(uint64_t offset, void* data, size_t size) override {
    Must(offset <= kSize && size <= kSize - offset);
    memcpy(data, bytes.data() + offset, size);
    return 0;
  }
  int Write(uint64_t offset, const void* data, size_t size) override {
    Must(offset <= kSize && size <= kSize - offset);
    memcpy(bytes.data() + offset, data, size);
    return 0;
  }
  std::string bytes = std::string(kSize, 0);
};

// Sums are made right, or no mutation would get past them.
void Sum(std::string& bytes, uint64_t header, uint64_t entries) {
  uint32_t crc = gpt::Crc32(bytes.data() + entries, 16384);
  memcpy(bytes.data() + header + 88, &crc, 4);
  memset(bytes.data() + header + 16, 0, 4);
  crc = gpt::Crc32(bytes.data() + header, 92);
  memcpy(bytes.data() + header + 16, &crc, 4);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  basalt::init::ParseLimit(reinterpret_cast<const char*>(data), size);
  static Bytes disk;
  std::fill(disk.bytes.begin(), disk.bytes.end(), 0);
  const uint8_t how = data[0];
  const gpt::Disk geometry = {(how & 1) != 0 ? 4096U : 512U,
                              kSize / ((how & 1) != 0 ? 4096U : 512U)};
  // Half of it at the begin, half before the end.
  const size_t half = std::min<size_t>((size - 1) / 2, 64 << 10);
  memcpy(disk.bytes.data(), data + 1, half);
  memcpy(disk.bytes.data() + kSize - half, data + 1 + half, half);
  if ((how & 2) != 0) Sum(disk.bytes, geometry.sector, 2 * geometry.sector);
  if ((how & 4) != 0) {
    Sum(disk.bytes, kSize - geometry.sector, kSize - geometry.sector - 16384);
  }
  static gpt::Table table;
  static gpt::Table again;
  gpt::Copies copies;
  if (gpt::ReadTable(disk, geometry, &table, &copies) != 0) return 0;
  Must(copies.begin || copies.end);
  char name[gpt::kNameSize];
  for (uint32_t i = 0; i < gpt::kPartitions; ++i) {
    const gpt::Partition& p = table.partition[i];
    gpt::NameOf(p, name);
    Must(strlen(name) < sizeof name);
    if (!p.used()) continue;
    Must(p.first <= p.last && p.last < geometry.sectors);
    Must(gpt::Room(table, i) >= p.last && gpt::Room(table, i) < geometry.sectors);
  }
  uint64_t first = 0, last = 0;
  if (gpt::FreeBehind(table, &first, &last)) Must(first <= last && last <= table.last_usable);
  gpt::Find(table, "DATA");
  if (!copies.end) gpt::MoveToEnd(&table);
  if (gpt::WriteTable(disk, table) != 0) return 0;
  Must(gpt::ReadTable(disk, geometry, &again, &copies) == 0 && copies.good());
  Must(memcmp(table.partition, again.partition, sizeof table.partition) == 0);
  Must(table.last_usable == again.last_usable && table.first_usable == again.first_usable);
  return 0;
}
