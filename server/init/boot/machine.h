// What PID 1 asks of the machine before it supervises and after, at the level it reasons in: files
// of the kernel, mounts, partitions, one program at a time, the clock, the watchdog, the end.
// Beside Os, which is what the supervisor asks while it runs. Real: real_machine.h. Fake with a
// memory: tests/unit/server/init/fake_machine.h.
//
// One thread, no allocation. Results are errno values, negated where a number is also returned.
// What may take long says by which limit it returns.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/init/core/os.h"

namespace basalt::init {

// Names in a directory. What does not fit is left out and said.
struct Names {
  static constexpr int kMost = 256;
  static constexpr size_t kSize = 64;
  char name[kMost][kSize];
  int count = 0;
  bool more = false;
};

enum class End : uint8_t { kPowerOff, kReboot };
enum class Erasure : uint8_t { kZero, kDiscard, kSecureDiscard };

class Machine {
 public:
  // False in a pid namespace: the kernel, its modules, its clock and its power are somebody else's.
  virtual bool OwnsKernel() = 0;
  virtual int64_t Now() = 0;  // CLOCK_BOOTTIME in ns
  virtual void Nap(int64_t ns) = 0;
  virtual int64_t WallSeconds() = 0;
  virtual int SetWallSeconds(int64_t seconds) = 0;

  virtual bool Exists(const char* path) = 0;
  virtual bool IsMounted(const char* path) = 0;
  virtual int MakeDirectory(const char* path, unsigned mode) = 0;  // there already: 0
  virtual int SetMode(const char* path, unsigned mode) = 0;
  // Bytes from `offset`, fewer at the end of the file.
  virtual long Read(const char* path, uint64_t offset, void* data, size_t size) = 0;
  // One write to a file that exists: what the kernel's own files want.
  virtual int Write(const char* path, const void* data, size_t size) = 0;
  virtual int WriteDurably(const char* path, uint64_t offset, const void* data, size_t size) = 0;
  virtual int Replace(const char* path, const void* data, size_t size) = 0;  // durable, 0600
  // At most `most` bytes (EFBIG), whole or not at all; its content is durable, its name not yet.
  virtual int Copy(const char* from, const char* to, size_t most, unsigned mode) = 0;
  // Durable. On FAT a power cut may lose the file: the kernel writes the new name with no content
  // first and takes the old one away before it fills that in.
  virtual int Rename(const char* from, const char* to) = 0;
  virtual int Remove(const char* path) = 0;  // durable; absent: 0
  virtual int List(const char* directory, Names* names) = 0;
  virtual int DeviceOf(const char* path, unsigned* major, unsigned* minor) = 0;

  virtual int Mount(const char* source, const char* target, const char* type, unsigned long flags,
                    const char* options) = 0;
  virtual int Unmount(const char* target) = 0;
  // The kernel's idea of a partition, in bytes; it may be mounted. Nothing is written.
  virtual int ResizePartition(const char* disk, int number, uint64_t start, uint64_t size) = 0;
  // Of a device that nothing uses: afterwards it reads as zeros, or is forgotten by the disk.
  // EOPNOTSUPP: this one cannot.
  virtual int Erase(const char* device, Erasure how, uint64_t offset, uint64_t size) = 0;
  virtual int LoadModule(const char* path) = 0;
  virtual int LinkUp(const char* interface) = 0;
  // What services may ask for, and what they get unasked: descriptors up to `files`, processes
  // without a limit (cgroups have one), no core files.
  virtual int SetLimits(uint64_t files) = 0;

  virtual int RandomBytes(void* data, size_t size) = 0;  // never waits
  virtual int AddEntropy(const void* data, size_t size, bool credit) = 0;

  // Runs one program to its end, output to the console; killed at the limit (ETIMEDOUT). The
  // watchdog is petted meanwhile.
  virtual int Run(const char* const* argv, int64_t limit_ns, Exited* exited) = 0;
  // Calls `work` where it cannot hang PID 1: in a child, which is left behind at the limit
  // (ETIMEDOUT). Its result else.
  virtual int Apart(int (*work)(Machine& machine), int64_t limit_ns) = 0;

  // The watchdog device, asked to wait `*timeout_ns`; what it really waits comes back.
  virtual int OpenWatchdog(int64_t* timeout_ns) = 0;
  virtual int SetWatchdog(int64_t* timeout_ns) = 0;  // of the open one, as when it was opened
  virtual int PetWatchdog() = 0;

  virtual int SignalAll(int signal) = 0;
  // Reaps until there is no child left, at most `limit_ns`. Are there none?
  virtual bool AwaitNoChildren(int64_t limit_ns) = 0;
  virtual void SyncAll() = 0;
  virtual void Finish(End end) = 0;  // reboot(2); returns only where that cannot be

  virtual void Say(const char* text) = 0;  // one line to the console and the kernel's log

 protected:
  ~Machine() = default;
};

}  // namespace basalt::init
