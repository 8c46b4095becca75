// Preloaded into noded by tests: counts its calls and strikes at the n-th. Links nothing but libc
// and allocates nothing, as it stands in front of malloc.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/support/process/fault_plan.h"

extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
}

namespace {

using basalt::testing::FaultAction;
using basalt::testing::FaultOp;
using basalt::testing::FaultPlan;

FaultPlan* plan = nullptr;

__attribute__((constructor)) void Open() {
  const char* path = getenv(basalt::testing::kFaultPlanVariable);
  if (path == nullptr) return;
  int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* memory = mmap(nullptr, sizeof(FaultPlan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory != MAP_FAILED) plan = static_cast<FaultPlan*>(memory);
}

[[noreturn]] void Die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

enum class Verdict { kGo, kFail, kDieAfter };

Verdict Count(FaultOp op) {
  if (plan == nullptr || plan->armed.load(std::memory_order_acquire) == 0) return Verdict::kGo;
  if (plan->op.load() != op) return Verdict::kGo;
  if (plan->count.fetch_add(1) + 1 != plan->at.load()) return Verdict::kGo;
  plan->armed.store(0);
  plan->struck.store(1);
  switch (plan->action.load()) {
    case FaultAction::kKillBefore:
      Die();
    case FaultAction::kKillAfter:
      return Verdict::kDieAfter;
    case FaultAction::kFail:
      return Verdict::kFail;
  }
  return Verdict::kGo;
}

// Standard streams, sockets, pipes and eventfds are not the node's memory.
bool IsStored(int fd) {
  struct stat info;
  return fd > 2 && fstat(fd, &info) == 0 && (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode));
}

template <typename Function, typename... Args>
auto Storage(const char* name, Args... args) -> decltype(static_cast<Function>(nullptr)(args...)) {
  auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
  Verdict verdict = Count(FaultOp::kStorage);
  if (verdict == Verdict::kFail) {
    errno = EIO;
    return -1;
  }
  auto result = real(args...);
  if (verdict == Verdict::kDieAfter) Die();
  return result;
}

int Sync(const char* name, int fd) {
  Verdict verdict = Count(FaultOp::kSync);
  if (verdict == Verdict::kFail) {
    errno = EIO;
    return -1;
  }
  int result = Storage<int (*)(int)>(name, fd);
  if (verdict == Verdict::kDieAfter) Die();
  return result;
}

bool MemoryFails() { return Count(FaultOp::kMemory) == Verdict::kFail; }

}  // namespace

extern "C" {

ssize_t write(int fd, const void* data, size_t size) {
  using F = ssize_t (*)(int, const void*, size_t);
  if (!IsStored(fd)) return reinterpret_cast<F>(dlsym(RTLD_NEXT, "write"))(fd, data, size);
  return Storage<F>("write", fd, data, size);
}

int ftruncate(int fd, off_t size) { return Storage<int (*)(int, off_t)>("ftruncate", fd, size); }

int fsync(int fd) { return Sync("fsync", fd); }
int fdatasync(int fd) { return Sync("fdatasync", fd); }

int renameat(int from_dir, const char* from, int to_dir, const char* to) {
  return Storage<int (*)(int, const char*, int, const char*)>("renameat", from_dir, from, to_dir,
                                                              to);
}

int unlinkat(int dir, const char* path, int flags) {
  return Storage<int (*)(int, const char*, int)>("unlinkat", dir, path, flags);
}

int mkdirat(int dir, const char* path, mode_t mode) {
  return Storage<int (*)(int, const char*, mode_t)>("mkdirat", dir, path, mode);
}

void* malloc(size_t size) {
  if (!MemoryFails()) return __libc_malloc(size);
  errno = ENOMEM;
  return nullptr;
}

void* calloc(size_t count, size_t size) {
  if (!MemoryFails()) return __libc_calloc(count, size);
  errno = ENOMEM;
  return nullptr;
}

void* realloc(void* old, size_t size) {
  if (!MemoryFails()) return __libc_realloc(old, size);
  errno = ENOMEM;
  return nullptr;
}

}  // extern "C"
