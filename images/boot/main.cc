// The first program of the machine: /init of the initramfs. It makes the verified root and becomes
// its PID 1.
//
//   1  mounts /dev, /proc, /sys
//   2  reads from the kernel command line which root it is (root_spec.h)
//   3  loads the kernel modules that lie beside it, in the order of /modules.list
//   4  counts this boot, if it is a trial and the loader could not (tries.h)
//   5  waits until a partition SLOT-A or SLOT-B holds just that root (superblock.h), 30 s at most;
//      after a second also on a CD (disc.h)
//   6  puts dm-verity over it and mounts it, read-only
//   7  keeps the signatures for PCR 11, when the kernel image has some, in /run
//   8  moves the mounts over, makes it the root, runs /usr/bin/noded-init --pid1
//
// There is no other way out: no rescue, no prompt, no option. What fails is said on the console and
// after 5 s the machine restarts, so that the boot loader counts the try and goes back to the other
// image in the end. No library, no allocation; what needs judgement is pure and tested elsewhere.
#include <linux/mount.h>
#include <linux/reboot.h>

#include "images/boot/count.h"
#include "images/boot/disc.h"
#include "images/boot/kernel.h"
#include "images/boot/partition.h"
#include "images/boot/superblock.h"
#include "images/boot/verity_device.h"

namespace basalt::boot {
namespace {

constexpr char kInit[] = "/usr/bin/noded-init";
constexpr long kPatienceMs = 30000;
constexpr long kStepMs = 20;
constexpr long kDiscMs = 1000;  // how often drives are asked for a disc
constexpr size_t kLongestPath = 256;
constexpr size_t kSlotLabel = 6;  // "SLOT-A"

template <size_t N>
struct Buffer {
  char data[N];
  Writer writer() { return Writer(data, N); }
};

// Into the kernel's log, from where it reaches every console. Level 3 is shown also when `quiet`.
void Say(Text level, Text what, Text which = {}, long error = 0) {
  Buffer<512> line;
  Writer w = line.writer();
  w.Add(level).Add(Literal("basalt boot: ")).Add(what).Add(which);
  if (error < 0) w.Add(Literal(": errno ")).AddNumber(static_cast<uint64_t>(-error));
  w.Add(Literal("\n"));
  if (w.Finish() == nullptr) return;
  long fd = Open("/dev/kmsg", kWriteOnly);
  if (fd < 0) fd = 2;  // before /dev: what the kernel opened for us
  Call(__NR_write, fd, Address(line.data), static_cast<long>(w.length()));
  if (fd != 2) Close(fd);
}

[[noreturn]] void Fatal(Text what, Text which = {}, long error = 0) {
  Say(Literal("<3>"), what, which, error);
  Say(Literal("<3>"), Literal("restarting in 5 s"));
  Wait(5000);
  Call(__NR_sync, 0L);
  Call(__NR_reboot, static_cast<long>(LINUX_REBOOT_MAGIC1), LINUX_REBOOT_MAGIC2,
       LINUX_REBOOT_CMD_RESTART);
  for (;;) Wait(1000);
}

// All of a small file of the kernel's. Empty when it cannot be read or does not fit.
Text ReadSmall(const char* path, char* buffer, size_t size) {
  long fd = Open(path, kReadOnly);
  if (fd < 0) return {};
  size_t length = 0;
  long got = 0;
  while (length < size && (got = ReadAt(fd, buffer + length, size - length, length)) > 0) {
    length += static_cast<size_t>(got);
  }
  Close(fd);
  return got < 0 || length == size ? Text{} : Text{buffer, length};
}

void MountKernelFiles() {
  if (long e = Mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755"); e < 0) {
    Fatal(Literal("cannot mount /dev"), {}, e);
  }
  constexpr unsigned long kClosed = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (long e = Mount("proc", "/proc", "proc", kClosed); e < 0) {
    Fatal(Literal("cannot mount /proc"), {}, e);
  }
  if (long e = Mount("sysfs", "/sys", "sysfs", kClosed); e < 0) {
    Fatal(Literal("cannot mount /sys"), {}, e);
  }
}

// A driver that does not load is said and left out: if the disk needs it, step 5 fails. Each file
// is removed once it is loaded, as the initramfs is memory.
void LoadModules() {
  static char text[16384];
  Text rest = ReadSmall("/modules.list", text, sizeof text);
  if (rest.size == 0) Fatal(Literal("cannot read /modules.list"));
  Text path;
  while (NextPiece(&rest, '\n', &path)) {
    Buffer<kLongestPath> copy;
    Writer w = copy.writer();
    if (w.Add(path).Finish() == nullptr) Fatal(Literal("too long: "), path);
    long fd = Open(copy.data, kReadOnly);
    long error = fd < 0 ? fd : Call(__NR_finit_module, fd, Address(""), 0);
    if (fd >= 0) Close(fd);
    constexpr long kExists = -17;
    if (error < 0 && error != kExists) Say(Literal("<4>"), Literal("not loaded: "), path, error);
    Call(__NR_unlinkat, kHere, Address(copy.data), 0);
  }
}

// True when this partition holds the root; then its superblock too.
bool Holds(const Partition& partition, const RootSpec& spec, Superblock* superblock) {
  Buffer<kLongestPath> path;
  Writer w = path.writer();
  if (w.Add(Literal("/dev/")).Add(partition.name).Finish() == nullptr) return false;
  long fd = Open(path.data, kReadOnly);
  if (fd < 0) return false;
  long got = ReadAt(fd, superblock, sizeof *superblock, spec.blocks * kBlockSize);
  Close(fd);
  return got == static_cast<long>(sizeof *superblock) && Matches(*superblock, spec);
}

struct DirectoryEntry {  // linux_dirent64
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[1];
};

struct Slot {
  Superblock superblock;
  char label[16];
  char device[32];  // MAJOR:MINOR
};

// A boot that is not counted goes on: it may be a good one. Said once, at the first ESP that has
// the entry.
void CountOn(const Partition& partition, Trial* trial) {
  Buffer<kLongestPath> path;
  Writer w = path.writer();
  if (w.Add(Literal("/dev/")).Add(partition.name).Finish() == nullptr) return;
  constexpr long kNoSuchFile = -2;
  long error = Count(*trial, path.data, "/root");
  if (error == kNoSuchFile) return;
  trial->pending = false;
  size_t length = 0;
  while (trial->to[length] != 0) ++length;
  Say(error < 0 ? Literal("<3>") : Literal("<5>"),
      error < 0 ? Literal("cannot count this trial: ") : Literal("counted this trial: "),
      {trial->to, length}, error);
}

bool LookAt(const char* name, const RootSpec& spec, Trial* trial, Slot* slot) {
  Buffer<kLongestPath> path;
  Writer w = path.writer();
  size_t length = 0;
  while (name[length] != 0) ++length;
  w.Add(Literal("/sys/class/block/")).Add({name, length}).Add(Literal("/uevent"));
  if (w.Finish() == nullptr) return false;
  char uevent[1024];
  Partition partition;
  if (!ParsePartition(ReadSmall(path.data, uevent, sizeof uevent), &partition)) return false;
  if (trial->pending && IsEsp(partition)) CountOn(partition, trial);
  // Into a place of its own: the other slot may be looked at after the right one.
  Superblock superblock;
  if (!IsSlot(partition) || !Holds(partition, spec, &superblock)) return false;
  slot->superblock = superblock;
  Writer label(slot->label, sizeof slot->label);
  Writer device(slot->device, sizeof slot->device);
  return label.Add(partition.label).Finish() != nullptr &&
         device.Add(partition.major).Add(Literal(":")).Add(partition.minor).Finish() != nullptr;
}

// Once over all block devices; all of them, too, where a trial has to be counted still.
bool FindSlot(const RootSpec& spec, Trial* trial, Slot* slot) {
  long fd = Open("/sys/class/block", kReadOnly);
  if (fd < 0) return false;
  bool found = false;
  alignas(8) char entries[4096];
  long got = 0;
  while ((!found || trial->pending) &&
         (got = Call(__NR_getdents64, fd, Address(entries), sizeof entries)) > 0) {
    for (long at = 0; at < got && (!found || trial->pending);) {
      const auto* entry = reinterpret_cast<const DirectoryEntry*>(entries + at);
      at += entry->length;
      if (entry->name[0] != '.' && LookAt(entry->name, spec, trial, slot)) found = true;
    }
  }
  Close(fd);
  return found;
}

// A disc comes when its drive has found it; one that is attached already is held by its device.
void AttachDiscs() {
  static bool attached[4];
  for (size_t i = 0; i < sizeof attached / sizeof attached[0]; ++i) {
    Buffer<16> path;
    Writer w = path.writer();
    if (attached[i] || w.Add(Literal("/dev/sr")).AddNumber(i).Finish() == nullptr) continue;
    attached[i] = AttachDisc(path.data) == 0;
    if (attached[i]) Say(Literal("<5>"), Literal("looks on the disc in "), {path.data, w.length()});
  }
}

void MountRoot(const RootSpec& spec, const Slot& slot) {
  Buffer<1024> table;
  Writer w = table.writer();
  size_t device_length = 0;
  while (slot.device[device_length] != 0) ++device_length;
  if (!WriteVerityTable(slot.superblock, spec, {slot.device, device_length}, &w)) {
    Fatal(Literal("the dm-verity table does not fit"));
  }
  char path[32];
  if (long e = CreateVerityDevice(spec.blocks, table.data, w.length(), path, sizeof path); e < 0) {
    Fatal(Literal("cannot make the verified device"), {}, e);
  }
  long e = Mount(path, "/root", "erofs", MS_RDONLY | MS_NOSUID | MS_NODEV);
  if (e < 0) Fatal(Literal("cannot mount the root"), {}, e);
}

// An address that is computed when it is needed: a table of addresses in the data would have to be
// relocated first.
const char* At(const char* text) {
  __asm__("" : "+r"(text));
  return text;
}

// Signatures of what this kernel image measures, which the EFI stub has put beside the initramfs:
// who opens the disks wants them. In /run, which goes along; without them PID 1 makes /run itself.
// What fails here only leaves a disk locked, and that is said there.
bool CopyFile(const char* from, const char* to) {
  static char content[65536];
  const Text text = ReadSmall(from, content, sizeof content);
  if (text.size == 0) return false;
  const long fd = Call(__NR_openat, kHere, Address(to), kWriteOnly | kCreate | kCloseOnExec, 0444);
  if (fd < 0) return false;
  const long wrote = Call(__NR_write, fd, Address(text.data), static_cast<long>(text.size));
  Close(fd);
  return wrote == static_cast<long>(text.size);
}

bool CarrySignatures() {
  const long fd = Open("/.extra/tpm2-pcr-signature.json", kReadOnly);
  if (fd < 0) return false;
  Close(fd);
  Call(__NR_mkdirat, kHere, Address("/run"), 0755);
  if (Mount("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=20%") < 0) return false;
  Call(__NR_mkdirat, kHere, Address("/run/basalt"), 0755);
  if (!CopyFile("/.extra/tpm2-pcr-signature.json", "/run/basalt/tpm2-pcr-signature.json") ||
      !CopyFile("/.extra/tpm2-pcr-public-key.pem", "/run/basalt/tpm2-pcr-public-key.pem")) {
    Say(Literal("<4>"), Literal("the signatures for PCR 11 cannot be carried over"));
  }
  return true;
}

[[noreturn]] void SwitchRoot() {
  if (CarrySignatures() && Mount("/run", "/root/run", nullptr, MS_MOVE) < 0) {
    Say(Literal("<4>"), Literal("the signatures for PCR 11 are lost"));
  }
  if (Mount("/dev", "/root/dev", nullptr, MS_MOVE) < 0 ||
      Mount("/proc", "/root/proc", nullptr, MS_MOVE) < 0 ||
      Mount("/sys", "/root/sys", nullptr, MS_MOVE) < 0 || Call(__NR_chdir, "/root") < 0 ||
      Mount(".", "/", nullptr, MS_MOVE) < 0 || Call(__NR_chroot, ".") < 0 ||
      Call(__NR_chdir, "/") < 0) {
    Fatal(Literal("cannot change to the root"));
  }
  const char* arguments[] = {At(kInit), At("--pid1"), nullptr};
  const char* environment[] = {At("PATH=/usr/bin"), At("HOME=/"), At("TERM=linux"), nullptr};
  long e = Call(__NR_execve, Address(kInit), Address(arguments), Address(environment));
  Fatal(Literal("cannot run /usr/bin/noded-init"), {}, e);
}

[[noreturn]] void Boot() {
  MountKernelFiles();
  static char command_line[4096];
  RootSpec spec;
  if (!ParseRootSpec(ReadSmall("/proc/cmdline", command_line, sizeof command_line), &spec)) {
    Fatal(Literal("noded.root on the kernel command line is absent, doubled or malformed"));
  }
  LoadModules();
  static Trial trial;
  ReadTrial(&trial);
  static Slot slot;
  long waited = 0;
  while (!FindSlot(spec, &trial, &slot)) {  // disks appear when their drivers are done
    if ((waited += kStepMs) > kPatienceMs) Fatal(Literal("no slot holds the root of this kernel"));
    if (waited % kDiscMs == 0) AttachDiscs();
    Wait(kStepMs);
  }
  MountRoot(spec, slot);
  Say(Literal("<5>"), Literal("verified root from "), {slot.label, kSlotLabel});
  SwitchRoot();
}

}  // namespace
}  // namespace basalt::boot

extern "C" __attribute__((noreturn, used)) void BasaltBootMain() { basalt::boot::Boot(); }
