// ThreadSanitizer builds only, in each test program. Debian's Abseil is not instrumented: what an
// absl::Mutex orders looks unordered, and a suppression that hides that hides real races as well.
// So the functions that we use are put in front of the library's and say what they order.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/base/config.h"
#include "absl/synchronization/mutex.h"

namespace {

#define BASALT_TEXT_(x) #x
#define BASALT_TEXT(x) BASALT_TEXT_(x)

// The library's own function: `tail` is what follows the namespace in its mangled name.
template <typename Function>
Function Real(const char* tail) {
  char name[128];
  const char* inner = BASALT_TEXT(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  snprintf(name, sizeof name, "_ZN4absl%zu%s%s", strlen(inner), inner, tail);
  void* found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) abort();  // another Abseil: the names above are to be mended
  return reinterpret_cast<Function>(found);
}

using Plain = void (*)(absl::Mutex*);

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

void Mutex::Lock() {
  static const auto real = Real<Plain>("5Mutex4LockEv");
  real(this);
  __tsan_acquire(this);
}

void Mutex::Unlock() {
  static const auto real = Real<Plain>("5Mutex6UnlockEv");
  __tsan_release(this);
  real(this);
}

bool Mutex::TryLock() {
  static const auto real = Real<bool (*)(Mutex*)>("5Mutex7TryLockEv");
  if (!real(this)) return false;
  __tsan_acquire(this);
  return true;
}

void Mutex::ReaderLock() {
  static const auto real = Real<Plain>("5Mutex10ReaderLockEv");
  real(this);
  __tsan_acquire(this);
}

void Mutex::ReaderUnlock() {
  static const auto real = Real<Plain>("5Mutex12ReaderUnlockEv");
  __tsan_release(this);
  real(this);
}

void Mutex::Await(const Condition& condition) {
  static const auto real =
      Real<void (*)(Mutex*, const Condition&)>("5Mutex5AwaitERKNS0_9ConditionE");
  __tsan_release(this);
  real(this, condition);
  __tsan_acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl
