// What a C library would bring: the first instruction, and the four functions that a compiler may
// call on its own. The program has no relocations (the image's build checks that), so it runs
// wherever the kernel puts it.
#include <stddef.h>

// Not a function: GCC would put its own instructions before ours on arm64.
#if defined(__x86_64__)
__asm__(
    ".text\n.globl _start\n.type _start, @function\n"
    "_start: xor %ebp, %ebp\n and $-16, %rsp\n call BasaltBootMain\n ud2\n");
#elif defined(__aarch64__)
__asm__(
    ".text\n.globl _start\n.type _start, %function\n"
    "_start: mov x29, xzr\n mov x30, xzr\n bl BasaltBootMain\n brk #1\n");
#endif

extern "C" {

void* memcpy(void* to, const void* from, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    static_cast<char*>(to)[i] = static_cast<const char*>(from)[i];
  }
  return to;
}

void* memmove(void* to, const void* from, size_t size) {
  if (to < from) return memcpy(to, from, size);
  while (size-- > 0) static_cast<char*>(to)[size] = static_cast<const char*>(from)[size];
  return to;
}

void* memset(void* to, int value, size_t size) {
  for (size_t i = 0; i < size; ++i) static_cast<char*>(to)[i] = static_cast<char>(value);
  return to;
}

int memcmp(const void* a, const void* b, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    int difference =
        static_cast<const unsigned char*>(a)[i] - static_cast<const unsigned char*>(b)[i];
    if (difference != 0) return difference;
  }
  return 0;
}
}
