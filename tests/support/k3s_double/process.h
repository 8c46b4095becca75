// How the double lives as a process: log lines in K3s's form that say what they are, the launcher
// that extracts its tree and executes itself from there with the same pid, READY=1, the detached
// child that stands for containerd's shims, and the end on SIGTERM.
#pragma once

#include <string>

namespace basalt::k3s_double {

inline constexpr char kVersion[] = "v1.30.4+k3s1";

// time=... level=... msg="K3S DOUBLE: ..." on stderr.
void Log(const std::string& level, const std::string& message);
[[noreturn]] void Fatal(const std::string& message);
// The message and a usage text on stdout, status 1: what K3s does with a bad flag.
[[noreturn]] void Usage(const std::string& message);

// First run: extracts to DATA_DIR/data/HASH/bin unless that is there already (then it is not looked
// at again, as K3s does), and executes bin/k3s with the same arguments. Returns in that second run.
void LaunchFromTree(const std::string& data_dir, int argc, char** argv);
// Starts the stand-in for a containerd shim, unless the one of an earlier run is alive.
void StartShim(const std::string& data_dir);
// Body of that child: until its data directory goes away.
[[noreturn]] void RunShim(const std::string& data_dir);

void NotifyReady();
// Blocks SIGTERM, SIGINT and SIGUSR1 in the caller and every thread it starts.
void BlockSignals();
// Waits for the signals: ends the process on SIGTERM or SIGINT, flips `Hanging()` on SIGUSR1.
[[noreturn]] void AwaitEnd(bool ignore_sigterm);
// True while nothing may be answered.
bool Hanging();
void SetHanging(bool hanging);

std::string ReadFile(const std::string& path);  // "" when it is not there
void WriteFile(const std::string& path, const std::string& data, int mode);
void MakeDirs(const std::string& path);
std::string Sha256Hex(const std::string& data);
std::string RandomHex(int bytes);

}  // namespace basalt::k3s_double
