// A disk as the image builder writes it, below a FakeMachine: with its table, and the partitions as
// the kernel sees them.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "images/builder/formats/gpt.h"
#include "server/gpt/gpt.h"
#include "tests/unit/server/init/fake_machine.h"

namespace basalt::init {

inline gpt::Table TableOf(FakeMachine& machine, gpt::Copies* copies) {
  struct : gpt::Io {
    std::string* bytes;
    int Read(uint64_t offset, void* data, size_t size) override {
      memcpy(data, bytes->data() + offset, size);
      return 0;
    }
    int Write(uint64_t, const void*, size_t) override { return EIO; }
  } io;
  io.bytes = &machine.files["/dev/vda"];
  gpt::Table table;
  EXPECT_EQ(gpt::ReadTable(io, {512, io.bytes->size() / 512}, &table, copies), 0);
  return table;
}

// What a kernel sees when it starts: the table as it counts. The root is on the first partition
// with a name like SLOT-A.
inline void SeePartitions(FakeMachine& machine) {
  gpt::Copies copies;
  gpt::Table table = TableOf(machine, &copies);
  machine.slices.clear();
  for (int i = 0; i < static_cast<int>(gpt::kPartitions); ++i) {
    const gpt::Partition& p = table.partition[i];
    if (!p.used()) continue;
    char name[gpt::kNameSize];
    gpt::NameOf(p, name);
    machine.AddSlice("vda", i + 1, name, p.first * 512, (p.last - p.first + 1) * 512);
    if (std::string(name) == "SLOT-A") machine.BootFrom("vda" + std::to_string(i + 1));
  }
}

// From the second mebibyte on, each of so many mebibytes; the table ends one after the last.
inline void WriteImage(FakeMachine& machine,
                       const std::vector<std::pair<const char*, uint64_t>>& parts,
                       uint64_t disk_mebibytes) {
  constexpr uint64_t kSectors = (1 << 20) / 512;
  machine.AddDisk("vda", disk_mebibytes << 20);
  std::vector<image::Partition> partitions;
  uint64_t next = 1;
  for (const auto& [name, mebibytes] : parts) {
    partitions.push_back({.name = name,
                          .id = image::GuidOf(name),
                          .first_sector = next * kSectors,
                          .sectors = mebibytes * kSectors});
    next += mebibytes;
  }
  const uint64_t size = (next + 1) << 20;
  auto table = image::MakeGpt(size / 512, image::GuidOf("disk"), partitions);
  ASSERT_TRUE(table.ok()) << table.status();
  std::string& disk = machine.files["/dev/vda"];
  disk.replace(0, table->start.size(), table->start);
  disk.replace(size - table->end.size(), table->end.size(), table->end);
  SeePartitions(machine);
}

}  // namespace basalt::init
