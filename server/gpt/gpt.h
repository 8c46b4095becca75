// The partition table of a disk (UEFI 2.10, chapter 5.3) as a node changes it while it runs: read,
// grown with its disk, a partition added or removed, written back.
//
// Plain data: no allocation, no exceptions, no library but libc, since noded-init is linked with it
// as well as noded. What makes the table of a new image is images/builder/formats/gpt.h: it knows
// no disk that holds something already, and neither may link the other.
//
// A table lies on the disk twice, at its begin and at its end; each copy has sums of its own. Of
// two that differ the one at the begin counts. So WriteTable writes the copy at the end first:
//
//   written so far                        begin      end        read back
//   ---------------------------------    -------    -------    ---------
//   nothing                               old        old        old
//   a part of the copy at the end         old        damaged    old
//   all of it                             old        new        old
//   a part of the copy at the begin       damaged    new        new
//   everything                            new        new        new
//
// Firmware reads the copy at the end too, and Linux when it was told to (`gpt` on the command line
// of the image), so that a machine starts from every row.
#pragma once

#include <cstddef>
#include <cstdint>

namespace basalt::gpt {

inline constexpr uint32_t kPartitions = 128;  // what every tool makes; other tables are left alone
inline constexpr uint32_t kEntrySize = 128;
inline constexpr uint32_t kLargestSector = 4096;
inline constexpr size_t kNameSize = 37;  // 36 characters and the end

struct Disk {
  uint32_t sector = 512;  // bytes, logical
  uint64_t sectors = 0;
};

// As it lies on the disk, little-endian.
struct Partition {
  uint8_t type[16];  // all zero: unused
  uint8_t id[16];
  uint64_t first;
  uint64_t last;  // inclusive
  uint64_t attributes;
  uint8_t name[72];  // UTF-16
  bool used() const;
};
static_assert(sizeof(Partition) == kEntrySize);

struct Table {
  Disk disk;
  uint8_t id[16] = {};
  uint64_t first_usable = 0;
  uint64_t last_usable = 0;
  uint64_t backup = 0;  // sector of the header at the end
  Partition partition[kPartitions] = {};
};

// Which copies were as they should be. All of them: nothing has to be written for their sake.
struct Copies {
  bool begin = false;
  bool end = false;  // the same, and at the last sector of the disk
  bool mbr = false;  // that protects the disk from tools that know no GPT: with its size
  bool good() const { return begin && end && mbr; }
};

// A disk or a file. 0 or an errno; never less than all of it.
class Io {
 public:
  virtual int Read(uint64_t offset, void* data, size_t size) = 0;
  virtual int Write(uint64_t offset, const void* data, size_t size) = 0;  // durable

 protected:
  ~Io() = default;
};

// 0; ENODATA: there is no table; EBADMSG: there was one, and no copy is good; ENOTSUP: one of other
// dimensions than ours; ERANGE: it reaches beyond the disk; or what Read said. Pure but for `io`.
int ReadTable(Io& io, const Disk& disk, Table* table, Copies* copies);

// In the order above, durable after each write. 0 or what Write said: the disk has the old or the
// new table then, and it may be repeated.
int WriteTable(Io& io, const Table& table);

// A table without partitions, for a disk that holds nothing. EINVAL: the disk is too small.
int MakeTable(const Disk& disk, const uint8_t id[16], Table* table);

// Where the disk ends now, the table ends too. Changes no partition.
void MoveToEnd(Table* table);

// The last sector that this partition could have: before the next one or the end, and a whole
// mebibyte. Never less than it has.
uint64_t Room(const Table& table, uint32_t index);

// The first and last sector of what is free behind everything, in whole mebibytes. False: nothing.
bool FreeBehind(const Table& table, uint64_t* first, uint64_t* last);

// The name in ASCII, "?" for what is not; `text` has kNameSize bytes.
void NameOf(const Partition& partition, char* text);
void SetName(Partition* partition, const char* ascii);
// The index of the only partition of that name; -1: none; -2: several.
int Find(const Table& table, const char* name);

// Type "Linux file system data".
extern const uint8_t kLinuxData[16];

uint32_t Crc32(const void* data, size_t size);

}  // namespace basalt::gpt
