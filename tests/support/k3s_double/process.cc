#include "tests/support/k3s_double/process.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace basalt::k3s_double {
namespace {

namespace fs = std::filesystem;

std::atomic<bool> hanging{false};

std::string Timestamp() {
  time_t now = time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string Escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

}  // namespace

void Log(const std::string& level, const std::string& message) {
  std::string line = "time=\"" + Timestamp() + "\" level=" + level +
                     " msg=\"K3S DOUBLE: " + Escaped(message) + "\"\n";
  // One write a line, so that threads do not mix theirs.
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

void Fatal(const std::string& message) {
  Log("fatal", message);
  _exit(1);
}

void Usage(const std::string& message) {
  std::string text =
      "Incorrect Usage. " + message +
      "\n\nNAME:\n   k3s - K3S DOUBLE, a stand-in for tests\n\nUSAGE:\n   k3s server|agent "
      "[OPTIONS]\n\n";
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0) _exit(1);
  Fatal(message);
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void MakeDirs(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) Fatal("mkdir " + path + ": " + error.message());
}

void WriteFile(const std::string& path, const std::string& data, int mode) {
  MakeDirs(fs::path(path).parent_path());
  std::string partial = path + ".new";
  int fd = open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) Fatal("open " + path + ": " + strerror(errno));
  size_t done = 0;
  while (done < data.size()) {
    ssize_t n = write(fd, data.data() + done, data.size() - done);
    if (n < 0) Fatal("write " + path + ": " + strerror(errno));
    done += static_cast<size_t>(n);
  }
  fchmod(fd, mode);
  close(fd);
  if (rename(partial.c_str(), path.c_str()) != 0) Fatal("rename " + path + ": " + strerror(errno));
}

std::string Sha256Hex(const std::string& data) {
  unsigned char digest[32];
  unsigned int size = 0;
  EVP_Digest(data.data(), data.size(), digest, &size, EVP_sha256(), nullptr);
  std::string out;
  char two[3];
  for (unsigned char byte : digest) {
    snprintf(two, sizeof two, "%02x", byte);
    out += two;
  }
  return out;
}

std::string RandomHex(int bytes) {
  std::vector<unsigned char> raw(static_cast<size_t>(bytes));
  RAND_bytes(raw.data(), bytes);
  std::string out;
  char two[3];
  for (unsigned char byte : raw) {
    snprintf(two, sizeof two, "%02x", byte);
    out += two;
  }
  return out;
}

void LaunchFromTree(const std::string& data_dir, int argc, char** argv) {
  if (getenv("BASALT_DOUBLE_LAUNCHED") != nullptr) {
    unsetenv("BASALT_DOUBLE_LAUNCHED");
    prctl(PR_SET_NAME, argv[1][0] == 's' ? "k3s-server" : "k3s-agent");
    return;
  }
  std::string self = ReadFile("/proc/self/exe");
  std::string hash = Sha256Hex(self);
  std::string tree = data_dir + "/data/" + hash;
  std::string bin = tree + "/bin";
  if (access(tree.c_str(), F_OK) != 0) {
    std::string partial = tree + "-tmp";
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    WriteFile(partial + "/bin/k3s", self, 0755);
    fs::create_hard_link(partial + "/bin/k3s", partial + "/bin/containerd-shim-runc-v2", ignored);
    WriteFile(partial + "/bin/runc", "K3S DOUBLE: nothing to run\n", 0755);
    WriteFile(partial + "/bin/aux/iptables", "K3S DOUBLE: nothing to run\n", 0755);
    WriteFile(partial + "/.sha256sums", hash + "  bin/k3s\n", 0644);
    WriteFile(partial + "/.links", "bin/containerd-shim-runc-v2 k3s\n", 0644);
    if (rename(partial.c_str(), tree.c_str()) != 0)
      Fatal("rename " + tree + ": " + strerror(errno));
    // The links move only when something was extracted: after a downgrade `current` is stale.
    std::string current = data_dir + "/data/current", previous = data_dir + "/data/previous";
    fs::remove(previous, ignored);
    fs::rename(current, previous, ignored);
    fs::create_symlink(tree, current, ignored);
  }
  setenv("BASALT_DOUBLE_LAUNCHED", "1", 1);
  std::string program = bin + "/k3s";
  std::string name = std::string(argv[0]) + " " + argv[1];
  std::vector<char*> args(argv, argv + argc);
  args[0] = name.data();
  args.push_back(nullptr);
  execv(program.c_str(), args.data());
  Fatal("exec " + program + ": " + strerror(errno));
}

void StartShim(const std::string& data_dir) {
  std::string exe = fs::read_symlink("/proc/self/exe");
  std::string shim = fs::path(exe).parent_path() / "containerd-shim-runc-v2";
  std::string pid_file = data_dir + "/agent/containerd/shim.pid";
  if (std::string pid = ReadFile(pid_file); !pid.empty()) {
    std::error_code error;
    std::string running = fs::read_symlink("/proc/" + pid + "/exe", error);
    if (!error && running.rfind(data_dir + "/data/", 0) == 0) {
      Log("info", "adopted the shim with pid " + pid);
      return;
    }
  }
  MakeDirs(data_dir + "/agent/containerd");
  pid_t child = fork();
  if (child == 0) {
    setsid();
    pid_t grandchild = fork();
    if (grandchild != 0) {
      if (grandchild > 0) {
        // The parent of the shim is gone at once: it is adopted by the nearest subreaper.
        std::string text = std::to_string(grandchild);
        int fd = open(pid_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, text.data(), text.size()) < 0) _exit(1);
      }
      _exit(0);
    }
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
    close_range(3, ~0U, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execl(shim.c_str(), "containerd-shim-runc-v2", "-namespace", "k8s.io", "-data",
          data_dir.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  Log("info", "started a shim with pid " + ReadFile(pid_file));
}

void RunShim(const std::string& data_dir) {
  prctl(PR_SET_NAME, "containerd-shim");
  while (access(data_dir.c_str(), F_OK) == 0) sleep(1);
  _exit(0);
}

void NotifyReady() {
  const char* path = getenv("NOTIFY_SOCKET");
  if (path == nullptr) return;
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  size_t length = strnlen(path, sizeof address.sun_path - 1);
  memcpy(address.sun_path, path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const char message[] = "READY=1\n";
  if (sendto(fd, message, sizeof message - 1, MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
             static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length)) < 0) {
    Log("error", std::string("notify: ") + strerror(errno));
  }
  close(fd);
  unsetenv("NOTIFY_SOCKET");
}

void BlockSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set, s);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void AwaitEnd(bool ignore_sigterm) {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&set, s);
  for (;;) {
    int got = 0;
    if (sigwait(&set, &got) != 0) continue;
    if (got == SIGUSR1) {
      hanging = !hanging;
      continue;
    }
    if (ignore_sigterm && got == SIGTERM) {
      Log("warning", "SIGTERM ignored");
      continue;
    }
    // K3s's exit status after a signal is 1, as a rule.
    Fatal("controllers exited");
  }
}

bool Hanging() { return hanging; }
void SetHanging(bool value) { hanging = value; }

}  // namespace basalt::k3s_double
