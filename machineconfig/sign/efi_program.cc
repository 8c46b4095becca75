#include "machineconfig/sign/efi_program.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/sign/openssl_ptr.h"

namespace basalt::sign {
namespace {

constexpr uint64_t kMostHeader = 64 << 10;
constexpr uint64_t kMostSignatures = 256 << 10;
constexpr size_t kMostCount = 8;
constexpr size_t kPiece = 1 << 20;
constexpr uint16_t kRevision = 0x0200, kPkcs7 = 0x0002;  // WIN_CERTIFICATE

absl::Status Bad(absl::string_view why) {
  return api::Coded(absl::StatusCode::kInvalidArgument, "bad-program",
                    absl::StrCat("not an EFI program: ", why));
}

uint64_t Little(absl::string_view bytes, uint64_t at, int size) {
  uint64_t value = 0;
  if (at > bytes.size() || bytes.size() - at < static_cast<size_t>(size)) return 0;
  for (int i = size - 1; i >= 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<size_t>(i)]);
  }
  return value;
}

void Put(std::string& bytes, uint64_t at, uint64_t value, int size) {
  for (int i = 0; i < size; ++i)
    bytes.at(at + static_cast<size_t>(i)) = static_cast<char>(value >> 8 * i);
}

void Append(std::string& bytes, uint64_t value, int size) {
  for (int i = 0; i < size; ++i) bytes.push_back(static_cast<char>(value >> 8 * i));
}

}  // namespace

ReadBytes ReadingOf(absl::string_view bytes) {
  return [bytes](uint64_t offset, size_t size) -> absl::StatusOr<std::string> {
    return offset < bytes.size() ? std::string(bytes.substr(offset, size)) : std::string();
  };
}

bool EfiProgram::gapless() const {
  uint64_t at = header_size;
  for (const auto& [offset, size] : sections) {
    if (offset != at) return false;
    at += size;
  }
  return true;
}

absl::StatusOr<EfiProgram> InspectEfiProgram(const ReadBytes& read, uint64_t file_size) {
  absl::StatusOr<std::string> head = read(0, kMostHeader);
  if (!head.ok()) return head.status();
  EfiProgram out{.size = file_size};
  const uint64_t pe = Little(*head, 0x3c, 4);
  if (head->compare(0, 2, "MZ") != 0 || pe > head->size() || head->size() - pe < 24 + 112 ||
      head->compare(pe, 4, std::string("PE\0\0", 4)) != 0 || Little(*head, pe + 24, 2) != 0x20b) {
    return Bad("no PE32+ program");
  }
  const uint64_t optional = pe + 24, optional_size = Little(*head, pe + 20, 2);
  const uint64_t directories = Little(*head, optional + 108, 4);
  if (directories < 5 || directories > 16 || optional_size < 112 + 8 * directories) {
    return Bad("it has no room for a signature");
  }
  out.checksum_at = optional + 64;
  out.entry_at = optional + 112 + 4 * 8;
  out.header_size = Little(*head, optional + 60, 4);
  const uint64_t table = optional + optional_size, count = Little(*head, pe + 6, 2);
  if (out.header_size > head->size() || table + 40 * count > out.header_size ||
      out.header_size > file_size) {
    return Bad("its headers contradict each other");
  }
  uint64_t sum = out.header_size;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t size = Little(*head, table + 40 * i + 16, 4);
    const uint64_t at = Little(*head, table + 40 * i + 20, 4);
    if (size == 0) continue;
    if (at > file_size || file_size - at < size) return Bad("a section leaves the file");
    out.sections.emplace_back(at, size);
    sum += size;
  }
  // As firmware sorts: by where they begin, what was first stays first.
  std::stable_sort(out.sections.begin(), out.sections.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  out.signatures_at = Little(*head, out.entry_at, 4);
  out.signatures_size = Little(*head, out.entry_at + 4, 4);
  if (out.signatures_size > kMostSignatures) return Bad("its signatures are too large");
  if (out.signatures_size > 0 &&
      (out.signatures_at < out.header_size || out.signatures_at > file_size ||
       file_size - out.signatures_at != out.signatures_size || out.signatures_at % 8 != 0)) {
    return Bad("its signatures are not at its end");
  }
  if (sum > file_size - out.signatures_size) return Bad("its sections are larger than it");
  return out;
}

absl::StatusOr<Digest> AuthenticodeDigest(const ReadBytes& read, const EfiProgram& p) {
  EvpMdCtxPtr ctx(EVP_MD_CTX_new());
  if (!ctx || EVP_DigestInit_ex(ctx.get(), EVP_sha256(), nullptr) != 1) {
    return absl::ResourceExhaustedError("OpenSSL could not hash");
  }
  const auto add = [&](uint64_t at, uint64_t size) {
    while (size > 0) {
      const size_t piece = static_cast<size_t>(std::min<uint64_t>(size, kPiece));
      absl::StatusOr<std::string> bytes = read(at, piece);
      if (!bytes.ok()) return bytes.status();
      if (bytes->size() != piece) return Bad("it is cut off");
      EVP_DigestUpdate(ctx.get(), bytes->data(), bytes->size());
      at += piece;
      size -= piece;
    }
    return absl::OkStatus();
  };
  uint64_t sum = p.header_size;
  absl::Status status = add(0, p.checksum_at);
  if (status.ok()) status = add(p.checksum_at + 4, p.entry_at - p.checksum_at - 4);
  if (status.ok()) status = add(p.entry_at + 8, p.header_size - p.entry_at - 8);
  for (const auto& [at, size] : p.sections) {
    if (status.ok()) status = add(at, size);
    sum += size;
  }
  if (status.ok()) status = add(sum, p.size - p.signatures_size - sum);
  if (!status.ok()) return status;
  Digest out;
  unsigned size = 0;
  static_assert(sizeof out.bytes == 32);
  EVP_DigestFinal_ex(ctx.get(), reinterpret_cast<unsigned char*>(out.bytes.data()), &size);
  return out;
}

absl::StatusOr<std::vector<std::string>> SignaturesOf(const ReadBytes& read, const EfiProgram& p) {
  std::vector<std::string> out;
  if (p.signatures_size == 0) return out;
  absl::StatusOr<std::string> table = read(p.signatures_at, static_cast<size_t>(p.signatures_size));
  if (!table.ok()) return table.status();
  uint64_t at = 0;
  while (table->size() - at > 8 && out.size() < kMostCount) {
    const uint64_t size = Little(*table, at, 4);
    if (size <= 8 || size > table->size() - at) return Bad("a signature leaves the file");
    if (Little(*table, at + 4, 2) == kRevision && Little(*table, at + 6, 2) == kPkcs7) {
      out.push_back(table->substr(at + 8, size - 8));
    }
    at = std::min<uint64_t>(table->size(), at + (size + 7) / 8 * 8);
  }
  return out;
}

std::string PadForSignature(std::string program) {
  program.resize((program.size() + 7) / 8 * 8, '\0');
  return program;
}

std::string AttachSignature(std::string program, const EfiProgram& p, absl::string_view pkcs7) {
  const uint64_t at = program.size();
  Append(program, 8 + pkcs7.size(), 4);
  Append(program, kRevision, 2);
  Append(program, kPkcs7, 2);
  absl::StrAppend(&program, pkcs7);
  program = PadForSignature(std::move(program));
  Put(program, p.entry_at, at, 4);
  Put(program, p.entry_at + 4, program.size() - at, 4);
  return program;
}

}  // namespace basalt::sign
