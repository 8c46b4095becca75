#include "machineconfig/sign/manifest_reader.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "machineconfig/format/format.h"

namespace basalt::sign {
namespace {

using Json = nlohmann::json;

constexpr size_t kMostText = 256;

bool GoodRoot(absl::string_view root) {
  return root.size() > 65 && root.size() < 96 && root[64] == ':' &&
         std::all_of(root.begin(), root.begin() + 64,
                     [](char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); }) &&
         std::all_of(root.begin() + 65, root.end(), absl::ascii_isdigit);
}

bool GoodWord(absl::string_view word) {
  return !word.empty() && word.size() <= 64 && absl::ascii_isalnum(word[0]) &&
         std::all_of(word.begin(), word.end(),
                     [](char c) { return absl::ascii_isalnum(c) || absl::StrContains("._~-", c); });
}

}  // namespace

Json ParseOnce(absl::string_view text) {
  std::vector<std::set<std::string>> keys;
  bool twice = false;
  const auto look = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      twice = twice || !keys.back().insert(value.get<std::string>()).second;
    }
    return true;
  };
  Json out = Json::parse(text.begin(), text.end(), look, /*allow_exceptions=*/false);
  return twice || out.is_discarded() ? Json() : out;
}

std::string ManifestReader::Text(const char* key) {
  const auto it = json_.find(key);
  if (it == json_.end() || !it->is_string() ||
      it->get_ref<const std::string&>().size() > kMostText) {
    return Wrong(key), "";
  }
  return it->get<std::string>();
}

std::vector<std::string> ManifestReader::Texts(const char* key, size_t most) {
  std::vector<std::string> out;
  const auto it = json_.find(key);
  if (it == json_.end()) return out;
  if (!it->is_array() || it->size() > most) return Wrong(key), out;
  for (const Json& one : *it) {
    if (!one.is_string() || one.get_ref<const std::string&>().size() > kMostText) {
      return Wrong(key), std::vector<std::string>();
    }
    out.push_back(one.get<std::string>());
  }
  return out;
}

std::map<std::string, std::string> ManifestReader::TextsByName(const char* key, size_t most) {
  std::map<std::string, std::string> out;
  const auto it = json_.find(key);
  if (it == json_.end()) return out;
  if (!it->is_object() || it->size() > most) return Wrong(key), out;
  for (const auto& [name, value] : it->items()) {
    if (name.size() > kMostText || !value.is_string() ||
        value.get_ref<const std::string&>().size() > kMostText) {
      return Wrong(key), std::map<std::string, std::string>();
    }
    out[name] = value.get<std::string>();
  }
  return out;
}

int64_t ManifestReader::Number(const char* key, int64_t most) {
  const auto it = json_.find(key);
  if (it == json_.end() || !it->is_number_unsigned() ||
      it->get<uint64_t>() > static_cast<uint64_t>(most) || it->get<uint64_t>() == 0) {
    return Wrong(key), 0;
  }
  return it->get<int64_t>();
}

ImageFile ManifestReader::File(const char* key, int64_t most) {
  const auto it = json_.find(key);
  if (it == json_.end() || !it->is_object()) return Wrong(key), ImageFile{};
  ManifestReader below(*it);
  ImageFile file{.name = below.Text("name"), .size = below.Number("size", most), .sha256 = {}};
  absl::StatusOr<Digest> digest = Digest::Parse(below.Text("sha256"));
  const bool good =
      below.wrong_.empty() && digest.ok() && format::Check(v1::FORMAT_FILE_NAME, file.name).ok();
  if (!good) return Wrong(key), ImageFile{};
  file.sha256 = *digest;
  return file;
}

std::string ManifestReader::Word(const char* key) {
  std::string word = Text(key);
  if (!GoodWord(word)) Wrong(key);
  return word;
}

std::string ManifestReader::Root(const char* key) {
  std::string root = Text(key);
  if (!GoodRoot(root)) Wrong(key);
  return root;
}

absl::Time ManifestReader::Time(const char* key) {
  absl::Time time;
  if (!absl::ParseTime(absl::RFC3339_full, Text(key), &time, nullptr)) Wrong(key);
  return time;
}

}  // namespace basalt::sign
