// One line on the console for each step of the boot: what, how it went, and a code to look up.
//
//   boot: state: cannot mount /dev/vda4: Invalid argument [mount-failed, errno 22]
//   boot: modules: 20 loaded [ok]
#pragma once

#include "server/init/boot/machine.h"

namespace basalt::init {

inline constexpr size_t kReasonSize = 96;

// `code` nullptr: it went well. `error` 0: the code says it all.
[[gnu::format(printf, 4, 5)]] void Report(Machine& machine, const char* code, int error,
                                          const char* format, ...);

// Copies what fits, always ended.
void CopyText(char* to, size_t size, const char* from);

}  // namespace basalt::init
