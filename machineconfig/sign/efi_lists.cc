#include "machineconfig/sign/efi_lists.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"

namespace basalt::sign {
namespace {

constexpr size_t kMostBytes = 1 << 20;
constexpr size_t kListHeader = 28, kGuid = 16;
constexpr char kX509[] = "a5c059a1-94e4-4aa7-87b5-ab155c2bf072";
constexpr char kSha256[] = "c1c41626-504c-4092-aca9-41f936934328";
constexpr char kX509Sha256[] = "3bd2a492-96c0-4079-b420-fcf98ef103ed";

absl::Status Bad(absl::string_view why) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-signature-list",
                    absl::StrCat("not a list of EFI signatures: ", why));
}

size_t Little32(absl::string_view bytes, size_t at) {
  size_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

void Append32(std::string& bytes, size_t value) {
  for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(value >> 8 * i));
}

// Text order to memory order, and back.
std::string Swapped(std::string b) {
  std::reverse(b.begin(), b.begin() + 4);
  std::reverse(b.begin() + 4, b.begin() + 6);
  std::reverse(b.begin() + 6, b.begin() + 8);
  return b;
}

std::string List(const char* type, absl::string_view data, const EfiGuid& owner) {
  std::string out = EfiGuid::Parse(type).bytes;
  Append32(out, kListHeader + kGuid + data.size());
  Append32(out, 0);
  Append32(out, kGuid + data.size());
  return absl::StrCat(out, owner.bytes, data);
}

Digest DigestOf(absl::string_view bytes) {
  Digest out;
  std::copy(bytes.begin(), bytes.begin() + 32, out.bytes.begin());
  return out;
}

absl::string_view View(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

}  // namespace

EfiGuid EfiGuid::Parse(absl::string_view text) {
  if (text.size() != 36) return {};
  std::string hex;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !absl::ascii_isxdigit(text[i])) return {};
    if (!dash) hex.push_back(text[i]);
  }
  return {Swapped(absl::HexStringToBytes(hex))};
}

std::string EfiGuid::ToString() const {
  if (bytes.size() != kGuid) return "";
  const std::string hex = absl::BytesToHexString(Swapped(bytes));
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20));
}

EfiGuid GlobalVariables() { return EfiGuid::Parse("8be4df61-93ca-11d2-aa0d-00e098032b8c"); }
EfiGuid SecurityDatabase() { return EfiGuid::Parse("d719b2cb-3d3a-4596-a3bc-dad00e67656f"); }
EfiGuid VendorOf(absl::string_view variable) {
  return variable == "db" || variable == "dbx" ? SecurityDatabase() : GlobalVariables();
}

absl::StatusOr<EfiSignatures> ParseEfiLists(absl::string_view bytes) {
  if (bytes.size() > kMostBytes) return Bad("it is too large");
  EfiSignatures out;
  while (!bytes.empty()) {
    if (bytes.size() < kListHeader) return Bad("it is cut off");
    const size_t size = Little32(bytes, 16), header = Little32(bytes, 20),
                 one = Little32(bytes, 24);
    if (size > bytes.size() || size < kListHeader || header > size - kListHeader || one < kGuid ||
        (size - kListHeader - header) % one != 0) {
      return Bad("its sizes contradict each other");
    }
    const EfiGuid type{std::string(bytes.substr(0, kGuid))};
    for (size_t at = kListHeader + header; at < size; at += one) {
      const absl::string_view data = bytes.substr(at + kGuid, one - kGuid);
      if (type == EfiGuid::Parse(kX509)) {
        out.certificates.emplace_back(data);
      } else if (type == EfiGuid::Parse(kSha256) && data.size() == 32) {
        out.digests.push_back(DigestOf(data));
      } else if (type == EfiGuid::Parse(kX509Sha256) && data.size() == 48) {  // and a time
        out.certificate_digests.push_back(DigestOf(data));
      } else {
        ++out.others;
      }
    }
    bytes.remove_prefix(size);
  }
  return out;
}

std::string EfiListOf(absl::string_view certificate_der, const EfiGuid& owner) {
  return List(kX509, certificate_der, owner);
}
std::string EfiListOf(const Digest& program, const EfiGuid& owner) {
  return List(kSha256, View(program), owner);
}

}  // namespace basalt::sign
