// The screen of the machine, for one page of text that nobody answers. Thread-compatible.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace basalt::host {

class Screen {
 public:
  virtual ~Screen() = default;
  // Instead of what is there; lines end with "\n". Never waits: a screen that takes nothing (flow
  // control, no such device) is an error.
  // `picture`, in blocks of UTF-8, stands below it on a screen that has so many rows, and on no
  // serial line: what reads one has a size and a font of its own.
  virtual absl::Status Show(absl::string_view page, absl::string_view picture) = 0;
  // Turns the screen off when nothing was shown for so long; zero: never.
  virtual absl::Status BlankAfter(absl::Duration time) = 0;
};

// The virtual terminal that is in front after a boot, and what the kernel calls its console when
// that is another one (a serial port). "" for either: not there.
std::unique_ptr<Screen> MakeScreen(const std::string& terminal, const std::string& console);

// The device of the last console that is no virtual terminal, from the text of
// /sys/class/tty/console/active ("tty0 ttyS0"); "" when there is none. Pure.
std::string SerialConsole(absl::string_view active);

// Without what a terminal would obey. Control characters become blanks, and what is beyond ASCII
// `?`: a serial terminal may take a byte of it for the beginning of an order.
std::string Plain(absl::string_view text);

}  // namespace basalt::host
