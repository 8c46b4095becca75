// Collects findings and gives each its place in the source; private to this directory.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "machineconfig/validate/validate.h"

namespace basalt::validate {

class Report {
 public:
  Report(const yaml::SourceMap& source, absl::string_view file) : source_(source), file_(file) {}

  // A path that the source does not hold (a missing field) gets the position of the nearest
  // enclosing one that it does.
  void Error(absl::string_view path, absl::string_view reason, absl::string_view message,
             absl::string_view hint = "");
  void Warning(absl::string_view path, absl::string_view reason, absl::string_view message,
               absl::string_view hint = "");

  // Does the source hold the path, with whatever value?
  bool Written(absl::string_view path) const { return source_.count(std::string(path)) > 0; }

  // Sorted by position; at most 100 errors and then one that says so.
  Findings Take();

 private:
  api::Violation Make(absl::string_view path, absl::string_view reason, absl::string_view message,
                      absl::string_view hint) const;

  const yaml::SourceMap& source_;
  absl::string_view file_;
  Findings findings_;
};

// The path one level up: "a.b" of "a.b.c" and of "a.b[k]"; keys in brackets may hold dots.
std::string Parent(absl::string_view path);

// The path of each element of the list `field` of `owner`, which stands at `path`: as findings of
// other rules write it, also where a key is missing or stands twice.
std::vector<std::string> Elements(absl::string_view path, const google::protobuf::Message& owner,
                                  absl::string_view field);

}  // namespace basalt::validate
