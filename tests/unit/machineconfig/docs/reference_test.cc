#include "machineconfig/docs/reference.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"

namespace basalt::docs {
namespace {

constexpr char kFile[] = BASALT_SOURCE_DIR "/machineconfig/REFERENCE.md";

TEST(Reference, ThePageIsNotStale) {
  const std::string now = ReferenceMarkdown();
  if (std::getenv("BASALT_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(kFile, std::ios::binary) << now;
    return;
  }
  std::ifstream in(kFile, std::ios::binary);
  const std::string kept{std::istreambuf_iterator<char>(in), {}};
  // Not EXPECT_EQ: two pages on a screen say less than one line.
  const std::vector<std::string> a = absl::StrSplit(kept, '\n'), b = absl::StrSplit(now, '\n');
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string was = i < a.size() ? a[i] : "(end)", is = i < b.size() ? b[i] : "(end)";
    ASSERT_EQ(was, is) << "machineconfig/REFERENCE.md, line " << i + 1
                       << " is stale: run ./dev docs and read the difference";
  }
}

TEST(Reference, EveryLinkLeadsToAHeadingAndEveryRowHasItsCells) {
  const std::string page = ReferenceMarkdown();
  std::set<std::string> anchors;
  size_t columns = 0;
  const std::vector<std::string> lines = absl::StrSplit(page, '\n');
  for (const std::string& line : lines) {
    if (line.rfind("##", 0) == 0) {
      std::string anchor;
      for (char c : line.substr(line.find(' ') + 1)) {
        // As GitHub makes them.
        if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_') {
          anchor += static_cast<char>(std::tolower(c));
        } else if (c == ' ') {
          anchor += '-';
        }
      }
      EXPECT_TRUE(anchors.insert(anchor).second) << line;
    }
    if (line.empty() || line[0] != '|') {
      columns = 0;
      continue;
    }
    size_t bars = 0;
    for (size_t i = 0; i < line.size(); ++i) {
      if (line[i] == '|' && (i == 0 || line[i - 1] != '\\')) ++bars;
    }
    if (columns == 0) columns = bars;
    EXPECT_EQ(bars, columns) << line;
  }
  const std::regex link("\\]\\(#([^)]*)\\)");
  for (std::sregex_iterator it(page.begin(), page.end(), link), end; it != end; ++it) {
    EXPECT_EQ(anchors.count((*it)[1]), 1u) << (*it)[0];
  }
}

}  // namespace
}  // namespace basalt::docs
