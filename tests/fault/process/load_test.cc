// Many applies, at once and in a row, on a real node without K3s.
#include <dirent.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "tests/fault/process/process_fixture.h"
#include "tests/support/process/await.h"

namespace basalt::testing {
namespace {

size_t Entries(const std::string& dir) {
  std::error_code error;
  size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir, error)) {
    count += entry.is_regular_file(error);
  }
  return count;
}

size_t Descriptors(pid_t pid) {
  std::error_code error;
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(absl::StrCat("/proc/", pid, "/fd"), error)) {
    ++count;
  }
  return count;
}

int64_t ResidentKib(pid_t pid) {
  std::istringstream in(ReadAll(absl::StrCat("/proc/", pid, "/status")));
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stoll(line.substr(6));
  }
  return 0;
}

NodeConfig Plain(int64_t generation, const std::string& reason) {
  return {.generation = generation, .metadata = absl::StrCat("  labels: {case: ", reason, "}\n")};
}

TEST(Load, D11_OfThirtyTwoAppliesAtOnceOneWinsEachGenerationAndNoneIsLost) {
  NodeProcess node(TheOwner());
  ASSERT_TRUE(node.Start().ok());
  auto first = node.Apply(Plain(1, "first"));
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_EQ(first->state(), v1::APPLY_STATE_COMMITTED) << first->message();
  struct Result {
    int64_t generation = 0;
    std::string digest;
    bool committed = false;
    std::string code;
  };
  std::vector<Result> results(32);
  std::vector<std::thread> callers;
  for (int i = 0; i < 32; ++i) {
    callers.emplace_back([&, i] {
      Result& result = results[static_cast<size_t>(i)];
      result.generation = 2 + i % 8;
      auto end = node.Apply(node.Sign(Plain(result.generation, absl::StrCat("c", i))),
                            [&](const v1::ApplyEvent& event) { result.digest = event.digest(); });
      if (!end.ok()) {
        result.code = api::Reason(end.status());
        if (result.code.empty()) result.code = std::string(end.status().message());
      } else {
        result.committed = end->state() == v1::APPLY_STATE_COMMITTED;
        if (!result.committed) result.code = end->error_code();
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  std::map<int64_t, std::string> winners;
  std::map<std::string, int> refusals;
  for (const Result& result : results) {
    if (!result.committed) {
      ++refusals[result.code];
      EXPECT_NE(result.code, "");
      continue;
    }
    EXPECT_TRUE(winners.emplace(result.generation, result.digest).second)
        << "two winners of generation " << result.generation;
  }
  auto history = (*node.Connect())->History(0);
  ASSERT_TRUE(history.ok()) << history.status();
  std::map<int64_t, std::string> committed;
  for (const v1::Generation& line : history->generations()) {
    if (line.state() == v1::APPLY_STATE_COMMITTED) committed[line.generation()] = line.digest();
  }
  committed.erase(1);
  EXPECT_EQ(committed, winners);  // what was acknowledged is what is there, and nothing else
  ASSERT_FALSE(winners.empty());
  auto config = node.AwaitSettled();
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->generation(), winners.rbegin()->first);
  std::cout << "D11: cases 32, committed " << winners.size() << ", refused " << 32 - winners.size()
            << " (";
  for (const auto& [code, count] : refusals) std::cout << code << " " << count << " ";
  std::cout << "), lost 0, skips 0\n";
}

TEST(Load, D14_TwoHundredAppliesInARowLeaveFilesAndDescriptorsFlat) {
  NodeProcess node(TheOwner());
  ASSERT_TRUE(node.Start().ok());
  const pid_t noded = node.noded_pid();
  size_t files = 0, descriptors = 0;
  int64_t resident = 0;
  constexpr int kApplies = 200, kWarm = 50;
  for (int i = 1; i <= kApplies; ++i) {
    auto end = node.Apply(Plain(i, absl::StrCat("n", i)));
    ASSERT_TRUE(end.ok()) << end.status() << " at " << i;
    ASSERT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message() << " at " << i;
    if (i == kWarm) {
      files = Entries(node.Path("state"));
      descriptors = Descriptors(noded);
      resident = ResidentKib(noded);
    }
  }
  EXPECT_EQ(node.noded_pid(), noded);
  const size_t files_after = Entries(node.Path("state"));
  // Connections of the last applies may still be closing.
  EXPECT_TRUE(
      AwaitChange(node.Path("state"), [&] { return Descriptors(noded) <= descriptors + 2; }));
  const int64_t growth = ResidentKib(noded) - resident;
  EXPECT_EQ(files_after, files);
  EXPECT_LT(growth, 4096);
  auto history = (*node.Connect())->History(0);
  ASSERT_TRUE(history.ok());
  EXPECT_LE(history->generations_size(), 33);
  std::cout << "D14: applies " << kApplies << ", files " << files_after << ", descriptors "
            << descriptors << " after " << kWarm << " and " << Descriptors(noded)
            << " at the end, resident memory +" << growth << " KiB, skips 0\n";
}

}  // namespace
}  // namespace basalt::testing
