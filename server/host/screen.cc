#include "server/host/screen.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "server/host/fd.h"

namespace basalt::host {
namespace {

constexpr char kClear[] = "\x1b[?25l\x1b[H\x1b[2J";  // no cursor, from the top, empty

absl::Status Put(const std::string& path, const std::string& text) {
  if (path.empty()) return absl::OkStatus();
  // Opened each time: never a controlling terminal, and a device that comes later is found.
  UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = write(fd.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

int RowsOf(const std::string& path) {
  UniqueFd fd(path.empty() ? -1 : open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  winsize size = {};
  return fd.valid() && ioctl(fd.get(), TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

class Terminal : public Screen {
 public:
  Terminal(std::string terminal, std::string console)
      : terminal_(std::move(terminal)), console_(std::move(console)) {}

  absl::Status Show(absl::string_view page, absl::string_view picture) override {
    const std::string text = absl::StrReplaceAll(page, {{"\n", "\r\n"}});
    const auto lines = std::count(page.begin(), page.end(), '\n') +
                       std::count(picture.begin(), picture.end(), '\n');
    const bool room = lines < RowsOf(terminal_);
    absl::Status shown =
        Put(terminal_,
            absl::StrCat(kClear, text, room ? absl::StrReplaceAll(picture, {{"\n", "\r\n"}}) : ""));
    // A serial port is somebody's log: the page is written below what stands there.
    absl::Status logged = Put(console_, absl::StrCat("\r\n", text));
    return shown.ok() ? logged : shown;
  }
  absl::Status BlankAfter(absl::Duration time) override {
    // console_codes(4): whole minutes, at most an hour.
    const int64_t minutes =
        time <= absl::ZeroDuration()
            ? 0
            : std::clamp<int64_t>(absl::ToInt64Minutes(time + absl::Seconds(59)), 1, 60);
    return Put(terminal_, absl::StrCat("\x1b[9;", minutes, "]"));
  }

 private:
  const std::string terminal_;
  const std::string console_;
};

}  // namespace

std::unique_ptr<Screen> MakeScreen(const std::string& terminal, const std::string& console) {
  return std::make_unique<Terminal>(terminal, console);
}

std::string SerialConsole(absl::string_view active) {
  std::string found;
  for (absl::string_view name : absl::StrSplit(active, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    const bool is_virtual = absl::StartsWith(name, "tty") && name.size() > 3 &&
                            absl::ascii_isdigit(static_cast<unsigned char>(name[3]));
    if (!is_virtual && !absl::StrContains(name, '/')) found = absl::StrCat("/dev/", name);
  }
  return found;
}

std::string Plain(absl::string_view text) {
  std::string out;
  for (const char byte : text) {
    const auto c = static_cast<unsigned char>(byte);
    if (c < 0x20 || c == 0x7F) {
      out.push_back(' ');
    } else if (c < 0x80) {
      out.push_back(byte);
    } else if (c >= 0xC0) {
      out.push_back('?');  // the first of a character's bytes; the rest is left out
    }
  }
  return out;
}

}  // namespace basalt::host
