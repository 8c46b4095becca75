// The little YAML that K3s's files need, written so that it can be read in one way only: every
// string in double quotes, keys in the order they are given. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "basalt/v1/machine_config.pb.h"

namespace basalt::k3s {

// A double-quoted YAML scalar; control characters and non-ASCII stay what they are or are escaped.
std::string Quoted(absl::string_view text);

// A flat mapping, sorted by key: the form of K3s's config.yaml.
class FlatYaml {
 public:
  void Set(const std::string& key, const std::string& text);
  void Set(const std::string& key, bool value);
  void Set(const std::string& key, int64_t value);
  void Set(const std::string& key, const std::vector<std::string>& list);
  void Set(const std::string& key, const v1::ConfigValue& value);
  void Erase(const std::string& key) { lines_.erase(key); }
  bool Has(const std::string& key) const { return lines_.count(key) > 0; }
  std::vector<std::string> keys() const;
  std::string Text() const;

 private:
  std::map<std::string, std::string> lines_;  // key → the text after "key:"
};

}  // namespace basalt::k3s
