// Machine on Linux: thin, no decisions but limits. One thread.
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

class RealMachine : public Machine {
 public:
  bool OwnsKernel() override;
  int64_t Now() override;
  void Nap(int64_t ns) override;
  int64_t WallSeconds() override;
  int SetWallSeconds(int64_t seconds) override;
  bool Exists(const char* path) override;
  bool IsMounted(const char* path) override;
  int MakeDirectory(const char* path, unsigned mode) override;
  int SetMode(const char* path, unsigned mode) override;
  long Read(const char* path, uint64_t offset, void* data, size_t size) override;
  int Write(const char* path, const void* data, size_t size) override;
  int WriteDurably(const char* path, uint64_t offset, const void* data, size_t size) override;
  int Replace(const char* path, const void* data, size_t size) override;
  int Copy(const char* from, const char* to, size_t most, unsigned mode) override;
  int Rename(const char* from, const char* to) override;
  int Remove(const char* path) override;
  int List(const char* directory, Names* names) override;
  int DeviceOf(const char* path, unsigned* major, unsigned* minor) override;
  int Mount(const char* source, const char* target, const char* type, unsigned long flags,
            const char* options) override;
  int Unmount(const char* target) override;
  int ResizePartition(const char* disk, int number, uint64_t start, uint64_t size) override;
  int Erase(const char* device, Erasure how, uint64_t offset, uint64_t size) override;
  int LoadModule(const char* path) override;
  int LinkUp(const char* interface) override;
  int SetLimits(uint64_t files) override;
  int RandomBytes(void* data, size_t size) override;
  int AddEntropy(const void* data, size_t size, bool credit) override;
  int Run(const char* const* argv, int64_t limit_ns, Exited* exited) override;
  int Apart(int (*work)(Machine& machine), int64_t limit_ns) override;
  int OpenWatchdog(int64_t* timeout_ns) override;
  int SetWatchdog(int64_t* timeout_ns) override;
  int PetWatchdog() override;
  int SignalAll(int signal) override;
  bool AwaitNoChildren(int64_t limit_ns) override;
  void SyncAll() override;
  void Finish(End end) override;
  void Say(const char* text) override;

 private:
  // Waits for one child; at the limit kills it and leaves it to be reaped later.
  int Await(int pid, int64_t limit_ns, int* status);
  int watchdog_ = -1;
};

// One line to the kernel's log, and to the console unless the kernel shows its log there anyway.
// Never blocks for long, never fails.
void SayToConsole(const char* text);

}  // namespace basalt::init
