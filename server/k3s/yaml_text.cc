#include "server/k3s/yaml_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace basalt::k3s {

std::string Quoted(absl::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    unsigned char byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      absl::StrAppend(&out, "\\", std::string(1, c));
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(&out, "\\x%02x", byte);
    } else {
      out += c;
    }
  }
  return out + "\"";
}

void FlatYaml::Set(const std::string& key, const std::string& text) {
  lines_[key] = absl::StrCat(" ", Quoted(text), "\n");
}

void FlatYaml::Set(const std::string& key, bool value) {
  lines_[key] = value ? " true\n" : " false\n";
}

void FlatYaml::Set(const std::string& key, int64_t value) {
  lines_[key] = absl::StrCat(" ", value, "\n");
}

void FlatYaml::Set(const std::string& key, const std::vector<std::string>& list) {
  std::string text = list.empty() ? " []\n" : "\n";
  for (const std::string& item : list) absl::StrAppend(&text, "  - ", Quoted(item), "\n");
  lines_[key] = text;
}

void FlatYaml::Set(const std::string& key, const v1::ConfigValue& value) {
  switch (value.value_case()) {
    case v1::ConfigValue::kBoolean:
      Set(key, value.boolean());
      break;
    case v1::ConfigValue::kInteger:
      Set(key, static_cast<int64_t>(value.integer()));
      break;
    case v1::ConfigValue::kText:
      Set(key, value.text());
      break;
    case v1::ConfigValue::kList:
      Set(key,
          std::vector<std::string>(value.list().values().begin(), value.list().values().end()));
      break;
    case v1::ConfigValue::VALUE_NOT_SET:
      break;
  }
}

std::vector<std::string> FlatYaml::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, text] : lines_) keys.push_back(key);
  return keys;
}

std::string FlatYaml::Text() const {
  std::string out;
  for (const auto& [key, text] : lines_) absl::StrAppend(&out, Quoted(key), ":", text);
  return out;
}

}  // namespace basalt::k3s
