#include "client/commands/cluster_secrets.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "api/coded_status.h"
#include "client/context/flat_yaml.h"

namespace basalt::client {
namespace {

constexpr absl::string_view kArmor = "-----BEGIN AGE ENCRYPTED FILE-----";

std::vector<std::string> Block(const std::string& name, absl::string_view value) {
  if (!absl::StartsWith(value, kArmor)) return {absl::StrCat(name, ": ", QuoteYaml(value))};
  std::vector<std::string> out = {absl::StrCat(name, ": !sealed |")};
  for (absl::string_view line : absl::StrSplit(value, '\n', absl::SkipEmpty())) {
    out.push_back(absl::StrCat("  ", line));
  }
  return out;
}

}  // namespace

const std::vector<std::string>& ClusterSecretNames() {
  static const auto* names = new std::vector<std::string>{"server", "agent"};
  return *names;
}

seal::FieldContext ClusterSecretField(absl::string_view cluster, absl::string_view name) {
  return {.cluster = std::string(cluster), .name = "secrets.yaml", .path = std::string(name)};
}

absl::StatusOr<std::vector<ClusterSecret>> ReadClusterSecrets(absl::string_view text,
                                                              const std::string& file) {
  absl::StatusOr<FlatFile> flat = ReadFlatYaml(text, file);
  if (!flat.ok()) return flat.status();
  std::vector<ClusterSecret> out;
  for (const std::string& name : ClusterSecretNames()) {
    const std::string* value = flat->top.Find(name);
    ClusterSecret one{.name = name};
    if (value != nullptr) one.text = *value;
    one.sealed = absl::StartsWith(one.text, kArmor);
    out.push_back(std::move(one));
  }
  return out;
}

std::string NewClusterSecretsText(absl::string_view cluster) {
  return absl::StrCat("# Tokens of the cluster ", cluster,
                      ". `nodectl gen config` copies them into configs. Behind !sealed they are "
                      "sealed\n# to the recipients of context.yaml, and may stand in Git.\n");
}

absl::StatusOr<std::string> PutClusterSecret(absl::string_view text, const std::string& file,
                                             const std::string& name, absl::string_view value) {
  absl::StatusOr<FlatFile> flat = ReadFlatYaml(text, file);
  if (!flat.ok()) return flat.status();
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  size_t begin = lines.size(), end = lines.size();
  for (const FlatEntry& entry : flat->top.entries) {
    if (entry.key != name) continue;
    begin = static_cast<size_t>(entry.line - 1);
    // Its block: what is indented below it.
    for (end = begin + 1; end < lines.size() && absl::StartsWith(lines[end], " ");) ++end;
  }
  const std::vector<std::string> block = Block(name, value);
  lines.erase(lines.begin() + static_cast<ptrdiff_t>(begin),
              lines.begin() + static_cast<ptrdiff_t>(end));
  lines.insert(lines.begin() + static_cast<ptrdiff_t>(begin), block.begin(), block.end());
  std::string out = absl::StrJoin(lines, "\n") + "\n";
  // It must read back as exactly that change.
  absl::StatusOr<FlatFile> again = ReadFlatYaml(out, file);
  bool good = again.ok() && again->top.Find(name) != nullptr && *again->top.Find(name) == value;
  for (const FlatEntry& entry : flat->top.entries) {
    if (!good || entry.key == name) continue;
    const std::string* still = again->top.Find(entry.key);
    good = still != nullptr && *still == entry.value;
  }
  if (!good) {
    return api::WithDetail(
        api::Coded(absl::StatusCode::kFailedPrecondition, "cannot-edit",
                   absl::StrCat(file, " is written in a way that cannot be edited in place"),
                   absl::StrCat("write a line `", name, ":` of its own first")),
        "file", file);
  }
  return out;
}

}  // namespace basalt::client
