#include "client/commands/disk_words.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "basalt/v1/storage.pb.h"

namespace basalt::client {

absl::StatusOr<std::map<std::string, std::string>> ParseSelector(absl::string_view text) {
  std::map<std::string, std::string> selector;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    std::pair<absl::string_view, absl::string_view> one =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    std::string name(one.first), value(one.second);
    if (!absl::StrContains(part, '=')) {
      name = absl::StartsWith(part, "/") ? "path" : "id";
      value = std::string(part);
    }
    const auto* field = v1::DiskSelector::descriptor()->FindFieldByCamelcaseName(name);
    if (field == nullptr || value.empty()) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "bad-disk-selector",
                        absl::StrCat("`", part, "` says nothing of a disk"),
                        "serial=..., id=..., wwn=..., model=..., type=..., minSize=..., "
                        "maxSize=..., or /dev/...; several with commas");
    }
    if (!selector.emplace(name, value).second) {
      return api::Coded(absl::StatusCode::kInvalidArgument, "bad-disk-selector",
                        absl::StrCat(name, " is said twice"), "");
    }
  }
  return selector;
}

bool MayMean(const std::map<std::string, std::string>& selector, const v1::Disk& disk) {
  for (const auto& [name, value] : selector) {
    if (name == "path" && value != disk.path()) return false;
    if (name == "serial" && value != disk.serial()) return false;
    if (name == "wwn" && value != disk.wwn()) return false;
    if (name == "type" && value != disk.type()) return false;
    if (name == "id" &&
        std::find(disk.ids().begin(), disk.ids().end(), value) == disk.ids().end()) {
      return false;
    }
  }
  return true;
}

std::string DiskLine(const v1::Disk& disk) {
  std::vector<std::string> about, holds;
  for (const std::string& word :
       {disk.type(), absl::StrCat(disk.size() / 1000000000, " GB"), disk.model(), disk.serial()}) {
    if (!word.empty()) about.push_back(word);
  }
  for (const v1::DiskPartition& p : disk.partitions()) {
    holds.push_back(p.name().empty() ? p.path() : p.name());
  }
  return absl::StrCat(disk.path(), " (", absl::StrJoin(about, ", "),
                      "): ", holds.empty() ? disk.holds() : absl::StrJoin(holds, ", "));
}

}  // namespace basalt::client
