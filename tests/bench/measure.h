// What the benches share: programs as processes, samples of times, memory and written bytes of a
// process. Ends the bench when something cannot be measured.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace basalt::bench {

std::string Slurp(const std::string& path);
// Without the newline at its end.
std::string Line(const std::string& path);
[[noreturn]] void Die(const std::string& what);

// Both streams are appended to `output`.
pid_t Spawn(const std::vector<std::string>& command, const std::string& output);
// The wait status; what it prints is dropped.
int Run(const std::vector<std::string>& command);

struct Sample {
  std::vector<double> ms;
  double Quantile(double q);
};
Sample Repeat(int n, const std::function<void()>& work);
void Print(const std::string& what, Sample sample);

void PrintMemory(const std::string& what, const std::string& pid);
// What the process caused to be written to disks; -1: the kernel does not say.
int64_t WriteBytes(const std::string& pid);

}  // namespace basalt::bench
