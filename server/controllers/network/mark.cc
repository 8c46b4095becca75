#include "server/controllers/network/mark.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "machineconfig/format/net.h"

namespace basalt::network {

std::string ToText(const Mark& mark) {
  if (!mark.ours) return "";
  std::string text = mark.made ? "basalt made" : "basalt was";
  if (!mark.name.empty()) absl::StrAppend(&text, " name=", mark.name);
  if (!mark.mac.empty()) absl::StrAppend(&text, " mac=", mark.mac);
  if (mark.mtu != 0) absl::StrAppend(&text, " mtu=", mark.mtu);
  return text;
}

Mark ReadMark(absl::string_view alias) {
  Mark mark;
  if (absl::ConsumePrefix(&alias, "basalt made")) {
    mark.made = true;
  } else if (!absl::ConsumePrefix(&alias, "basalt was")) {
    return mark;
  }
  mark.ours = true;
  for (absl::string_view word : absl::StrSplit(alias, ' ', absl::SkipEmpty())) {
    int64_t mtu = 0;
    if (absl::ConsumePrefix(&word, "name=") && format::CheckInterfaceName(word).ok()) {
      mark.name = std::string(word);
    } else if (absl::ConsumePrefix(&word, "mac=") && format::CheckMac(word).ok()) {
      mark.mac = std::string(word);
    } else if (absl::ConsumePrefix(&word, "mtu=") && absl::SimpleAtoi(word, &mtu) && mtu > 0 &&
               mtu <= 65536) {
      mark.mtu = mtu;
    }
  }
  return mark;
}

std::string OriginalName(const host::Link& link) {
  const Mark mark = ReadMark(link.alias);
  return mark.name.empty() ? link.name : mark.name;
}

std::string OriginalMac(const host::Link& link) {
  if (!link.permanent_mac.empty()) return link.permanent_mac;
  const Mark mark = ReadMark(link.alias);
  return mark.mac.empty() ? link.mac : mark.mac;
}

}  // namespace basalt::network
