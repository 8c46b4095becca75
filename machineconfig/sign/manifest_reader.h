// Reads the fields of a document of type `image`: JSON, each key once, bounded. The first field
// that is not what it has to be is kept; the rest reads on. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "machineconfig/sign/image_manifest.h"

namespace basalt::sign {

// Null when it is no JSON, or when a key stands there twice: two readers would see two documents.
nlohmann::json ParseOnce(absl::string_view text);

class ManifestReader {
 public:
  explicit ManifestReader(const nlohmann::json& json) : json_(json) {}

  std::string Text(const char* key);
  std::string OptionalText(const char* key) { return json_.contains(key) ? Text(key) : ""; }
  std::vector<std::string> Texts(const char* key, size_t most);                  // absent: none
  std::map<std::string, std::string> TextsByName(const char* key, size_t most);  // the same
  int64_t Number(const char* key, int64_t most);                                 // from 1 on
  ImageFile File(const char* key, int64_t most);
  std::string Word(const char* key);  // letters, digits and "._~-", as a version has them
  std::string Root(const char* key);  // "HEX64:BLOCKS"
  absl::Time Time(const char* key);

  void Wrong(const char* key) {
    if (wrong_.empty()) wrong_ = key;
  }
  const std::string& wrong() const { return wrong_; }  // "" when all were good

 private:
  const nlohmann::json& json_;
  std::string wrong_;
};

}  // namespace basalt::sign
