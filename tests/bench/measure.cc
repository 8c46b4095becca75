#include "tests/bench/measure.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

extern char** environ;

namespace basalt::bench {

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string Line(const std::string& path) {
  std::string text = Slurp(path);
  return std::string(absl::StripSuffix(text, "\n"));
}

void Die(const std::string& what) {
  std::fprintf(stderr, "bench_node: %s\n", what.c_str());
  std::exit(1);
}

pid_t Spawn(const std::vector<std::string>& command, const std::string& output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) Die(absl::StrCat("cannot start ", command[0]));
  return pid;
}

int Run(const std::vector<std::string>& command) {
  int status = 0;
  waitpid(Spawn(command, "/dev/null"), &status, 0);
  return status;
}

double Sample::Quantile(double q) {
  std::sort(ms.begin(), ms.end());
  return ms.empty() ? 0 : ms[static_cast<size_t>(q * static_cast<double>(ms.size() - 1))];
}

Sample Repeat(int n, const std::function<void()>& work) {
  Sample sample;
  for (int i = 0; i < n; ++i) {
    absl::Time start = absl::Now();
    work();
    sample.ms.push_back(absl::ToDoubleMilliseconds(absl::Now() - start));
  }
  return sample;
}

void Print(const std::string& what, Sample sample) {
  std::printf("%-58s p50 %8.2f ms  p99 %8.2f ms  (%zu)\n", what.c_str(), sample.Quantile(0.5),
              sample.Quantile(0.99), sample.ms.size());
  std::fflush(stdout);
}

namespace {

// Rss and private dirty memory of a process, in KiB: what it alone costs. Clean pages of its
// program are the page cache's.
std::pair<int64_t, int64_t> Memory(const std::string& pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/smaps_rollup"));
  std::string word;
  int64_t rss = 0, own = 0, value = 0;
  while (in >> word) {
    if (word == "Rss:" && in >> value) rss = value;
    if (word == "Private_Dirty:" && in >> value) own = value;
  }
  return {rss, own};
}

}  // namespace

void PrintMemory(const std::string& what, const std::string& pid) {
  auto [rss, own] = Memory(pid);
  std::printf("%-58s rss %6.1f MB  private dirty %6.1f MB\n", what.c_str(),
              static_cast<double>(rss) / 1024, static_cast<double>(own) / 1024);
}

int64_t WriteBytes(const std::string& pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/io"));
  std::string word;
  int64_t value = 0;
  while (in >> word) {
    if (word == "write_bytes:" && in >> value) return value;
  }
  return -1;
}

}  // namespace basalt::bench
