#include "server/first/volumes.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "machineconfig/medium/fat.h"
#include "machineconfig/medium/iso9660.h"
#include "server/first/conversation.h"

namespace basalt::first {
namespace {

constexpr size_t kMostConfigs = 4;
constexpr size_t kMostId = 128;
constexpr size_t kMostKey = 4096;

// Two file systems, read in one way.
struct Files {
  std::string label;
  bool disc = false;
  std::function<absl::StatusOr<std::string>(absl::string_view path, size_t most)> read;
  std::function<std::vector<std::string>(absl::string_view directory)> names;
};

template <typename FileSystem>
Files FilesOf(std::shared_ptr<FileSystem> fs, bool disc) {
  return {.label = fs->label(),
          .disc = disc,
          .read = [fs](absl::string_view path, size_t most) { return fs->ReadFile(path, most); },
          .names =
              [fs](absl::string_view directory) {
                std::vector<std::string> out;
                auto entries = fs->List(directory);
                if (!entries.ok()) return out;
                for (const auto& e : *entries) {
                  if (!e.directory) out.push_back(e.name);
                }
                std::sort(out.begin(), out.end());
                return out;
              }};
}

std::optional<Files> Open(medium::Bytes& bytes) {
  if (auto disc = medium::Iso9660::Open(bytes); disc.ok()) {
    return FilesOf(std::make_shared<medium::Iso9660>(*std::move(disc)), /*disc=*/true);
  }
  if (auto fat = medium::Fat::Open(bytes); fat.ok()) {
    return FilesOf(std::make_shared<medium::Fat>(*std::move(fat)), /*disc=*/false);
  }
  return std::nullopt;
}

void Take(const Files& files, const std::string& path, const std::string& on,
          std::vector<Found>& out) {
  absl::StatusOr<std::string> bytes = files.read(path, kMostBytes);
  if (!bytes.ok() || out.size() == kMostConfigs) return;
  if (absl::StripAsciiWhitespace(*bytes).empty()) return;
  out.push_back({.where = absl::StrCat(path, " on ", on), .bytes = *std::move(bytes)});
}

// config.json, config.json.gz, config.b64: what it is, its content says.
void TakeConfigs(const Files& files, const std::string& directory, const std::string& on,
                 std::vector<Found>& out) {
  for (const std::string& name : files.names(directory)) {
    if (!absl::StartsWithIgnoreCase(name, "config.")) continue;
    Take(files, directory.empty() ? name : absl::StrCat(directory, "/", name), on, out);
  }
}

}  // namespace

std::vector<Found> OnBootPartition(medium::Bytes& bytes) {
  std::vector<Found> out;
  if (std::optional<Files> files = Open(bytes)) {
    TakeConfigs(*files, "basalt", "the boot partition", out);
  }
  return out;
}

std::vector<Found> OnMedium(medium::Bytes& bytes, bool azure) {
  std::vector<Found> out;
  std::optional<Files> files = Open(bytes);
  if (!files) return out;
  const std::string label = absl::AsciiStrToLower(files->label);
  if (label == "cidata") Take(*files, "user-data", files->label, out);
  if (label == "config-2") Take(*files, "openstack/latest/user_data", files->label, out);
  if (label == "basalt") {
    TakeConfigs(*files, "basalt", files->label, out);
    TakeConfigs(*files, "", files->label, out);
  }
  if (azure && files->disc) Take(*files, "ovf-env.xml", "the provisioning disc", out);
  return out;
}

MediumFacts FactsOf(medium::Bytes& bytes) {
  MediumFacts facts;
  std::optional<Files> files = Open(bytes);
  if (!files) return facts;
  facts.id =
      std::string(absl::StripAsciiWhitespace(files->read(kMediumIdFile, kMostId).value_or("")));
  facts.key = files->read(kMediumKeyFile, kMostKey).value_or("");
  // It is compared, shown and logged.
  const bool printable =
      std::all_of(facts.id.begin(), facts.id.end(), [](char c) { return absl::ascii_isprint(c); });
  if (!printable) facts.id.clear();
  return facts;
}

}  // namespace basalt::first
