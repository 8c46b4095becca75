#include "images/builder/formats/tar.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "images/builder/formats/little_endian.h"

namespace basalt::image {
namespace {

constexpr size_t kBlock = 512;

// POSIX.1-1988, with the prefix of ustar.
struct Header {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[8];  // "ustar", NUL, "00"
  char user[32];
  char group[32];
  char major[8];
  char minor[8];
  char prefix[155];
  char unused[12];
};
static_assert(sizeof(Header) == kBlock);

template <size_t N>
void Octal(char (&field)[N], uint64_t value) {
  const std::string text = absl::StrFormat("%0*o", static_cast<int>(N - 1), value);
  memcpy(field, text.data(), N - 1);
}

template <size_t N>
bool Text(char (&field)[N], absl::string_view text) {
  if (text.size() > N) return false;
  memcpy(field, text.data(), text.size());
  return true;
}

}  // namespace

absl::Status TarWriter::Head(absl::string_view path, unsigned mode, char type, uint64_t size,
                             absl::string_view target) {
  Header head = {};
  absl::string_view name = path;
  if (name.size() > sizeof head.name) {
    // As much as has to go into the prefix, up to a slash.
    const size_t slash = path.find('/', path.size() - sizeof head.name - 1);
    if (slash != absl::string_view::npos && Text(head.prefix, path.substr(0, slash))) {
      name = path.substr(slash + 1);
    }
  }
  if (path.empty() || path[0] == '/' || !Text(head.name, name) || !Text(head.link, target)) {
    return absl::InvalidArgumentError(absl::StrCat("bad-path: ", path));
  }
  Octal(head.mode, mode);
  Octal(head.uid, 0);
  Octal(head.gid, 0);
  Octal(head.size, size);
  Octal(head.mtime, static_cast<uint64_t>(absl::ToUnixSeconds(time_)));
  head.type = type;
  memcpy(head.magic,
         "ustar\0"
         "00",
         8);
  memset(head.checksum, ' ', sizeof head.checksum);
  unsigned sum = 0;
  for (size_t i = 0; i < sizeof head; ++i) sum += reinterpret_cast<const unsigned char*>(&head)[i];
  const std::string text = absl::StrFormat("%06o", sum);
  memcpy(head.checksum, text.c_str(), 7);  // with its NUL; the blank behind it stays
  bytes_.append(reinterpret_cast<const char*>(&head), sizeof head);
  return absl::OkStatus();
}

absl::Status TarWriter::AddDirectory(absl::string_view path, unsigned mode) {
  return Head(absl::StrCat(path, "/"), mode, '5', 0, "");
}

absl::Status TarWriter::AddFile(absl::string_view path, unsigned mode, absl::string_view bytes) {
  if (absl::Status s = Head(path, mode, '0', bytes.size(), ""); !s.ok()) return s;
  bytes_.append(bytes.data(), bytes.size());
  Pad(bytes_, kBlock);
  return absl::OkStatus();
}

absl::Status TarWriter::AddLink(absl::string_view path, absl::string_view target) {
  return Head(path, 0777, '2', 0, target);
}

std::string TarWriter::Finish() {
  bytes_.append(2 * kBlock, '\0');
  return std::move(bytes_);
}

}  // namespace basalt::image
