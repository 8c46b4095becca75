#include "images/boot/partition.h"

#include "images/boot/disc.h"

namespace basalt::boot {
namespace {

bool GoodName(Text name) {
  if (name.size == 0 || name.size > 64 || name.data[0] == '.') return false;
  for (size_t i = 0; i < name.size; ++i) {
    if (name.data[i] == '/' || name.data[i] == 0) return false;
  }
  return true;
}

bool Take(Text line, Text key, Text* value) {
  if (!StartsWith(line, key)) return false;
  *value = {line.data + key.size, line.size - key.size};
  return true;
}

}  // namespace

bool ParsePartition(Text uevent, Partition* p) {
  *p = {};
  Text rest = uevent;
  Text line;
  while (NextPiece(&rest, '\n', &line)) {
    if (Take(line, Literal("MAJOR="), &p->major)) continue;
    if (Take(line, Literal("MINOR="), &p->minor)) continue;
    if (Take(line, Literal("DEVNAME="), &p->name)) continue;
    Take(line, Literal("PARTNAME="), &p->label);
  }
  uint64_t number = 0;
  constexpr uint64_t kMost = (1 << 20) - 1;
  return p->label.size > 0 && GoodName(p->name) && ParseNumber(p->major, kMost, &number) &&
         ParseNumber(p->minor, kMost, &number);
}

bool IsSlot(const Partition& p) {
  return Equal(p.label, Literal("SLOT-A")) || Equal(p.label, Literal("SLOT-B"));
}

bool IsEsp(const Partition& p) { return Equal(p.label, Literal("ESP")); }

bool IsTableHeader(Text sector) { return StartsWith(sector, Literal("EFI PART")); }

}  // namespace basalt::boot
