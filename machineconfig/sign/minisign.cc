#include "machineconfig/sign/minisign.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/openssl_ptr.h"

namespace basalt::sign {
namespace {

constexpr absl::string_view kUntrusted = "untrusted comment: ";
constexpr absl::string_view kTrusted = "trusted comment: ";
constexpr size_t kMaxComment = 1024;  // minisign's own limit

absl::Status Bad(absl::string_view what) {
  return api::Coded(absl::StatusCode::kPermissionDenied, "bad-signature",
                    absl::StrCat("not a minisign signature: ", what),
                    "sign again: minisign -S -t basalt-TYPE@v1 -m FILE");
}

bool IsComment(absl::string_view text) {
  return text.size() <= kMaxComment && std::none_of(text.begin(), text.end(), [](char c) {
           // minisign's own comments have tabs.
           return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
         });
}

}  // namespace

std::string MinisignComment(v1::DocumentType type) {
  return absl::StrCat("basalt-", TypeWord(type), "@v1");
}

absl::StatusOr<MinisignSignature> ParseMinisignSignature(absl::string_view text) {
  if (text.size() > kMaxMinisignText) return Bad("the text is longer than one can be");
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (lines.size() != 5 || !lines[4].empty()) return Bad("it has not exactly four lines");
  if (!absl::ConsumePrefix(&lines[0], kUntrusted) || !IsComment(lines[0])) {
    return Bad("line 1 is no untrusted comment");
  }
  if (!absl::ConsumePrefix(&lines[2], kTrusted) || !IsComment(lines[2])) {
    return Bad("line 3 is no trusted comment");
  }
  absl::StatusOr<std::string> first = Base64DecodeStrict(lines[1]);
  absl::StatusOr<std::string> global = Base64DecodeStrict(lines[3]);
  // Two letters of algorithm, 8 bytes of key number, 64 bytes of signature.
  if (!first.ok() || first->size() != 74) return Bad("line 2 is not the base64 of a signature");
  if (!global.ok() || global->size() != 64) return Bad("line 4 is not the base64 of a signature");
  if (absl::StartsWith(*first, "Ed")) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "unknown-scheme",
                      "a minisign signature in the old form, without a hash, is not known to this "
                      "version",
                      "sign without -l; minisign before 0.10 wants -H");
  }
  if (!absl::StartsWith(*first, "ED")) return Bad("it is of an unknown algorithm");
  return MinisignSignature{.trusted_comment = std::string(lines[2]),
                           .signature = first->substr(10),
                           .global_signature = *std::move(global)};
}

std::string MinisignHash(absl::string_view message) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(message.data(), message.size(), out, &size, EVP_blake2b512(), nullptr) != 1) {
    std::abort();
  }
  return std::string(reinterpret_cast<char*>(out), size);
}

MinisignCheck CheckMinisignSignature(const MinisignSignature& signature, const PublicKey& key,
                                     absl::string_view hash) {
  if (key.algorithm() != Algorithm::kEd25519 || !key.Verify(hash, signature.signature)) {
    return MinisignCheck::kNotThisKey;
  }
  return key.Verify(absl::StrCat(signature.signature, signature.trusted_comment),
                    signature.global_signature)
             ? MinisignCheck::kGood
             : MinisignCheck::kComment;
}

}  // namespace basalt::sign
