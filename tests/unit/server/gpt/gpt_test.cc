// The table of a disk: what is read of it, and that each cut while it is written leaves the old or
// the new one.
#include "server/gpt/gpt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "images/builder/formats/gpt.h"

namespace basalt::gpt {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;

// Bytes that stop to be written at a chosen sector of all that is written.
class MemoryDisk : public Io {
 public:
  explicit MemoryDisk(uint64_t size, uint32_t sector = 512) : bytes(size, 0), sector(sector) {}
  int Read(uint64_t offset, void* data, size_t size) override {
    if (offset + size > bytes.size()) return EIO;
    memcpy(data, bytes.data() + offset, size);
    return 0;
  }
  int Write(uint64_t offset, const void* data, size_t size) override {
    EXPECT_EQ(offset % sector, 0u);
    EXPECT_EQ(size % sector, 0u);
    if (offset + size > bytes.size()) return EIO;
    for (size_t at = 0; at < size; at += sector) {
      if (budget == 0) return EIO;
      --budget;
      memcpy(bytes.data() + offset + at, static_cast<const char*>(data) + at, sector);
    }
    return 0;
  }
  Disk disk() const { return {sector, bytes.size() / sector}; }

  std::string bytes;
  uint32_t sector;
  size_t budget = SIZE_MAX;  // sectors
};

// What the image builder writes, on a disk of `size` bytes in all.
MemoryDisk Image(uint64_t size, uint64_t table_size) {
  MemoryDisk disk(size);
  auto table = image::MakeGpt(
      table_size / 512, image::GuidOf("disk"),
      {{.name = "ESP",
        .type = image::PartitionType::kEfiSystem,
        .id = image::GuidOf("1"),
        .first_sector = 2048,
        .sectors = 2048},
       {.name = "STATE", .id = image::GuidOf("2"), .first_sector = 4096, .sectors = 4096},
       {.name = "DATA",
        .id = image::GuidOf("3"),
        .first_sector = 8192,
        .sectors = table_size / 512 - 2048 - 8192}});
  EXPECT_TRUE(table.ok()) << table.status();
  disk.bytes.replace(0, table->start.size(), table->start);
  disk.bytes.replace(table_size - table->end.size(), table->end.size(), table->end);
  return disk;
}

void Grow(Table* table) {
  MoveToEnd(table);
  const int data = Find(*table, "DATA");
  ASSERT_GE(data, 0);
  table->partition[data].last = Room(*table, static_cast<uint32_t>(data));
}

TEST(Gpt, ReadsWhatTheImageBuilderWrote) {
  MemoryDisk disk = Image(16 * kMebibyte, 16 * kMebibyte);
  Table table;
  Copies copies;
  ASSERT_EQ(ReadTable(disk, disk.disk(), &table, &copies), 0);
  EXPECT_TRUE(copies.good());
  EXPECT_EQ(Find(table, "DATA"), 2);
  EXPECT_EQ(Find(table, "DAT"), -1);
  EXPECT_EQ(table.partition[2].first, 8192u);
  EXPECT_EQ(Room(table, 2), table.partition[2].last);  // the last mebibyte is the table's
  EXPECT_EQ(Room(table, 0), table.partition[0].last);  // STATE is behind it
  // Written back it is the same to the last byte.
  std::string before = disk.bytes;
  ASSERT_EQ(WriteTable(disk, table), 0);
  EXPECT_TRUE(disk.bytes == before);
}

TEST(Gpt, D1_GrowingIsOldOrNewAtEveryCut) {
  // A disk that is larger than its table: the second copy moves. And one that is not: it is
  // overwritten where it is.
  for (const uint64_t table_size : {6 * kMebibyte, 10 * kMebibyte}) {
    MemoryDisk disk = Image(10 * kMebibyte, table_size);
    Table old_table, table;
    Copies copies;
    ASSERT_EQ(ReadTable(disk, disk.disk(), &old_table, &copies), 0);
    if (table_size == disk.bytes.size()) {  // as if less had been allowed before
      old_table.partition[2].last = 6 * kMebibyte / 512 - 1;
      ASSERT_EQ(WriteTable(disk, old_table), 0);
    }
    const std::string begin = disk.bytes;
    const uint64_t old_last = old_table.partition[2].last;
    size_t cuts = 0, olds = 0, news = 0;
    for (size_t budget = 0;; ++budget, ++cuts) {
      disk.bytes = begin;
      ASSERT_EQ(ReadTable(disk, disk.disk(), &table, &copies), 0);
      Grow(&table);
      const uint64_t new_last = table.partition[2].last;
      ASSERT_EQ(new_last, 9 * kMebibyte / 512 - 1);
      disk.budget = budget;
      const int written = WriteTable(disk, table);
      disk.budget = SIZE_MAX;
      ASSERT_EQ(ReadTable(disk, disk.disk(), &table, &copies), 0) << "after sector " << budget;
      const uint64_t last = table.partition[2].last;
      ASSERT_TRUE(last == old_last || last == new_last) << "after sector " << budget;
      (last == old_last ? olds : news) += 1;
      EXPECT_EQ(table.partition[1].first, 4096u);
      if (written == 0) {
        EXPECT_EQ(last, new_last);
        EXPECT_TRUE(copies.good());
        break;
      }
      // The next boot does it again, and comes to the same end.
      Grow(&table);
      ASSERT_EQ(WriteTable(disk, table), 0);
      ASSERT_EQ(ReadTable(disk, disk.disk(), &table, &copies), 0);
      EXPECT_EQ(table.partition[2].last, new_last);
      EXPECT_TRUE(copies.good());
    }
    EXPECT_GE(cuts, 66u);  // 33 sectors a copy
    EXPECT_GE(olds, 33u);
    EXPECT_GE(news, 33u);
  }
}

TEST(Gpt, ATornSectorIsSeenByItsSum) {
  MemoryDisk disk = Image(10 * kMebibyte, 6 * kMebibyte);
  Table table;
  Copies copies;
  ASSERT_EQ(ReadTable(disk, disk.disk(), &table, &copies), 0);
  const uint64_t old_last = table.partition[2].last;
  MemoryDisk grown = disk;
  Grow(&table);
  ASSERT_EQ(WriteTable(grown, table), 0);
  const uint64_t new_last = table.partition[2].last;
  // Each sector of the copy at the begin half old, half new, with all before it new.
  for (size_t sector = 1; sector < 34; ++sector) {
    MemoryDisk torn = grown;
    const size_t half = sector * 512 + 256;
    torn.bytes.replace(half, 34 * 512 - half, disk.bytes.substr(half, 34 * 512 - half));
    ASSERT_EQ(ReadTable(torn, torn.disk(), &table, &copies), 0);
    EXPECT_TRUE(table.partition[2].last == old_last || table.partition[2].last == new_last);
  }
}

TEST(Gpt, EachFlippedBitOfACopyIsFoundAndTheOtherCounts) {
  const MemoryDisk good = Image(6 * kMebibyte, 6 * kMebibyte);
  Table table, expected;
  Copies copies;
  MemoryDisk first = good;
  ASSERT_EQ(ReadTable(first, first.disk(), &expected, &copies), 0);
  const size_t end = good.bytes.size() - 512;
  std::vector<size_t> places;
  for (size_t i = 0; i < 92; ++i) places.insert(places.end(), {512 + i, end + i});
  for (size_t i = 0; i < 3 * kEntrySize; i += 7) {
    places.insert(places.end(), {1024 + i, end - 32 * 512 + i});
  }
  for (const size_t place : places) {
    for (int bit = 0; bit < 8; ++bit) {
      MemoryDisk& disk = first;
      disk.bytes[place] = static_cast<char>(disk.bytes[place] ^ (1 << bit));
      ASSERT_EQ(ReadTable(disk, disk.disk(), &table, &copies), 0) << place;
      EXPECT_FALSE(copies.good()) << place;
      ASSERT_EQ(memcmp(table.partition, expected.partition, sizeof table.partition), 0) << place;
      EXPECT_EQ(table.last_usable, expected.last_usable);
      disk.bytes[place] = good.bytes[place];
    }
  }
}

TEST(Gpt, WhatIsNoTableOrNotOursIsToldApart) {
  MemoryDisk disk(16 * kMebibyte);
  Table table;
  Copies copies;
  EXPECT_EQ(ReadTable(disk, disk.disk(), &table, &copies), ENODATA);
  disk = Image(16 * kMebibyte, 16 * kMebibyte);
  disk.bytes[512 + 20] ^= 1;
  disk.bytes[disk.bytes.size() - 512 + 20] ^= 1;
  EXPECT_EQ(ReadTable(disk, disk.disk(), &table, &copies), EBADMSG);
  // The begin was wiped: what is at the end still says that this disk is not empty.
  disk = Image(16 * kMebibyte, 16 * kMebibyte);
  disk.bytes.replace(0, kMebibyte, std::string(kMebibyte, 0));
  EXPECT_EQ(ReadTable(disk, disk.disk(), &table, &copies), 0);
  EXPECT_FALSE(copies.begin);
  EXPECT_EQ(Find(table, "STATE"), 1);
  EXPECT_EQ(WriteTable(disk, table), 0);
  EXPECT_EQ(ReadTable(disk, disk.disk(), &table, &copies), 0);
  EXPECT_TRUE(copies.good());
  // A disk that became smaller than its partitions.
  disk = Image(16 * kMebibyte, 16 * kMebibyte);
  disk.bytes.resize(8 * kMebibyte);
  EXPECT_EQ(ReadTable(disk, disk.disk(), &table, &copies), ERANGE);
  // Dimensions of nobody.
  for (const Disk& odd : {Disk{512, 4}, Disk{513, 100000}, Disk{256, 100000}, Disk{65536, 100000},
                          Disk{512, UINT64_MAX}}) {
    EXPECT_EQ(ReadTable(disk, odd, &table, &copies), ERANGE);
  }
}

TEST(Gpt, WhatLiesInTheFirstMebibyteHasNoMoreRoom) {
  MemoryDisk disk(4 * kMebibyte);
  Table table;
  const uint8_t id[16] = {1};
  ASSERT_EQ(MakeTable(disk.disk(), id, &table), 0);
  for (int i = 0; i < 2; ++i) {  // as the partition that GRUB has for a BIOS, and another behind it
    memcpy(table.partition[i].type, kLinuxData, sizeof kLinuxData);
    table.partition[i].first = 34 + 10 * static_cast<uint64_t>(i);
    table.partition[i].last = table.partition[i].first + 5;
  }
  EXPECT_EQ(Room(table, 0), 39u);
  EXPECT_EQ(Room(table, 1), 3 * kMebibyte / 512 - 1);
}

TEST(Gpt, ANewTableIsMadeOfEitherSectorSize) {
  for (const uint32_t sector : {512U, 4096U}) {
    MemoryDisk disk(32 * kMebibyte, sector);
    Table table;
    Copies copies;
    const uint8_t id[16] = {1, 2, 3};
    ASSERT_EQ(MakeTable(disk.disk(), id, &table), 0);
    uint64_t first = 0, last = 0;
    ASSERT_TRUE(FreeBehind(table, &first, &last));
    EXPECT_EQ(first * sector, kMebibyte);
    EXPECT_EQ((last + 1) * sector, 31 * kMebibyte);
    Partition& p = table.partition[0];
    memcpy(p.type, kLinuxData, sizeof p.type);
    p.id[0] = 9;
    p.first = first;
    p.last = last;
    SetName(&p, "longhorn");
    EXPECT_FALSE(FreeBehind(table, &first, &last));
    ASSERT_EQ(WriteTable(disk, table), 0);
    Table read;
    ASSERT_EQ(ReadTable(disk, disk.disk(), &read, &copies), 0);
    EXPECT_TRUE(copies.good());
    EXPECT_EQ(Find(read, "longhorn"), 0);
    EXPECT_EQ(static_cast<uint8_t>(disk.bytes[450]), 0xee);
    // Two over each other, or beyond the end, are never written.
    std::string before = disk.bytes;
    table.partition[1] = table.partition[0];
    EXPECT_EQ(WriteTable(disk, table), EINVAL);
    table.partition[1] = {};
    table.partition[0].last = table.last_usable + 1;
    EXPECT_EQ(WriteTable(disk, table), EINVAL);
    EXPECT_TRUE(disk.bytes == before);
  }
}

}  // namespace
}  // namespace basalt::gpt
