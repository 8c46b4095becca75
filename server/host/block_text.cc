#include "server/host/block_text.h"

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace basalt::host {
namespace {

constexpr uint64_t kPage = 4096;

// "\040" for a blank, as the kernel writes paths.
std::string Unescape(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool octal = text[i] == '\\' && i + 3 < text.size() && text[i + 1] >= '0' &&
                       text[i + 1] <= '3' && text[i + 2] >= '0' && text[i + 2] <= '7' &&
                       text[i + 3] >= '0' && text[i + 3] <= '7';
    if (!octal) {
      out.push_back(text[i]);
      continue;
    }
    out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                    (text[i + 3] - '0')));
    i += 3;
  }
  return out;
}

// As udev names things: what is no letter, digit or one of these becomes "_".
std::string Name(absl::string_view text) {
  std::string out;
  for (char c : absl::StripAsciiWhitespace(text)) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                       absl::string_view("#+-.:=@_").find(c) != absl::string_view::npos;
    if (plain) {
      out.push_back(c);
    } else if (out.empty() || out.back() != '_') {
      out.push_back('_');
    }
  }
  return out;
}

bool IsAta(const DiskFacts& facts) { return absl::StripAsciiWhitespace(facts.vendor) == "ATA"; }

}  // namespace

bool HoldsData(absl::string_view name) {
  for (absl::string_view other : {"loop", "ram", "zram", "dm-", "sr", "fd", "md", "nbd", "mtd"}) {
    if (absl::StartsWith(name, other)) return false;
  }
  // eMMC has more devices than the one for data.
  return !absl::StrContains(name, "boot") && !absl::StrContains(name, "rpmb");
}

std::vector<BlockMount> ParseMounts(absl::string_view mounts) {
  std::vector<BlockMount> out;
  for (absl::string_view line : absl::StrSplit(mounts, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    if (words.size() < 4 || !absl::StartsWith(words[0], "/dev/")) continue;
    BlockMount mount;
    mount.source = Unescape(words[0]);
    mount.target = Unescape(words[1]);
    mount.type = std::string(words[2]);
    for (absl::string_view option : absl::StrSplit(words[3], ',')) {
      mount.no_exec |= option == "noexec";
      mount.read_only |= option == "ro";
    }
    out.push_back(std::move(mount));
  }
  return out;
}

std::vector<SwapArea> ParseSwaps(absl::string_view swaps) {
  std::vector<SwapArea> out;
  for (absl::string_view line : absl::StrSplit(swaps, '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    uint64_t kilobytes = 0;
    if (words.size() < 4 || !absl::SimpleAtoi(words[2], &kilobytes)) continue;  // the headline
    out.push_back({.path = Unescape(words[0]), .size = kilobytes * 1024});
  }
  return out;
}

std::string SerialOfPage80(absl::string_view page) {
  if (page.size() < 4 || static_cast<uint8_t>(page[1]) != 0x80) return "";
  const size_t size =
      static_cast<size_t>(static_cast<uint8_t>(page[2])) << 8 | static_cast<uint8_t>(page[3]);
  const absl::string_view text = page.substr(4, size);
  for (char c : text) {
    if (c < ' ' || c > '~') return "";
  }
  return std::string(absl::StripAsciiWhitespace(text));
}

std::string ModelOfPage89(absl::string_view page) {
  constexpr size_t kIdentify = 60, kModel = kIdentify + 27 * 2, kSize = 40;
  if (page.size() < kModel + kSize || static_cast<uint8_t>(page[1]) != 0x89) return "";
  std::string model;
  for (size_t i = 0; i < kSize; i += 2) {  // each word the other way round
    model.push_back(page[kModel + i + 1]);
    model.push_back(page[kModel + i]);
  }
  for (char c : model) {
    if (c < ' ' || c > '~') return "";
  }
  return std::string(absl::StripAsciiWhitespace(model));
}

std::string SwapHeader(uint64_t size) {
  std::string page(kPage, '\0');
  const uint32_t version = 1;
  const uint32_t last_page = static_cast<uint32_t>(size / kPage - 1);
  memcpy(page.data() + 1024, &version, sizeof version);
  memcpy(page.data() + 1028, &last_page, sizeof last_page);
  memcpy(page.data() + kPage - 10, "SWAPSPACE2", 10);
  return page;
}

DiskType TypeOf(const DiskFacts& facts) {
  if (facts.usb) return DiskType::kUsb;
  if (absl::StartsWith(facts.name, "nvme")) return DiskType::kNvme;
  if (absl::StartsWith(facts.name, "mmcblk")) {
    return facts.mmc_type == "SD" ? DiskType::kSd : DiskType::kEmmc;
  }
  if (absl::StartsWith(facts.name, "vd") || absl::StartsWith(facts.name, "xvd")) {
    return DiskType::kVirtio;
  }
  if (absl::StartsWith(facts.name, "sd")) {
    return facts.rotational ? DiskType::kHdd : DiskType::kSsd;
  }
  return DiskType::kOther;
}

std::string WwnOf(const DiskFacts& facts) {
  absl::string_view wwid = facts.wwid;
  if (absl::ConsumePrefix(&wwid, "naa.")) return absl::StrCat("0x", wwid);
  return absl::StartsWith(wwid, "eui.") || absl::StartsWith(wwid, "uuid.") ? facts.wwid : "";
}

std::vector<std::string> IdsOf(const DiskFacts& facts) {
  std::vector<std::string> ids;
  const std::string model = Name(facts.model), serial = Name(facts.serial);
  const bool both = !model.empty() && !serial.empty();
  if (absl::StartsWith(facts.name, "nvme")) {
    if (both) ids.push_back(absl::StrCat("nvme-", model, "_", serial));
    if (!facts.wwid.empty()) ids.push_back(absl::StrCat("nvme-", Name(facts.wwid)));
  } else if (absl::StartsWith(facts.name, "mmcblk")) {
    if (both) ids.push_back(absl::StrCat("mmc-", model, "_", serial));
  } else if (absl::StartsWith(facts.name, "vd")) {
    if (!serial.empty()) ids.push_back(absl::StrCat("virtio-", serial));
  } else if (!facts.usb && IsAta(facts)) {
    if (both) ids.push_back(absl::StrCat("ata-", model, "_", serial));
  }
  const std::string wwn = WwnOf(facts);
  if (absl::StartsWith(wwn, "0x")) ids.push_back(absl::StrCat("wwn-", wwn));
  return ids;
}

}  // namespace basalt::host
