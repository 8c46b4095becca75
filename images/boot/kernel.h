// The system calls of the first program, with no library between: amd64 and arm64. A result below
// zero is a negated errno.
#pragma once

#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

namespace basalt::boot {

inline long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                 long f = 0) {
#if defined(__x86_64__)
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory", "cc");
  return x0;
#else
#error "the boot runs on amd64 and arm64"
#endif
}

inline long Call(long number, const void* a, long b = 0, long c = 0, long d = 0, long e = 0) {
  return Call(number, reinterpret_cast<long>(a), b, c, d, e);
}
inline long Address(const void* p) { return reinterpret_cast<long>(p); }

// Open flags, the same on both.
inline constexpr long kReadOnly = 0, kWriteOnly = 1, kReadWrite = 2, kCreate = 0100,
                      kCloseOnExec = 02000000;
inline constexpr long kHere = -100;  // AT_FDCWD

inline long Open(const char* path, long flags) {
  return Call(__NR_openat, kHere, Address(path), flags | kCloseOnExec, 0);
}
inline void Close(long fd) { Call(__NR_close, fd); }
inline long Mount(const char* source, const char* target, const char* type, unsigned long flags,
                  const char* options = nullptr) {
  return Call(__NR_mount, Address(source), Address(target), Address(type), static_cast<long>(flags),
              Address(options));
}

// Reads up to `size` bytes from the start; fewer at the end of the file.
inline long ReadAt(long fd, void* buffer, size_t size, uint64_t offset) {
  return Call(__NR_pread64, fd, Address(buffer), static_cast<long>(size),
              static_cast<long>(offset));
}

// Waits on the boot clock.
inline void Wait(long milliseconds) {
  long duration[2] = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  Call(__NR_nanosleep, duration, 0);
}

}  // namespace basalt::boot
