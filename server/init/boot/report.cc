#include "server/init/boot/report.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace basalt::init {

void Report(Machine& machine, const char* code, int error, const char* format, ...) {
  char what[200];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  char line[256];
  if (code == nullptr) {
    snprintf(line, sizeof line, "boot: %s [ok]", what);
  } else if (error == 0) {
    snprintf(line, sizeof line, "boot: %s [%s]", what, code);
  } else {
    const char* text = strerrordesc_np(error);
    snprintf(line, sizeof line, "boot: %.150s: %s [%s, errno %d]", what,
             text != nullptr ? text : "unknown error", code, error);
  }
  machine.Say(line);
}

void CopyText(char* to, size_t size, const char* from) {
  size_t length = strlen(from);
  if (length >= size) length = size - 1;
  memcpy(to, from, length);
  to[length] = 0;
}

}  // namespace basalt::init
