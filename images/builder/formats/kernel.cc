#include "images/builder/formats/kernel.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "images/builder/formats/little_endian.h"

namespace basalt::image {
namespace {

constexpr size_t kLongest = 64;  // of a release: as uname(2) tells it

absl::StatusOr<std::string> ReleaseAt(absl::string_view kernel, size_t at) {
  absl::string_view text = kernel.substr(std::min(at, kernel.size()), kLongest + 1);
  text = text.substr(0, text.find_first_of(absl::string_view(" \0", 2)));
  for (char c : text) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) text = {};
  }
  if (text.empty() || text.size() > kLongest || !absl::ascii_isdigit(text[0])) {
    return absl::InvalidArgumentError("bad-kernel: it does not say its release");
  }
  return std::string(text);
}

}  // namespace

absl::StatusOr<std::string> KernelRelease(absl::string_view kernel) {
  // The boot protocol of x86 points to the text, counted from the second sector.
  if (kernel.substr(std::min<size_t>(0x202, kernel.size()), 4) == "HdrS") {
    return ReleaseAt(kernel, size_t{0x200} + ReadNumber<uint16_t>(kernel, 0x20e));
  }
  // An Image is the kernel itself, with the line that it greets with.
  if (kernel.substr(std::min<size_t>(0x38, kernel.size()), 4) == "ARM\x64") {
    constexpr absl::string_view kGreeting = "Linux version ";
    for (size_t at = kernel.find(kGreeting); at != absl::string_view::npos;
         at = kernel.find(kGreeting, at + 1)) {
      // The same words stand in formats as well ("Linux version %s").
      if (auto release = ReleaseAt(kernel, at + kGreeting.size()); release.ok()) return release;
    }
  }
  return absl::InvalidArgumentError("bad-kernel: no kernel of amd64 or arm64");
}

}  // namespace basalt::image
