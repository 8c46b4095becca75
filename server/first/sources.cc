#include "server/first/sources.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace basalt::first {
namespace {

constexpr size_t kLongestUrl = 2048;
// What every Azure machine has there.
constexpr absl::string_view kAzureTag = "7783-7084-3265-9085-8269-3286-77";

// For curl and for a console: no blanks, no control characters, nobody's password.
bool GoodUrl(absl::string_view url) {
  if (!absl::StartsWith(url, "http://") && !absl::StartsWith(url, "https://")) return false;
  const absl::string_view authority = url.substr(url.find("//") + 2);
  return url.size() <= kLongestUrl && !authority.empty() && authority[0] != '/' &&
         !absl::StrContains(authority.substr(0, authority.find('/')), '@') &&
         std::all_of(url.begin(), url.end(), [](char c) { return absl::ascii_isgraph(c); });
}

// NoCloud: the serial number is "ds=nocloud;s=URL/", and user-data lies below it.
std::string NoCloudUrl(absl::string_view serial) {
  if (!absl::ConsumePrefix(&serial, "ds=nocloud-net;") &&
      !absl::ConsumePrefix(&serial, "ds=nocloud;")) {
    return "";
  }
  for (absl::string_view word : absl::StrSplit(serial, ';')) {
    if (!absl::ConsumePrefix(&word, "s=") && !absl::ConsumePrefix(&word, "seedfrom=")) continue;
    return absl::StrCat(word, absl::EndsWith(word, "/") ? "" : "/", "user-data");
  }
  return "";
}

}  // namespace

std::string ArgumentOf(absl::string_view command_line, absl::string_view name) {
  std::string value;
  for (absl::string_view word : absl::StrSplit(command_line, absl::ByAnyChar(" \n\t"))) {
    if (absl::ConsumePrefix(&word, name) && absl::ConsumePrefix(&word, "=")) {
      value = std::string(word);
    }
  }
  return value;
}

std::vector<Source> SourcesFor(const MachineFacts& facts) {
  std::vector<Source> out = {{.kind = SourceKind::kBootPartition}, {.kind = SourceKind::kMedium}};
  for (const std::string& url :
       {ArgumentOf(facts.command_line, "noded.config"), NoCloudUrl(facts.product_serial)}) {
    if (GoodUrl(url)) out.push_back({.kind = SourceKind::kUrl, .url = url});
  }
  const auto cloud = [&](SourceKind kind) { out.push_back({.kind = kind}); };
  if (facts.sys_vendor == "Amazon EC2" || absl::EndsWith(facts.bios_version, ".amazon")) {
    cloud(SourceKind::kAws);
  } else if (facts.product_name == "Google Compute Engine") {
    cloud(SourceKind::kGcp);
  } else if (facts.chassis_asset_tag == kAzureTag) {
    cloud(SourceKind::kAzure);
  } else if (facts.sys_vendor == "Hetzner") {
    cloud(SourceKind::kHetzner);
  } else if (absl::StartsWith(facts.product_name, "OpenStack ") ||
             absl::StartsWith(facts.sys_vendor, "OpenStack") ||
             facts.chassis_asset_tag == "OpenTelekomCloud") {
    cloud(SourceKind::kOpenStack);
  }
  return out;
}

std::string NameOf(const Source& source) {
  switch (source.kind) {
    case SourceKind::kBootPartition:
      return "the boot partition";
    case SourceKind::kMedium:
      return "a medium";
    case SourceKind::kUrl:
      // What stands behind a question mark may be somebody's token.
      return source.url.substr(0, source.url.find('?'));
    case SourceKind::kAws:
      return "user-data of AWS";
    case SourceKind::kGcp:
      return "user-data of Google Cloud";
    case SourceKind::kAzure:
      return "user data of Azure";
    case SourceKind::kOpenStack:
      return "user-data of OpenStack";
    case SourceKind::kHetzner:
      return "user-data of Hetzner";
  }
  return "";
}

}  // namespace basalt::first
