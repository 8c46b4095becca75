#include "machineconfig/format/k3s_version.h"

#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace basalt::format {
namespace {

// Takes a number without leading zeros from the front.
bool TakeNumber(absl::string_view& text, int& out) {
  size_t n = 0;
  int value = 0;
  while (n < text.size() && n < 6 && absl::ascii_isdigit(text[n])) {
    value = value * 10 + (text[n++] - '0');
  }
  if (n == 0 || (n > 1 && text[0] == '0')) return false;
  text.remove_prefix(n);
  out = value;
  return true;
}

}  // namespace

std::string K3sVersion::ToString() const {
  return absl::StrCat("v", major, ".", minor, ".", patch, rc > 0 ? absl::StrCat("-rc", rc) : "",
                      "+k3s", k3s_revision);
}

std::strong_ordering K3sVersion::operator<=>(const K3sVersion& other) const {
  auto key = [](const K3sVersion& v) {
    const int rc_last = v.rc == 0 ? 1 << 30 : v.rc;
    return std::make_tuple(v.major, v.minor, v.patch, rc_last, v.k3s_revision);
  };
  return key(*this) <=> key(other);
}

absl::StatusOr<K3sVersion> ParseK3sVersion(absl::string_view text) {
  K3sVersion v;
  absl::string_view rest = text;
  bool ok = absl::ConsumePrefix(&rest, "v") && TakeNumber(rest, v.major) &&
            absl::ConsumePrefix(&rest, ".") && TakeNumber(rest, v.minor) &&
            absl::ConsumePrefix(&rest, ".") && TakeNumber(rest, v.patch);
  if (ok && absl::ConsumePrefix(&rest, "-rc")) ok = TakeNumber(rest, v.rc) && v.rc > 0;
  ok = ok && absl::ConsumePrefix(&rest, "+k3s") && TakeNumber(rest, v.k3s_revision) &&
       v.k3s_revision > 0 && rest.empty();
  if (!ok) {
    return absl::InvalidArgumentError(
        "not a K3s release: vX.Y.Z+k3sN, such as v1.30.4+k3s1 or v1.31.0-rc2+k3s1");
  }
  return v;
}

}  // namespace basalt::format
