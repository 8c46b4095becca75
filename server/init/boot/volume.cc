#include "server/init/boot/volume.h"

#include <sys/mount.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <initializer_list>

#include "server/init/boot/partitions.h"
#include "server/init/boot/wipe.h"
#include "server/unlock/layout.h"

namespace basalt::init {
namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kDeviceWait = 5 * kSecond;  // disks of a bus that is slow to answer
constexpr int64_t kFormatLimit = 300 * kSecond;
constexpr int64_t kCheckLimit = 1800 * kSecond;
constexpr uint64_t kEdge = 1 << 20;
constexpr uint64_t kBtrfsMirror = 64 << 20;
constexpr size_t kExt4Magic = 1024 + 56;

char buffer[64 << 10];

// 1 when all of it is zero, 0 when not, -errno.
int AllZero(Machine& machine, const char* device, uint64_t offset, uint64_t size) {
  for (uint64_t end = offset + size; offset < end;) {
    size_t want = end - offset < sizeof buffer ? static_cast<size_t>(end - offset) : sizeof buffer;
    long n = machine.Read(device, offset, buffer, want);
    if (n < 0) return static_cast<int>(n);
    if (n == 0) return -EIO;  // shorter than the kernel says
    for (long i = 0; i < n; ++i) {
      if (buffer[i] != 0) return 0;
    }
    offset += static_cast<uint64_t>(n);
  }
  return 1;
}

[[gnu::format(printf, 5, 6)]] VolumeReport Refuse(Machine& machine, const char* name,
                                                  VolumeState state, int error, const char* format,
                                                  ...) {
  static constexpr const char* kCodes[] = {
      "",           "", "", "volume-missing", "volume-foreign", "volume-damaged", "volume-failed",
      "disk-locked"};
  VolumeReport report = {.state = state, .error = error};
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(report.reason, sizeof report.reason, format, arguments);
  va_end(arguments);
  Report(machine, kCodes[static_cast<int>(state)], error, "%s: %s", name, report.reason);
  return report;
}

// 0, errno, or what the tool said in *code.
int RunTool(Machine& machine, const char* const* argv, int64_t limit, int* code) {
  Exited exited = {};
  if (int error = machine.Run(argv, limit, &exited); error != 0) return error;
  *code = exited.signal != 0 ? 128 + exited.signal : exited.code;
  return 0;
}

// A power cut may tear the superblock itself, which has a checksum: then from its copy in the
// second group, which is of the format's time; the journal brings the rest. Code 8: e2fsck could
// not begin.
int Check(Machine& machine, const char* device, int* code) {
  const char* const argv[] = {"/usr/sbin/e2fsck", "-p", device, nullptr};
  int error = RunTool(machine, argv, kCheckLimit, code);
  if (error != 0 || *code != 8) return error;
  const char* const by_copy[] = {
      "/usr/sbin/e2fsck", "-p", "-b", "32768", "-B", "4096", device, nullptr};
  return RunTool(machine, by_copy, kCheckLimit, code);
}

// Pods share DATA with what an upgrade or a new config has to put there. So a part of it is set
// aside that only processes with CAP_SYS_RESOURCE get at (noded, its downloads, K3s itself), which
// ordinary pods do not have, root in them or not: the mount names a user for it that nobody is.
bool HasReserve(const char* name) { return strcmp(name, "DATA") == 0; }

int Mark(Machine& machine, const Partition& partition) {
  return machine.WriteDurably(partition.device, partition.size - kMarkDistance, kFormatMark,
                              sizeof kFormatMark);
}

int Format(Machine& machine, const char* name, const VolumeReport& on, int* code) {
  char blocks[24];
  snprintf(blocks, sizeof blocks, "%llu",
           static_cast<unsigned long long>((on.size - kMarkDistance) / 4096));
  char percent[4];
  snprintf(percent, sizeof percent, "%u", HasReserve(name) ? ReservePercent(on.size) : 1);
  const char* const argv[] = {
      "/usr/sbin/mke2fs", "-q",   "-F",   "-t", "ext4", "-b", "4096", "-m", percent, "-L", name,
      on.device,          blocks, nullptr};
  return RunTool(machine, argv, kFormatLimit, code);
}

// From here on the file system is that of the mapper. Our header has always the same size.
void UseMapped(const char* name, const Partition& partition, VolumeReport* on) {
  snprintf(on->device, sizeof on->device, "/dev/mapper/%s", name);
  on->size = partition.size - unlock::kDataOffset;
}

int FindSoon(Machine& machine, const char* name, Partition* partition) {
  int64_t until = machine.Now() + kDeviceWait;
  for (;;) {
    int error = FindPartition(machine, name, partition);
    if (error != ENODEV || machine.Now() >= until) return error;
    machine.Nap(kSecond / 10);
  }
}

}  // namespace

int Inspect(Machine& machine, const char* device, uint64_t size) {
  uint64_t mark = size - kMarkDistance;
  long n = machine.Read(device, mark, buffer, sizeof kFormatMark);
  if (n < 0) return static_cast<int>(n);
  if (n == sizeof kFormatMark && memcmp(buffer, kFormatMark, sizeof kFormatMark) == 0) {
    return static_cast<int>(Content::kUnfinished);
  }
  n = machine.Read(device, 0, buffer, 2048);
  if (n < 0) return static_cast<int>(n);
  if (n == 2048 && static_cast<unsigned char>(buffer[kExt4Magic]) == 0x53 &&
      static_cast<unsigned char>(buffer[kExt4Magic + 1]) == 0xef) {
    return static_cast<int>(Content::kExt4);
  }
  if (n == 2048 && memcmp(buffer, unlock::kLuksMagic, sizeof unlock::kLuksMagic - 1) == 0) {
    return static_cast<int>(Content::kLuks);
  }
  int zero = AllZero(machine, device, 0, kEdge);
  if (zero == 1) zero = AllZero(machine, device, size - kEdge, kEdge);
  if (zero == 1 && size > kBtrfsMirror + kEdge) {
    zero = AllZero(machine, device, kBtrfsMirror, 64 << 10);
  }
  if (zero < 0) return zero;
  return static_cast<int>(zero == 1 ? Content::kBlank : Content::kForeign);
}

namespace {

// An empty partition becomes an encrypted one, or a plain one; `report` says on what the file
// system comes to lie, or why not.
bool MakeLocked(Machine& machine, Locks& locks, const char* name, const Partition& p,
                VolumeReport* report) {
  MadeWith with;
  if (int error = locks.Decide(name, &with); error != 0) {
    *report = Refuse(machine, name, VolumeState::kFailed, error, "%s",
                     error == ECANCELED ? "not made while STATE is not there"
                                        : "basalt/encryption of the ESP: tpm2, node or none");
    return false;
  }
  if (with.encryption == Encryption::kNone) return true;
  int code = 0;
  int error = p.size > unlock::kDataOffset + kSmallestVolume
                  ? locks.Make(name, p, with.encryption, &code)
                  : ENOSPC;
  if (error == 0 && code == 0) {
    UseMapped(name, p, report);
    return true;
  }
  if (!with.asked) {
    Report(machine, "not-encrypted", error, "%s: the TPM would not, exit code %d: in the clear",
           name, code);
    return true;
  }
  *report = Refuse(machine, name, VolumeState::kFailed, error, "%s",
                   code == unlock::kExitNoTpm ? "to be encrypted with a TPM, and there is none"
                                              : "cannot be encrypted as it is asked for");
  return false;
}

bool OpenLocked(Machine& machine, Locks& locks, const char* name, const Partition& p,
                VolumeReport* report) {
  int code = 0;
  int error = locks.Open(name, p, &code);
  if (error == 0 && code == 0) {
    UseMapped(name, p, report);
    return true;
  }
  if (error == 0 && code == unlock::kExitLocked) {
    *report = Refuse(machine, name, VolumeState::kLocked, 0,
                     "no key opens %s: left alone; basalt/recovery-passphrase on the ESP would",
                     p.device);
  } else if (error == 0 && code == unlock::kExitDamaged) {
    *report = Refuse(machine, name, VolumeState::kDamaged, 0, "the LUKS2 header of %s", p.device);
  } else {
    *report = Refuse(machine, name, VolumeState::kFailed, error, "cannot open %s: exit code %d",
                     p.device, code);
  }
  return false;
}

}  // namespace

unsigned ReservePercent(uint64_t size) {
  const uint64_t percent = (kReserve * 100 + size - 1) / size;
  return percent < 1 ? 1 : percent > kMostReserve ? kMostReserve : static_cast<unsigned>(percent);
}

VolumeReport OpenVolume(Machine& machine, Locks& locks, const char* name, const char* target,
                        unsigned long flags, unsigned mode) {
  Partition p;
  if (int error = FindSoon(machine, name, &p); error != 0) {
    return Refuse(machine, name, VolumeState::kMissing, error,
                  error == ENOTUNIQ ? "several partitions have this name" : "no such partition");
  }
  if (p.size < kSmallestVolume) {
    return Refuse(machine, name, VolumeState::kFailed, ENOSPC, "%s is too small", p.device);
  }
  int content = Inspect(machine, p.device, p.size);
  if (content < 0) {
    return Refuse(machine, name, VolumeState::kFailed, -content, "cannot read %s", p.device);
  }
  int code = 0;
  bool fresh = false;
  VolumeReport on;  // where the file system lies
  CopyText(on.device, sizeof on.device, p.device);
  on.size = p.size;
  if (static_cast<Content>(content) == Content::kLuks) {
    if (!OpenLocked(machine, locks, name, p, &on)) return on;
    content = static_cast<int>(Content::kExt4);
  }
  switch (static_cast<Content>(content)) {
    case Content::kForeign:
      return Refuse(machine, name, VolumeState::kForeign, 0,
                    "%s holds data that is not a file system of this node: left alone", p.device);
    case Content::kBlank:
    case Content::kUnfinished: {
      fresh = true;
      const gpt::WipeMethod wipe = static_cast<Content>(content) == Content::kUnfinished
                                       ? WipeOrderOf(machine, p.device, p.size)
                                       : gpt::WipeMethod::kNone;
      if (wipe != gpt::WipeMethod::kNone) {
        if (int error = Wipe(machine, name, p.device, p.size, wipe); error != 0) {
          return Refuse(machine, name, VolumeState::kFailed, error, "cannot wipe %s", p.device);
        }
      }
      Report(machine, nullptr, 0, "%s: %s %s: formatting", name, p.device,
             static_cast<Content>(content) == Content::kBlank ? "is empty" : "is marked for it");
      int error = Mark(machine, p);
      if (error == 0 && !MakeLocked(machine, locks, name, p, &on)) return on;
      if (error == 0) error = Format(machine, name, on, &code);
      if (error != 0 || code != 0) {
        return Refuse(machine, name, VolumeState::kFailed, error, "mke2fs %s: exit code %d",
                      on.device, code);
      }
      break;
    }
    case Content::kLuks:
    case Content::kExt4: {
      int error = Check(machine, on.device, &code);
      if (error == ENOENT) {
        Report(machine, "no-fsck", 0, "%s: this image has no e2fsck: mounted unchecked", name);
      } else if (error != 0 || code >= 4) {
        return Refuse(machine, name, VolumeState::kDamaged, error, "e2fsck %s: exit code %d",
                      on.device, code);
      } else if (code != 0) {
        Report(machine, "repaired", 0, "%s: e2fsck repaired %s, exit code %d", name, on.device,
               code);
      }
      break;
    }
  }
  int error =
      machine.Mount(on.device, target, "ext4", MS_NOSUID | MS_NODEV | MS_NOATIME | flags,
                    HasReserve(name) ? "errors=remount-ro,resuid=4294967294" : "errors=remount-ro");
  if (error != 0) {
    return Refuse(machine, name, VolumeState::kFailed, error, "cannot mount %s", on.device);
  }
  // Before the mark goes: with neither a change of the passphrase would have no key to start from.
  if (fresh && strcmp(name, "STATE") == 0 && (error = locks.KeepStateKey()) != 0) {
    machine.Unmount(target);
    return Refuse(machine, name, VolumeState::kFailed, error, "cannot keep its key");
  }
  if (fresh) {
    static constexpr char kNothing[sizeof kFormatMark] = {};
    error = machine.WriteDurably(p.device, p.size - kMarkDistance, kNothing, sizeof kNothing);
    if (error != 0) {
      // With the mark a later boot would format it again, and lose what is written from here on.
      machine.Unmount(target);
      return Refuse(machine, name, VolumeState::kFailed, error, "cannot write to %s", p.device);
    }
  }
  if ((error = machine.SetMode(target, mode)) != 0) {
    Report(machine, "mode-failed", error, "%s: %s", name, target);  // damaged or read-only by now
  }
  Report(machine, nullptr, 0, "%s: %s on %s%s", name, p.device, target,
         strcmp(on.device, p.device) != 0 ? ", encrypted" : "");
  on.state = fresh ? VolumeState::kFormatted : VolumeState::kMounted;
  return on;
}

}  // namespace basalt::init
