#include "server/update/kernel_image.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "server/update/entry_name.h"

namespace basalt::update {
namespace {

constexpr size_t kHead = 4096;
constexpr size_t kMostText = 4096;
// 1 TiB, as images/boot has it.
constexpr uint64_t kMostBlocks = uint64_t{1} << 28;

absl::Status Bad(absl::string_view why) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-kernel-image",
                    absl::StrCat("not a kernel image of a node: ", why));
}

uint64_t Little(absl::string_view bytes, uint64_t at, int size) {
  uint64_t value = 0;
  if (at > bytes.size() || bytes.size() - at < static_cast<size_t>(size)) return 0;
  for (int i = size - 1; i >= 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<size_t>(i)]);
  }
  return value;
}

// KEY=VALUE of os-release, quotes taken off.
absl::string_view ValueOf(absl::string_view text, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, key) || !absl::ConsumePrefix(&line, "=")) continue;
    if (line.size() >= 2 && line.front() == '"' && line.back() == '"') {
      line = line.substr(1, line.size() - 2);
    }
    return line;
  }
  return "";
}

}  // namespace

std::string RootId::ToString() const { return absl::StrCat(hash, ":", blocks); }

absl::StatusOr<RootId> ParseRootId(absl::string_view text) {
  RootId root;
  const absl::string_view digits = text.substr(0, 64);
  const bool hex = digits.size() == 64 && std::all_of(digits.begin(), digits.end(), [](char c) {
                     return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
                   });
  const absl::string_view blocks = text.substr(std::min<size_t>(text.size(), 65));
  const bool number = !blocks.empty() && blocks.size() <= 10 && blocks[0] != '0' &&
                      std::all_of(blocks.begin(), blocks.end(), absl::ascii_isdigit);
  if (!hex || !number || text[64] != ':' || !absl::SimpleAtoi(blocks, &root.blocks) ||
      root.blocks > kMostBlocks) {
    return Bad("a root is 64 hex digits, a colon and a number of blocks");
  }
  root.hash = std::string(digits);
  return root;
}

absl::StatusOr<std::string> ReadSection(const ReadAt& read, absl::string_view name, size_t most) {
  absl::StatusOr<std::string> head = read(0, kHead);
  if (!head.ok()) return head;
  const uint64_t pe = Little(*head, 0x3c, 4);
  if (head->compare(0, 2, "MZ") != 0 || pe + 24 > head->size() ||
      head->compare(pe, 4, std::string("PE\0\0", 4)) != 0) {
    return Bad("no PE program");
  }
  const uint64_t table = pe + 24 + Little(*head, pe + 20, 2);
  const uint64_t sections = Little(*head, pe + 6, 2);
  for (uint64_t i = 0; i < sections; ++i) {
    const uint64_t at = table + 40 * i;
    if (at + 40 > head->size()) break;
    const absl::string_view called = absl::string_view(*head).substr(at, 8);
    if (called.substr(0, called.find('\0')) != name) continue;
    // What is beyond the use is padding, what is beyond the file's part is nothing.
    const uint64_t size = std::min(Little(*head, at + 8, 4), Little(*head, at + 16, 4));
    if (size == 0 || size > most) return Bad(absl::StrCat("the size of ", name, " is odd"));
    absl::StatusOr<std::string> content =
        read(Little(*head, at + 20, 4), static_cast<size_t>(size));
    if (content.ok() && content->size() != size) return Bad(absl::StrCat(name, " is cut off"));
    return content;
  }
  return Bad(absl::StrCat("no section ", name));
}

absl::StatusOr<KernelImage> InspectKernel(const ReadAt& read) {
  absl::StatusOr<std::string> line = ReadSection(read, ".cmdline", kMostText);
  if (!line.ok()) return line.status();
  absl::StatusOr<std::string> release = ReadSection(read, ".osrel", kMostText);
  if (!release.ok()) return release.status();
  KernelImage image;
  std::string named;
  for (absl::string_view word :
       absl::StrSplit(*line, absl::ByAnyChar(absl::string_view(" \n\0", 3)))) {
    if (!absl::ConsumePrefix(&word, "noded.root=")) continue;
    if (!named.empty() && named != word) return Bad("its command line names two roots");
    named = std::string(word);
  }
  absl::StatusOr<RootId> root = ParseRootId(named);
  if (!root.ok()) return root.status();
  image.root = *std::move(root);
  image.version = std::string(ValueOf(*release, "IMAGE_VERSION"));
  image.image_id = std::string(ValueOf(*release, "IMAGE_ID"));
  if (!IsVersion(image.version)) return Bad("its IMAGE_VERSION is no version");
  if (!absl::SimpleAtoi(ValueOf(*release, "BASALT_EPOCH"), &image.epoch) || image.epoch < 1) {
    return Bad("its BASALT_EPOCH is no epoch");
  }
  return image;
}

bool IsSuperblockOf(absl::string_view s, const RootId& root) {
  // cryptsetup's on-disk format, version 1; our images have half of the root hash for a UUID.
  const std::string half = absl::HexStringToBytes(root.hash.substr(0, 32));
  const uint64_t salt = Little(s, 80, 2);
  return s.size() >= kSuperblockSize && s.substr(0, 8) == absl::string_view("verity\0\0", 8) &&
         Little(s, 8, 4) == 1 && Little(s, 12, 4) == 1 && s.substr(16, 16) == half &&
         s.substr(32, 32) == absl::StrCat("sha256", std::string(26, '\0')) &&
         Little(s, 64, 4) == kBlockSize && Little(s, 68, 4) == kBlockSize &&
         Little(s, 72, 8) == root.blocks && salt > 0 && salt <= 256;
}

}  // namespace basalt::update
