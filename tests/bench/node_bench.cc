// Figures of a node as processes: start, memory, applies, re-sends, restart; each beside its floor
// in the same run. Not a test: nothing here fails on a slow machine.   bench_node BIN_DIR
// [--applies N]
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/tls13.h"
#include "client/fleet/node_client.h"
#include "machineconfig/base/digest.h"
#include "tests/bench/lab.h"
#include "tests/bench/measure.h"

namespace basalt::bench {
namespace {

namespace fs = std::filesystem;
using client::NodeClient;

// What one durable replace costs on this disk: temporary file, fsync, rename, fsync of the
// directory.
void BareReplace(const std::string& dir, const std::string& data) {
  std::string from = dir + "/floor.tmp";
  int fd = open(from.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (write(fd, data.data(), data.size()) != static_cast<ssize_t>(data.size()) || fsync(fd) != 0)
    Die("floor: write failed");
  close(fd);
  rename(from.c_str(), (dir + "/floor").c_str());
  int directory = open(dir.c_str(), O_RDONLY | O_DIRECTORY);
  fsync(directory);
  close(directory);
}

int CountFsyncs(Lab& lab, int64_t first, int applies) {
  std::string trace = lab.dir() + "/strace";
  pid_t strace =
      Spawn({"strace", "-f", "-q", "-e", "trace=fsync,fdatasync", "-o", trace, "-p", lab.pid()},
            "/dev/null");
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  for (int i = 0; i < applies; ++i) lab.Apply(lab.Document(first + i));
  kill(strace, SIGINT);
  waitpid(strace, nullptr, 0);
  std::string text = Slurp(trace);
  int count = 0;
  for (size_t at = text.find("sync("); at != std::string::npos; at = text.find("sync(", at + 1))
    ++count;
  return count;
}

// What a durable put costs a well-known store on the same disk: etcd alone, asked by its own
// client.
void EtcdPut(const std::string& dir) {
  if (Run({"etcd", "--version"}) != 0 || Run({"etcdctl", "version"}) != 0) {
    std::printf("%-58s     not installed\n", "beside: etcdctl put");
    return;
  }
  const std::string url = "http://127.77.0.1:23790";
  const pid_t etcd =
      Spawn({"etcd", "--data-dir", dir + "/etcd", "--listen-client-urls", url,
             "--advertise-client-urls", url, "--listen-peer-urls", "http://127.77.0.1:23800"},
            dir + "/etcd.log");
  const std::string at = "--endpoints=" + url;
  bool up = false;
  for (int i = 0; i < 100 && !up; ++i) up = Run({"etcdctl", at, "endpoint", "health"}) == 0;
  if (up) {
    Print("beside: etcdctl put as a process, 1 KB", Repeat(50, [&] {
            Run({"etcdctl", at, "put", "k", std::string(1024, 'x')});
          }));
    Print("  of which the process: etcdctl version", Repeat(50, [&] {
            Run({"etcdctl", "version"});
          }));
  }
  kill(etcd, SIGTERM);
  waitpid(etcd, nullptr, 0);
  if (!up) Die(absl::StrCat("etcd does not start:\n", Slurp(dir + "/etcd.log")));
}

void Streaming(const std::string& dir) {
  std::string file = dir + "/big";
  {
    std::ofstream out(file, std::ios::binary);
    std::string block(1 << 20, 'x');
    for (int i = 0; i < 256; ++i) out << block;
  }
  Sample ours = Repeat(3, [&] {
    std::ifstream in(file, std::ios::binary);
    std::vector<char> buffer(1 << 20);
    Sha256Stream hash;
    while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0) {
      hash.Update(absl::string_view(buffer.data(), static_cast<size_t>(in.gcount())));
    }
    hash.Finish();
  });
  Sample theirs = Repeat(3, [&] { Run({"sha256sum", file}); });
  std::printf("%-58s p50 %8.0f MiB/s  (sha256sum %.0f MiB/s)\n", "sha256 streaming, 256 MiB",
              256000 / ours.Quantile(0.5), 256000 / theirs.Quantile(0.5));
  fs::remove(file);
}

int Main(int argc, char** argv) {
  if (argc < 2) Die("usage: bench_node BIN_DIR [--applies N]");
  int applies = 1000;
  if (argc == 4 && std::string(argv[2]) == "--applies" && !absl::SimpleAtoi(argv[3], &applies))
    Die("--applies wants a number");
  if (!api::ForceTls13().ok()) Die("TLS 1.3 cannot be forced");
  Lab lab(argv[1]);

  std::printf("%-58s     %8.1f ms\n", "noded serve: exec to listening (aim 50)",
              absl::ToDoubleMilliseconds(lab.Start()));
  lab.client().Hello(absl::Seconds(10)).status().IgnoreError();
  PrintMemory("noded at rest, no config (aim 30/8)", lab.pid());
  PrintMemory("noded-init (aim 2)", absl::StrCat(lab.init()));

  int64_t generation = 20260101000000;
  lab.Apply(lab.Document(++generation));
  lab.UseCertificate();
  lab.client().Hello(absl::Seconds(10)).status().IgnoreError();
  std::vector<std::unique_ptr<NodeClient>> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(lab.Connect(true));
    clients.back()->Hello(absl::Seconds(10)).status().IgnoreError();
  }
  PrintMemory("noded with 10 clients", lab.pid());
  clients.clear();

  Print("floor: one bare durable replace of 1 KB (2 fsyncs)",
        Repeat(200, [&] { BareReplace(lab.node() + "/state", std::string(1024, 'x')); }));
  Print("committed apply without K3s change",
        Repeat(200, [&] { lab.Apply(lab.Document(++generation)); }));
  EtcdPut(lab.dir());
  if (Run({"strace", "-V"}) == 0) {
    constexpr int kTraced = 20;
    int fsyncs = CountFsyncs(lab, generation + 1, kTraced);
    generation += kTraced;
    std::printf("%-58s     %8.2f    (aim <= 4)\n",
                "fsyncs for each committed apply, counted by strace",
                static_cast<double>(fsyncs) / kTraced);
  }
  v1::ApplyRequest running = lab.Document(++generation);
  lab.Apply(running);
  int64_t before = WriteBytes(lab.pid());
  Print("re-send of the running document over TLS (aim p50 < 1.5)",
        Repeat(500, [&] { lab.Apply(running); }));
  std::printf("%-58s     %8lld bytes\n", "written by 500 re-sends (aim 0)",
              static_cast<long long>(WriteBytes(lab.pid()) - before));

  for (int i = 0; i < applies; ++i) lab.Apply(lab.Document(++generation));
  PrintMemory(absl::StrCat("noded after ", applies, " more applies (aim flat)"), lab.pid());
  for (int i = 0; i < applies; ++i) lab.Apply(lab.Document(++generation));
  PrintMemory(absl::StrCat("noded after ", applies, " more applies"), lab.pid());

  // noded-init waits longer before each restart that follows soon; ten seconds of life reset that.
  Sample back;
  for (int i = 0; i < 3; ++i) {
    std::this_thread::sleep_for(std::chrono::seconds(11));
    Sample one = Repeat(1, [&] {
      pid_t old = static_cast<pid_t>(std::stol(lab.pid()));
      kill(old, SIGKILL);
      while (lab.pid().empty() || std::stol(lab.pid()) == old ||
             !lab.Connect(true)->Hello(absl::Seconds(5)).ok())
        usleep(500);
    });
    back.ms.push_back(one.ms.front());
  }
  Print("kill -9 of noded to the next answer (aim 100)", back);
  Print("nodectl version as a process (aim 10)", Repeat(50, [&] {
          Run({lab.bin() + "/nodectl", "version"});
        }));
  Print("floor: /bin/true as a process", Repeat(50, [&] { Run({"/bin/true"}); }));
  Streaming(lab.dir());
  return 0;
}

}  // namespace
}  // namespace basalt::bench

int main(int argc, char** argv) { return basalt::bench::Main(argc, argv); }
