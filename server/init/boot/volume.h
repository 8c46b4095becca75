// STATE and DATA: found, made at the first boot, checked, mounted.
//
// A partition is formatted only when it holds nothing: the first and the last mebibyte and the
// place of a btrfs mirror are zero. What holds anything that is not ext4 is left alone and said. A
// format that a power cut ended is told apart by a mark in the last 64 KiB, which mke2fs is kept
// away from: the mark is there from before the first byte of the format until after the first
// mount, so that nothing else was ever on that partition.
//
//   content of the partition      done
//   --------------------------    ----------------------------------------------------------
//   ext4                          e2fsck -p, mount
//   LUKS2                         opened (locks.h), then as ext4; refused: kLocked
//   nothing, or our mark          mark, [LUKS2,] mke2fs, mount, mark removed
//   nothing, or our mark          wiped where a reset ordered it (wipe.h), mark, mke2fs, mount,
//                                 mark removed
//   anything else                 refused: kForeign
//
//   e2fsck   0, 1, 2              mounted: it was not mounted before, so nothing stale is cached
//            4, 8 and above       refused: kDamaged; whoever owns the node decides
//            not on the image     mounted; the kernel replays the journal
#pragma once

#include "server/gpt/format_mark.h"
#include "server/init/boot/locks.h"
#include "server/init/boot/machine.h"
#include "server/init/boot/report.h"
#include "server/init/protocol.h"

namespace basalt::init {

// On the wire to noded too (BootReply): appended to, never changed.
enum class VolumeState : uint8_t {
  kNone,  // not looked for: the platform has no partitions
  kMounted,
  kFormatted,  // and mounted: this was its first boot
  kMissing,    // no partition of that name, or too many
  kForeign,    // holds something that is not ours
  kDamaged,    // the check says that a person has to look
  kFailed,     // a tool or the mount failed
  kLocked,     // encrypted, and no key opens it
};

static_assert(static_cast<uint8_t>(VolumeState::kMissing) == kFirstMissingVolume);
static_assert(static_cast<uint8_t>(VolumeState::kLocked) == kLockedVolume);
static_assert(static_cast<uint8_t>(VolumeState::kFormatted) == kFormattedVolume);

struct VolumeReport {
  VolumeState state = VolumeState::kNone;
  int error = 0;
  char reason[kReasonSize] = {};  // for a person, "" when it is mounted
  char device[sizeof(Partition::device)] =
      {};             // that the file system lies on; with encryption one of the mapper
  uint64_t size = 0;  // of it, in bytes
  bool mounted() const {
    return state == VolumeState::kMounted || state == VolumeState::kFormatted;
  }
};

enum class Content { kBlank, kUnfinished, kExt4, kLuks, kForeign };

using gpt::kFormatMark;
using gpt::kMarkDistance;
inline constexpr uint64_t kSmallestVolume = 16 << 20;

// Of DATA, for what keeps the node alive: an image and a K3s, with room to spare.
inline constexpr uint64_t kReserve = 512 << 20;
inline constexpr unsigned kMostReserve = 20;  // percent
// What mke2fs is told for a DATA of that size. Pure.
unsigned ReservePercent(uint64_t size);

// What lies on the device. -errno when it cannot be read, else a Content.
int Inspect(Machine& machine, const char* device, uint64_t size);

// `flags` beyond nosuid, nodev and noatime; `mode` of the directory that is seen then.
VolumeReport OpenVolume(Machine& machine, Locks& locks, const char* name, const char* target,
                        unsigned long flags, unsigned mode);

}  // namespace basalt::init
