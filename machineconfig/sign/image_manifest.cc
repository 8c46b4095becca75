#include "machineconfig/sign/image_manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/format/format.h"

namespace basalt::sign {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMostSlot = int64_t{64} << 30;
constexpr int64_t kMostKernel = int64_t{1} << 30;

absl::Status Bad(absl::string_view why) {
  return api::Coded(
      absl::StatusCode::kInvalidArgument, "bad-manifest",
      absl::StrCat("the manifest of the image: ", why),
      "image-builder writes it as *.image.yaml, and with --key signed as *.image.json");
}

// Null when a key stands there twice: two readers would see two documents.
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

class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {}

  std::string Text(const char* key) {
    const auto it = json_.find(key);
    if (it == json_.end() || !it->is_string() || it->get_ref<const std::string&>().size() > 256) {
      return Wrong(key), "";
    }
    return it->get<std::string>();
  }
  int64_t Number(const char* key, int64_t most) {
    const auto it = json_.find(key);
    if (it == json_.end() || !it->is_number_unsigned() ||
        it->get<uint64_t>() > static_cast<uint64_t>(most) || it->get<uint64_t>() == 0) {
      return Wrong(key), 0;
    }
    return it->get<int64_t>();
  }
  ImageFile File(const char* key, int64_t most) {
    const auto it = json_.find(key);
    if (it == json_.end() || !it->is_object()) return Wrong(key), ImageFile{};
    Reader below(*it);
    ImageFile file{.name = below.Text("name"), .size = below.Number("size", most)};
    absl::StatusOr<Digest> digest = Digest::Parse(below.Text("sha256"));
    const bool good =
        below.wrong_.empty() && digest.ok() && format::Check(v1::FORMAT_FILE_NAME, file.name).ok();
    if (!good) return Wrong(key), ImageFile{};
    file.sha256 = *digest;
    return file;
  }
  void Wrong(const char* key) {
    if (wrong_.empty()) wrong_ = key;
  }
  const std::string& wrong() const { return wrong_; }

 private:
  const Json& json_;
  std::string wrong_;
};

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

absl::StatusOr<ImageManifest> ParseImageManifest(absl::string_view payload) {
  const Json json = ParseOnce(payload);
  if (!json.is_object()) return Bad("not a JSON object with each key once");
  Reader read(json);
  const std::string version = read.Text("apiVersion"), kind = read.Text("kind");
  if (version != "basalt/v1" || kind != "Image") return Bad("not of kind Image, basalt/v1");
  ImageManifest out;
  out.profile = read.Text("profile");
  out.architecture = read.Text("architecture");
  out.version = read.Text("version");
  out.epoch = read.Number("epoch", 1000000);
  out.root = read.Text("root");
  out.slot = read.File("slot", kMostSlot);
  out.kernel = read.File("kernel", kMostKernel);
  if (!absl::ParseTime(absl::RFC3339_full, read.Text("buildTime"), &out.build_time, nullptr)) {
    read.Wrong("buildTime");
  }
  if (json.contains("pcr11")) {
    out.pcr11 = read.Text("pcr11");
    if (out.pcr11.size() != 64 || !GoodRoot(out.pcr11 + ":1")) read.Wrong("pcr11");
  }
  if (!GoodRoot(out.root)) read.Wrong("root");
  if (!GoodWord(out.version)) read.Wrong("version");
  if (!GoodWord(out.profile)) read.Wrong("profile");
  if (!GoodWord(out.architecture)) read.Wrong("architecture");
  if (!read.wrong().empty()) {
    return Bad(absl::StrCat("`", read.wrong(), "` is missing or not what it has to be"));
  }
  return out;
}

std::string BesideManifest(absl::string_view url, absl::string_view name) {
  url = url.substr(0, url.find_first_of("?#"));
  return absl::StrCat(url.substr(0, url.rfind('/') + 1), name);
}

}  // namespace basalt::sign
