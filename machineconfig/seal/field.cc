#include "machineconfig/seal/field.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "api/coded_status.h"
#include "machineconfig/seal/age.h"
#include "machineconfig/seal/armor.h"
#include "machineconfig/seal/limits.h"

namespace basalt::seal {
namespace {

constexpr absl::string_view kMagic = "basalt-seal/v1 ";
constexpr size_t kMaxLine = 1024;
constexpr size_t kMaxScalar = 256 << 10;  // of a config

bool IsPart(absl::string_view part, bool spaces) {
  if (part.empty()) return false;
  for (unsigned char c : part) {
    if (c < 0x20 || c == 0x7f || (c == ' ' && !spaces)) return false;
  }
  return true;
}

bool IsGood(const FieldContext& field) {
  return IsPart(field.cluster, false) && IsPart(field.name, false) && IsPart(field.path, true) &&
         field.Line().size() <= kMaxLine;
}

// The line without its line feed; false for one that Line() does not write.
bool ParseLine(absl::string_view line, FieldContext& out) {
  if (!absl::ConsumePrefix(&line, kMagic)) return false;
  const size_t first = line.find(' ');
  if (first == line.npos) return false;
  const size_t second = line.find(' ', first + 1);
  if (second == line.npos) return false;
  out.cluster = std::string(line.substr(0, first));
  out.name = std::string(line.substr(first + 1, second - first - 1));
  out.path = std::string(line.substr(second + 1));
  return IsGood(out);
}

absl::Status Differs(const FieldContext& stands, const FieldContext& sealed) {
  std::vector<std::string> differences;
  const std::pair<const char*, std::string FieldContext::*> parts[] = {
      {"cluster", &FieldContext::cluster},
      {"node", &FieldContext::name},
      {"field", &FieldContext::path}};
  for (const auto& [what, part] : parts) {
    if (sealed.*part == stands.*part) continue;
    differences.push_back(
        absl::StrCat(what, " ", sealed.*part, ", and stands at ", what, " ", stands.*part));
  }
  return api::Coded(absl::StatusCode::kFailedPrecondition, "wrong-seal-context",
                    absl::StrCat("it was sealed for ", absl::StrJoin(differences, "; for ")),
                    "a sealed value cannot be moved: seal the value for this field");
}

}  // namespace

std::string FieldContext::Line() const {
  return absl::StrCat(kMagic, cluster, " ", name, " ", path);
}

absl::StatusOr<std::string> SealField(const FieldContext& field, absl::string_view value,
                                      absl::Span<const Recipient> recipients, Random random) {
  if (!IsGood(field)) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "bad-seal-context",
                      "cluster, node and field that a value is sealed for must all be named",
                      "for example home n1 k3s.token");
  }
  const std::string line = field.Line();
  if (value.size() > kMaxPlaintext) return TooLarge("the value", kMaxPlaintext);
  SecretBytes plaintext(line.size() + 1 + value.size());
  std::memcpy(plaintext.data(), line.data(), line.size());
  plaintext.data()[line.size()] = '\n';
  if (!value.empty()) {
    std::memcpy(plaintext.data() + line.size() + 1, value.data(), value.size());
  }
  absl::StatusOr<std::string> file = Encrypt(plaintext.view(), recipients, random);
  if (!file.ok()) return file.status();
  std::string armored = Armor(*file);
  if (armored.size() > kMaxScalar) return TooLarge("the sealed text of the value", kMaxScalar);
  return armored;
}

absl::StatusOr<SecretBytes> OpenField(const FieldContext& field, absl::string_view armored,
                                      absl::Span<const Identity> identities) {
  absl::StatusOr<std::string> file = Dearmor(armored);
  if (!file.ok()) return file.status();
  absl::StatusOr<SecretBytes> plaintext = Decrypt(*file, identities);
  if (!plaintext.ok()) return plaintext.status();
  const size_t end = plaintext->view().substr(0, kMaxLine + 1).find('\n');
  FieldContext sealed;
  if (end == absl::string_view::npos || !ParseLine(plaintext->view().substr(0, end), sealed)) {
    return api::Coded(absl::StatusCode::kInvalidArgument, "no-seal-context",
                      "it does not say which field it was sealed for",
                      absl::StrCat("its first line must be `", field.Line(),
                                   "`, then the value: `nodectl seal` writes it"));
  }
  if (sealed != field) return Differs(field, sealed);
  plaintext->RemovePrefix(end + 1);
  return plaintext;
}

}  // namespace basalt::seal
