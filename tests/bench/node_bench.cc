// Figures of a node as processes: start, memory, applies, re-sends, restart; each beside its floor
// in the same run. Not a test: nothing here fails on a slow machine.   bench_node BIN_DIR
// [--applies N]
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "api/tls13.h"
#include "client/fleet/node_client.h"
#include "machineconfig/base/digest.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/sign/keys.h"

extern char** environ;

namespace {

namespace fs = std::filesystem;
using basalt::client::NodeClient;

std::string Slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string Line(const std::string& path) {
  std::string text = Slurp(path);
  return std::string(absl::StripSuffix(text, "\n"));
}

[[noreturn]] void Die(const std::string& what) {
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

struct Sample {
  std::vector<double> ms;
  double Quantile(double q) {
    std::sort(ms.begin(), ms.end());
    return ms.empty() ? 0 : ms[static_cast<size_t>(q * static_cast<double>(ms.size() - 1))];
  }
};

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

// Rss and private (clean and dirty) of a process, in KiB.
std::pair<int64_t, int64_t> Memory(const std::string& pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/smaps_rollup"));
  std::string word;
  int64_t rss = 0, own = 0, value = 0;
  while (in >> word) {
    if (word == "Rss:" && in >> value) rss = value;
    if ((word == "Private_Clean:" || word == "Private_Dirty:") && in >> value) own += value;
  }
  return {rss, own};
}

void PrintMemory(const std::string& what, const std::string& pid) {
  auto [rss, own] = Memory(pid);
  std::printf("%-58s rss %6.1f MB  private %6.1f MB\n", what.c_str(),
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

class Lab {
 public:
  explicit Lab(const std::string& bin)
      : bin_(bin), dir_(fs::temp_directory_path() / absl::StrCat("basalt-bench-", getpid())) {
    fs::create_directories(dir_);
    if (Run({bin_ + "/nodectl", "init", dir_ + "/lab", "--cluster", "home", "--no-passphrase"}) !=
        0)
      Die("nodectl init failed");
    auto key = basalt::sign::PrivateKey::FromPem(Slurp(dir_ + "/lab/keys/config.key"));
    if (!key.ok()) Die(key.status().ToString());
    key_ = std::make_unique<basalt::sign::PrivateKey>(*std::move(key));
  }
  ~Lab() {
    if (init_ > 0) {
      kill(init_, SIGTERM);
      waitpid(init_, nullptr, 0);
    }
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
  }

  // Until Hello answers.
  absl::Duration Start() {
    absl::Time start = absl::Now();
    init_ = Spawn({bin_ + "/noded", "serve", "--platform", "sandbox", "--root", node(), "--listen",
                   "127.0.0.1:0", "--trust", dir_ + "/lab/trust.json"},
                  dir_ + "/log");
    while (!fs::exists(node() + "/run/endpoint")) {
      if (absl::Now() - start > absl::Seconds(20))
        Die(absl::StrCat("noded does not start:\n", Slurp(dir_ + "/log")));
      usleep(500);
    }
    absl::Duration listening = absl::Now() - start;
    client_ = Connect(false);
    return listening;
  }
  std::unique_ptr<NodeClient> Connect(bool with_certificate) {
    basalt::client::Dial dial{.name = "n1",
                              .endpoint = Line(node() + "/run/endpoint"),
                              .fingerprint = Line(node() + "/run/fingerprint"),
                              .cluster = "home"};
    if (with_certificate) {
      dial.certificate_pem = Slurp(dir_ + "/lab/ca/admin.crt");
      dial.key_pem = Slurp(dir_ + "/lab/ca/admin.key");
    }
    auto client = basalt::client::Connect(dial);
    if (!client.ok()) Die(client.status().ToString());
    return *std::move(client);
  }
  void UseCertificate() { client_ = Connect(true); }

  basalt::v1::ApplyRequest Document(int64_t n) {
    std::string ca = absl::StrReplaceAll(Slurp(dir_ + "/lab/ca/ca.crt"), {{"\n", "\n      "}});
    std::string yaml = absl::StrCat(
        "apiVersion: basalt/v1\nkind: MachineConfig\nmetadata:\n  cluster: home\n  name: n1\n  "
        "epoch: 1\n  generation: ",
        n,
        "\n  signedAt: ", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone()),
        "\n  labels: {run: \"r", n,
        "\"}\ntarget:\n  machineId: ", Line(node() + "/run/fingerprint"),
        "\napi:\n  clientCas:\n  - name: owner\n    roles: [admin]\n    certificate: |\n      ", ca,
        "\n");
    basalt::v1::ApplyRequest request;
    *request.mutable_document() =
        basalt::sign::Sign(basalt::v1::DOCUMENT_TYPE_MACHINE_CONFIG, yaml, {key_.get()});
    return request;
  }
  void Apply(const basalt::v1::ApplyRequest& request) {
    basalt::v1::ApplyEvent last;
    absl::Status status = client_->Apply(
        request, absl::Now() + absl::Seconds(60), [&](const basalt::v1::ApplyEvent& event) {
          if (!event.return_token().empty())
            Connect(true)->Return(event.return_token()).IgnoreError();
          last = event;
          return true;
        });
    if (!status.ok()) Die(absl::StrCat("apply: ", status.ToString()));
    if (last.state() != basalt::v1::APPLY_STATE_COMMITTED && !last.unchanged())
      Die(absl::StrCat("apply ended as ", last.ShortDebugString()));
  }
  NodeClient& client() { return *client_; }
  std::string node() const { return dir_ + "/n1"; }
  std::string pid() const { return Line(node() + "/run/noded.pid"); }
  pid_t init() const { return init_; }
  const std::string& bin() const { return bin_; }
  const std::string& dir() const { return dir_; }

 private:
  std::string bin_;
  std::string dir_;
  std::unique_ptr<basalt::sign::PrivateKey> key_;
  std::unique_ptr<NodeClient> client_;
  pid_t init_ = -1;
};

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
    basalt::Sha256Stream hash;
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

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) Die("usage: bench_node BIN_DIR [--applies N]");
  int applies = 1000;
  if (argc == 4 && std::string(argv[2]) == "--applies" && !absl::SimpleAtoi(argv[3], &applies))
    Die("--applies wants a number");
  if (!basalt::api::ForceTls13().ok()) Die("TLS 1.3 cannot be forced");
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
  if (Run({"strace", "-V"}) == 0) {
    constexpr int kTraced = 20;
    int fsyncs = CountFsyncs(lab, generation + 1, kTraced);
    generation += kTraced;
    std::printf("%-58s     %8.2f    (aim <= 4)\n",
                "fsyncs for each committed apply, counted by strace",
                static_cast<double>(fsyncs) / kTraced);
  }
  basalt::v1::ApplyRequest running = lab.Document(++generation);
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

  Print("kill -9 of noded to the next answer (aim 100)", Repeat(5, [&] {
          pid_t old = static_cast<pid_t>(std::stol(lab.pid()));
          kill(old, SIGKILL);
          while (lab.pid().empty() || std::stol(lab.pid()) == old ||
                 !lab.Connect(true)->Hello(absl::Seconds(5)).ok())
            usleep(500);
        }));
  Print("nodectl version as a process (aim 10)", Repeat(50, [&] {
          Run({lab.bin() + "/nodectl", "version"});
        }));
  Print("floor: /bin/true as a process", Repeat(50, [&] { Run({"/bin/true"}); }));
  Streaming(lab.dir());
  return 0;
}
