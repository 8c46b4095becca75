#include "images/builder/formats/uki.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "images/builder/formats/little_endian.h"

namespace basalt::image {
namespace {

// Offsets in the headers (PE/COFF specification, revision 11).
constexpr uint64_t kPeOffsetAt = 0x3c;
constexpr uint64_t kCoffSize = 24;  // with the signature "PE\0\0"
constexpr uint64_t kSectionCountAt = 6, kTimeAt = 8, kSymbolsAt = 12, kOptionalSizeAt = 20;
constexpr uint64_t kInitializedSizeAt = 24 + 8, kSectionAlignmentAt = 24 + 32,
                   kFileAlignmentAt = 24 + 36, kImageSizeAt = 24 + 56, kHeaderSizeAt = 24 + 60,
                   kChecksumAt = 24 + 64;
constexpr uint64_t kSectionSize = 40;
constexpr uint32_t kReadableData = 0x40000040;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kLargest = uint64_t{1} << 30;

struct Headers {
  uint64_t pe = 0;
  uint64_t sections_at = 0;
  uint16_t sections = 0;
  uint32_t file_alignment = 0;
  uint32_t header_size = 0;
};

absl::StatusOr<Headers> ReadHeaders(absl::string_view file) {
  Headers h;
  h.pe = ReadNumber<uint32_t>(file, kPeOffsetAt);
  if (file.substr(0, 2) != "MZ" || h.pe >= file.size() ||
      file.substr(h.pe, 4) != absl::string_view("PE\0\0", 4) ||
      ReadNumber<uint16_t>(file, h.pe + kCoffSize) != 0x20b) {
    return absl::InvalidArgumentError("bad-stub: not a PE32+ program");
  }
  h.sections = ReadNumber<uint16_t>(file, h.pe + kSectionCountAt);
  h.sections_at = h.pe + kCoffSize + ReadNumber<uint16_t>(file, h.pe + kOptionalSizeAt);
  h.file_alignment = ReadNumber<uint32_t>(file, h.pe + kFileAlignmentAt);
  h.header_size = ReadNumber<uint32_t>(file, h.pe + kHeaderSizeAt);
  if (h.header_size > file.size() || h.sections_at + h.sections * kSectionSize > h.header_size ||
      h.file_alignment < 512 || h.file_alignment > 65536 ||
      (h.file_alignment & (h.file_alignment - 1)) != 0) {
    return absl::InvalidArgumentError("bad-stub: its headers contradict each other");
  }
  return h;
}

struct Section {
  absl::string_view name;
  uint32_t virtual_size, virtual_address, raw_size, raw_at;
};

Section ReadSection(absl::string_view file, const Headers& h, int index) {
  uint64_t at = h.sections_at + static_cast<uint64_t>(index) * kSectionSize;
  absl::string_view name = file.substr(at, 8);
  return {.name = name.substr(0, name.find('\0')),
          .virtual_size = ReadNumber<uint32_t>(file, at + 8),
          .virtual_address = ReadNumber<uint32_t>(file, at + 12),
          .raw_size = ReadNumber<uint32_t>(file, at + 16),
          .raw_at = ReadNumber<uint32_t>(file, at + 20)};
}

bool Left(absl::string_view name, absl::string_view content) {
  return content.empty() && (name == ".pcrpkey" || name == ".pcrsig");
}

}  // namespace

absl::StatusOr<std::string> MakeUki(absl::string_view stub, const UkiParts& parts) {
  absl::StatusOr<Headers> read = ReadHeaders(stub);
  if (!read.ok()) return read.status();
  const Headers& h = *read;
  // The order in which the stub looks, and the firmware is told: kernel and initramfs last, as they
  // are the large ones.
  const std::pair<absl::string_view, const std::string*> added[] = {
      {".osrel", &parts.os_release},     {".cmdline", &parts.command_line},
      {".uname", &parts.kernel_version}, {".pcrpkey", &parts.pcr_public_key},
      {".pcrsig", &parts.pcr_signature}, {".linux", &parts.kernel},
      {".initrd", &parts.initramfs}};
  uint64_t count = h.sections;
  for (const auto& [name, content] : added) count += Left(name, *content) ? 0 : 1;
  if (h.sections_at + count * kSectionSize > h.header_size) {
    return absl::InvalidArgumentError("bad-stub: no room for the sections of a kernel image");
  }
  uint64_t next_address = 0, end = h.header_size;
  for (int i = 0; i < h.sections; ++i) {
    Section s = ReadSection(stub, h, i);
    next_address = std::max<uint64_t>(next_address, uint64_t{s.virtual_address} + s.virtual_size);
    if (uint64_t{s.raw_at} + s.raw_size > stub.size()) {
      return absl::InvalidArgumentError(absl::StrCat("bad-stub: section ", i, " leaves the file"));
    }
    end = std::max<uint64_t>(end, uint64_t{s.raw_at} + s.raw_size);
  }

  std::string out(stub.substr(0, end));
  Pad(out, h.file_alignment);
  uint64_t entry = h.sections_at + h.sections * kSectionSize;
  uint64_t data = 0;
  for (const auto& [name, content] : added) {
    if (Left(name, *content)) continue;
    next_address = RoundUp(next_address, kPage);
    uint64_t raw_size = RoundUp(content->size(), h.file_alignment);
    if (next_address + raw_size > kLargest) {
      return absl::InvalidArgumentError("too-large: a kernel image above 1 GiB");
    }
    out.replace(entry, kSectionSize, kSectionSize, '\0');
    out.replace(entry, name.size(), name.data(), name.size());
    WriteNumber<uint32_t>(out, entry + 8, static_cast<uint32_t>(content->size()));
    WriteNumber<uint32_t>(out, entry + 12, static_cast<uint32_t>(next_address));
    WriteNumber<uint32_t>(out, entry + 16, static_cast<uint32_t>(raw_size));
    WriteNumber<uint32_t>(out, entry + 20, static_cast<uint32_t>(out.size()));
    WriteNumber<uint32_t>(out, entry + 36, kReadableData);
    out.append(*content);
    Pad(out, h.file_alignment);
    next_address += content->size();
    data += raw_size;
    entry += kSectionSize;
  }
  uint32_t alignment =
      std::max<uint32_t>(1, ReadNumber<uint32_t>(stub, h.pe + kSectionAlignmentAt));
  WriteNumber<uint16_t>(out, h.pe + kSectionCountAt, static_cast<uint16_t>(count));
  WriteNumber<uint32_t>(
      out, h.pe + kInitializedSizeAt,
      static_cast<uint32_t>(ReadNumber<uint32_t>(stub, h.pe + kInitializedSizeAt) + data));
  WriteNumber<uint32_t>(out, h.pe + kImageSizeAt,
                        static_cast<uint32_t>(RoundUp(next_address, alignment)));
  // What would differ from build to build, or be wrong by now. Firmware checks neither.
  for (uint64_t at : {kTimeAt, kSymbolsAt, kSymbolsAt + 4, kChecksumAt}) {
    WriteNumber<uint32_t>(out, h.pe + at, 0);
  }
  return out;
}

absl::StatusOr<std::string> UkiSection(absl::string_view uki, absl::string_view name) {
  absl::StatusOr<Headers> h = ReadHeaders(uki);
  if (!h.ok()) return h.status();
  for (int i = 0; i < h->sections; ++i) {
    Section s = ReadSection(uki, *h, i);
    if (s.name != name) continue;
    uint32_t size = std::min(s.virtual_size, s.raw_size);
    if (uint64_t{s.raw_at} + size > uki.size()) {
      return absl::InvalidArgumentError(absl::StrCat("bad-stub: ", name, " leaves the file"));
    }
    return std::string(uki.substr(s.raw_at, size));
  }
  return absl::NotFoundError(absl::StrCat("no-section: ", name));
}

}  // namespace basalt::image
