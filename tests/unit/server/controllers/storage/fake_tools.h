// mke2fs, e2fsck and resize2fs over a FakeBlock: at once, or when the test says so.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "server/controllers/storage/tools.h"
#include "tests/support/block/fake_block.h"

namespace basalt::storage {

class FakeTools : public Tools {
 public:
  explicit FakeTools(testing::FakeBlock& block) : block_(block) {}
  void Run(std::vector<std::string> argv, absl::Duration, Done done) override {
    runs.push_back(absl::StrJoin(argv, " "));
    for (const auto& [name, code] : codes) {
      if (absl::StrContains(argv[0], name)) return done(ToolResult{code, "it says why\n"});
    }
    if (block_.writes_left == 0) return done(ToolResult{1, "Input/output error"});
    uint64_t blocks = 0;
    const bool makes = absl::StrContains(argv[0], "mke2fs");
    if (makes || absl::StrContains(argv[0], "resize2fs")) {
      (void)absl::SimpleAtoi(argv.back(), &blocks);
      block_.MakeExt4(argv[argv.size() - 2], blocks);
    }
    done(ToolResult{});
  }
  void OnServiceEvent(const host::ServiceEvent&) override {}

  bool Ran(absl::string_view what) const {
    for (const std::string& run : runs) {
      if (absl::StrContains(run, what)) return true;
    }
    return false;
  }

  std::vector<std::string> runs;
  std::map<std::string, int> codes;  // what fails, by a part of its name

 private:
  testing::FakeBlock& block_;
};

}  // namespace basalt::storage
