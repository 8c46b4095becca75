#include "server/init/boot/modules.h"

#include <cerrno>
#include <cstring>

#include "server/init/boot/report.h"

namespace basalt::init {

const char* NextModule(const char* text, size_t length, size_t* at, char* path, size_t size,
                       int* bad) {
  while (*at < length) {
    const char* line = text + *at;
    const void* end = memchr(line, '\n', length - *at);
    size_t count =
        end != nullptr ? static_cast<size_t>(static_cast<const char*>(end) - line) : length - *at;
    *at += count + 1;
    while (count > 0 && (line[count - 1] == ' ' || line[count - 1] == '\r')) --count;
    if (count == 0 || line[0] == '#') continue;
    if (line[0] != '/' || count >= size || memchr(line, 0, count) != nullptr) {
      ++*bad;
      continue;
    }
    memcpy(path, line, count);
    path[count] = 0;
    return path;
  }
  return nullptr;
}

int LoadModules(Machine& machine, const char* list) {
  if (!machine.OwnsKernel()) return 0;
  static char text[32 << 10];
  long length = machine.Read(list, 0, text, sizeof text);
  if (length < 0) {
    Report(machine, "modules-failed", static_cast<int>(-length), "modules: %s", list);
    return 1;
  }
  int loaded = 0;
  int absent = 0;
  int failed = 0;
  int bad = 0;
  size_t at = 0;
  char path[256];
  while (NextModule(text, static_cast<size_t>(length), &at, path, sizeof path, &bad) != nullptr) {
    int error = machine.LoadModule(path);
    if (error == 0 || error == EEXIST) {  // the initramfs had it already
      ++loaded;
      continue;
    }
    // A driver of something that this machine does not have; or one that builds upon such a driver
    // and misses its symbols.
    if (error == ENODEV || (error == ENOENT && machine.Exists(path))) {
      ++absent;
      continue;
    }
    ++failed;
    const char* name = strrchr(path, '/') + 1;
    Report(machine, "module-failed", error, "modules: %s", name);
  }
  if (bad > 0 || length == static_cast<long>(sizeof text)) {
    ++failed;
    Report(machine, "modules-failed", 0, "modules: %s has %d bad lines or is too long", list, bad);
  }
  Report(machine, failed == 0 ? nullptr : "modules-failed", 0,
         "modules: %d loaded, %d for other machines, %d failed", loaded, absent, failed);
  return failed;
}

}  // namespace basalt::init
