#include "server/unlock/board.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace basalt::unlock {
namespace {

constexpr size_t kKeySize = 32;
constexpr size_t kMostText = 256;

struct Source {
  const char* kind;
  const char* path;
};
constexpr Source kSources[] = {
    {"product_uuid", "/sys/class/dmi/id/product_uuid"},
    {"product_serial", "/sys/class/dmi/id/product_serial"},
    {"board_serial", "/sys/class/dmi/id/board_serial"},
    {"serial-number", "/sys/firmware/devicetree/base/serial-number"},
};

}  // namespace

bool IsUnique(absl::string_view value) {
  if (value.size() < 6) return false;
  // The same in thousands of boards whose maker left the field as it came.
  for (absl::string_view other :
       {"03000200-0400-0500-0006-000700080009", "To be filled by O.E.M.", "To Be Filled By O.E.M.",
        "Default string", "System Serial Number", "Not Specified", "Not Applicable", "0123456789",
        "123456789"}) {
    if (value == other) return false;
  }
  // All the same character but for dashes.
  char first = 0;
  for (char c : value) {
    if (c == '-') continue;
    if (first == 0) first = c;
    if (c != first) return true;
  }
  return false;
}

StatusOr<BoardId> ReadBoardId(const std::string& root, absl::string_view kind) {
  for (const Source& source : kSources) {
    if (!kind.empty() && kind != source.kind) continue;
    std::ifstream file(root + source.path, std::ios::binary);
    std::string text(std::istreambuf_iterator<char>(file), {});
    text = text.substr(0, std::min(text.find('\0'), kMostText));
    absl::StripAsciiWhitespace(&text);
    if (IsUnique(text)) return BoardId{source.kind, text};
  }
  return FailedPreconditionError(
      kind.empty() ? "this board has no serial number of its own to derive a key from"
                   : absl::StrCat("this board says no more what it is (", kind, ")"));
}

seal::SecretBytes BoardKey(const BoardId& id, absl::string_view salt) {
  seal::SecretBytes key(kKeySize);
  const std::string text = absl::StrCat("basalt-node/v1\n", id.kind, "\n", id.value);
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), salt.data(), static_cast<int>(salt.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), key.data(),
           &size) == nullptr) {
    std::abort();  // OpenSSL is broken: no way on
  }
  return key;
}

}  // namespace basalt::unlock
