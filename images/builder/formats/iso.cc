#include "images/builder/formats/iso.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "images/builder/formats/little_endian.h"

namespace basalt::image {
namespace {

// Blocks of the disc, in order (ECMA-119, El Torito 1.0).
enum Place : uint32_t {
  kVolume = 16,
  kBoot,
  kEnd,
  kCatalog,
  kPathL,
  kPathM,
  kRoot,
  kReadme,
  kAfter
};
constexpr uint64_t kLargestFile = 0xffffffff;

template <typename T>
void AppendBig(std::string& to, T value) {
  for (size_t i = sizeof(T); i-- > 0;) to.push_back(static_cast<char>(value >> (8 * i)));
}

// Numbers stand there in both orders.
template <typename T>
void AppendBoth(std::string& to, T value) {
  AppendNumber<T>(to, value);
  AppendBig<T>(to, value);
}

void AppendText(std::string& to, absl::string_view text, size_t size) {
  absl::StrAppend(&to, text.substr(0, size));
  to.append(size - std::min(size, text.size()), ' ');
}

std::string Record(absl::string_view name, uint32_t block, uint32_t size, bool directory,
                   absl::Time time) {
  auto t = absl::UTCTimeZone().At(time).cs;
  std::string out(1, '\0');  // its length, below
  out.push_back(0);
  AppendBoth<uint32_t>(out, block);
  AppendBoth<uint32_t>(out, size);
  for (int64_t part : {t.year() - 1900, int64_t{t.month()}, int64_t{t.day()}, int64_t{t.hour()},
                       int64_t{t.minute()}, int64_t{t.second()}, int64_t{0}}) {
    out.push_back(static_cast<char>(part));
  }
  out.push_back(directory ? 2 : 0);
  out.append(2, '\0');
  AppendBoth<uint16_t>(out, 1);
  out.push_back(static_cast<char>(name.size()));
  absl::StrAppend(&out, name);
  Pad(out, 2);
  out[0] = static_cast<char>(out.size());
  return out;
}

std::string Descriptor(uint8_t type) {
  return absl::StrCat(std::string(1, static_cast<char>(type)), "CD001\1");
}

std::string PathTable(bool big) {
  std::string out = {1, 0};
  if (big) {
    AppendBig<uint32_t>(out, kRoot);
    AppendBig<uint16_t>(out, 1);
  } else {
    AppendNumber<uint32_t>(out, kRoot);
    AppendNumber<uint16_t>(out, 1);
  }
  out.append(2, '\0');
  return out;
}

std::string VolumeDescriptor(const IsoSpec& spec, uint32_t path_size) {
  std::string out = Descriptor(1);
  out.push_back(0);
  AppendText(out, "", 32);
  AppendText(out, spec.volume, 32);
  out.append(8, '\0');
  AppendBoth<uint32_t>(out, static_cast<uint32_t>(spec.size / kDiscBlock));
  out.append(32, '\0');
  AppendBoth<uint16_t>(out, 1);
  AppendBoth<uint16_t>(out, 1);
  AppendBoth<uint16_t>(out, kDiscBlock);
  AppendBoth<uint32_t>(out, path_size);
  AppendNumber<uint32_t>(out, kPathL);
  AppendNumber<uint32_t>(out, 0);
  AppendBig<uint32_t>(out, kPathM);
  AppendNumber<uint32_t>(out, 0);
  out += Record(absl::string_view("\0", 1), kRoot, kDiscBlock, true, spec.time);
  for (int i = 0; i < 4; ++i) AppendText(out, "", 128);
  for (int i = 0; i < 3; ++i) AppendText(out, "", 37);
  std::string made =
      absl::StrCat(absl::FormatTime("%Y%m%d%H%M%S", spec.time, absl::UTCTimeZone()), "00");
  std::string never(16, '0');
  for (const std::string& when : {made, made, never, never}) out += when + '\0';
  out.push_back(1);
  return out;
}

std::string Catalog(uint32_t esp_block) {
  std::string out = {1, '\xef', 0, 0};  // for EFI
  out.append(24, '\0');
  AppendNumber<uint16_t>(out, 0);  // its sum, below
  out += "\x55\xaa";
  uint16_t sum = 0;
  for (size_t i = 0; i < out.size(); i += 2) {
    sum = static_cast<uint16_t>(sum + ReadNumber<uint16_t>(out, i));
  }
  WriteNumber<uint16_t>(out, 28, static_cast<uint16_t>(-sum));
  out.push_back('\x88');  // starts, no emulation
  out.append(5, '\0');
  AppendNumber<uint16_t>(out, 1);  // "to the end of the disc": sizes above 32 MiB do not fit
  AppendNumber<uint32_t>(out, esp_block);
  return out;
}

bool GoodName(absl::string_view name) {
  bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isupper(static_cast<unsigned char>(c)) ||
           absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_' || c == '.';
  });
  size_t dot = name.find('.');
  return plain && dot != absl::string_view::npos && dot >= 1 && dot <= 8 &&
         name.size() - dot <= 4 && name.find('.', dot + 1) == absl::string_view::npos;
}

}  // namespace

absl::StatusOr<std::string> MakeIso(const IsoSpec& spec) {
  auto bad = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("bad-disc: ", what));
  };
  auto inside = [&](uint64_t offset, uint64_t size) {
    return offset % kDiscBlock == 0 && offset >= kAfter * kDiscBlock && size <= kLargestFile &&
           offset <= spec.size && spec.size - offset >= size;
  };
  if (spec.size % kDiscBlock != 0 || spec.size / kDiscBlock > 0xffffffff) return bad("its size");
  if (!inside(spec.esp, 1)) return bad("the boot partition");
  if (spec.readme.size() > kDiscBlock) return bad("README.TXT is too long");
  std::vector<std::pair<std::string, std::string>> records = {
      {"README.TXT", Record("README.TXT;1", kReadme, static_cast<uint32_t>(spec.readme.size()),
                            false, spec.time)}};
  for (const IsoFile& f : spec.files) {
    if (!GoodName(f.name) || !inside(f.offset, f.size)) return bad(f.name);
    records.emplace_back(f.name, Record(f.name + ";1", static_cast<uint32_t>(f.offset / kDiscBlock),
                                        static_cast<uint32_t>(f.size), false, spec.time));
  }
  std::sort(records.begin(), records.end());
  std::string root = Record(absl::string_view("\0", 1), kRoot, kDiscBlock, true, spec.time) +
                     Record(absl::string_view("\1", 1), kRoot, kDiscBlock, true, spec.time);
  for (const auto& [name, record] : records) root += record;
  if (root.size() > kDiscBlock) return bad("too many files");

  std::string boot = Descriptor(0) + "EL TORITO SPECIFICATION";
  boot.resize(71, '\0');
  AppendNumber<uint32_t>(boot, kCatalog);
  std::string out;
  for (const std::string& block :
       {VolumeDescriptor(spec, static_cast<uint32_t>(PathTable(false).size())), boot,
        Descriptor(255), Catalog(static_cast<uint32_t>(spec.esp / kDiscBlock)), PathTable(false),
        PathTable(true), root, spec.readme}) {
    out += block;
    out.resize(RoundUp(std::max<size_t>(out.size(), 1), kDiscBlock), '\0');
  }
  return out;
}

}  // namespace basalt::image
