#include "tests/system/image/lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>

#include "absl/strings/str_cat.h"

extern char** environ;

namespace basalt::testing {

namespace fs = std::filesystem;

int FreePort() {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  int port = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

Ran Launch(const std::vector<std::string>& argv) {
  std::vector<char*> args;
  for (const std::string& a : argv) args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  posix_spawn_file_actions_adddup2(&actions, out[1], 2);
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, args[0], &actions, nullptr, args.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(out[1]);
  Ran ran;
  char buffer[4096];
  for (ssize_t n = 0; failed == 0 && (n = read(out[0], buffer, sizeof buffer)) > 0;) {
    ran.out.append(buffer, static_cast<size_t>(n));
  }
  close(out[0]);
  int status = 0;
  if (failed == 0 && waitpid(pid, &status, 0) == pid) ran.exit_code = WEXITSTATUS(status);
  return ran;
}

WebServer::WebServer(const std::string& directory) : port_(FreePort()) {
  const std::string port = absl::StrCat(port_);
  std::vector<std::string> argv = {"python3", "-m",        "http.server", port,
                                   "--bind",  "127.0.0.1", "--directory", directory};
  std::vector<char*> args;
  for (std::string& a : argv) args.push_back(a.data());
  args.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  if (posix_spawnp(&pid_, args[0], &actions, nullptr, args.data(), environ) != 0) pid_ = -1;
  posix_spawn_file_actions_destroy(&actions);
}

WebServer::~WebServer() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);  // not reaped yet, so the pid is still its own
  waitpid(pid_, nullptr, 0);
}

std::string WebServer::Url(const std::string& host, const std::string& file) const {
  return absl::StrCat("http://", host, ":", port_, "/", file);
}

Lab::Lab(Places places) : places_(std::move(places)) {
  std::string path = ::testing::TempDir() + "/basalt-lab-XXXXXX";
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  root_ = path;
  fs::create_directories(web());
  Ran ran = Nodectl({"init", root_ + "/lab", "--cluster", "home", "--no-passphrase"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  setenv("NODECTL_CONTEXT", (root_ + "/lab/context.yaml").c_str(), 1);
}

Lab::~Lab() { fs::remove_all(root_); }

Ran Lab::Nodectl(std::vector<std::string> words) const {
  words.insert(words.begin(), places_.programs + "/nodectl");
  return Launch(words);
}

Ran Lab::NodectlMeanwhile(Machine& machine, const std::vector<std::string>& words) const {
  std::future<Ran> running =
      std::async(std::launch::async, [this, words] { return Nodectl(words); });
  while (running.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    machine.Await({"no console says this"}, absl::Seconds(1));
  }
  return running.get();
}

std::string Lab::Name(const std::string& version) {
  return absl::StrCat("basalt-", version, "-vm-amd64");
}

std::string Lab::Build(const std::string& version, const std::string& init) const {
  const std::string programs = root_ + "/programs-" + version, out = root_ + "/out-" + version;
  fs::create_directories(programs);
  for (std::string name : {"noded", "noded-fetch", "noded-dhcp", "noded-unlock", "noded-wire",
                           "basalt-boot", "noded-init"}) {
    const bool other = name == "noded-init" && !init.empty();
    fs::create_symlink(other ? init : absl::StrCat(places_.programs, "/", name),
                       programs + "/" + name);
  }
  Ran built = Launch({places_.programs + "/image-builder", "build", "--profile", "vm-amd64",
                      "--recipe", places_.recipe, "--cache", places_.cache, "--programs", programs,
                      "--out", out, "--image-version", version, "--trust",
                      root_ + "/lab/trust.json", "--key", root_ + "/lab/keys/image.key"});
  EXPECT_EQ(built.exit_code, 0) << built.out;
  for (const char* end : {".slot", ".efi", ".image.json"}) {
    const std::string file = Name(version) + end;
    fs::rename(out + "/" + file, web() + "/" + file);
  }
  return out + "/" + Name(version) + ".raw";
}

std::string Lab::Pin(Machine& machine, const std::string& name, int port) const {
  if (!machine.Await({"fingerprint "}, absl::Minutes(4))) return machine.console();
  const size_t at = machine.console().find("fingerprint ") + 12;
  for (int i = 0; i < 10 && machine.console().size() < at + 65; ++i) {
    machine.Await({"no console says this"}, absl::Seconds(1));  // the rest of the line
  }
  const std::string fingerprint = machine.console().substr(at, 64);
  Ran ran = Nodectl(
      {"pin", name, "--node", absl::StrCat("127.0.0.1:", port), "--fingerprint", fingerprint});
  return ran.exit_code == 0 ? "" : ran.out + machine.console();
}

std::string Lab::ConfigWithoutK3s(const std::string& name) const {
  const std::string file = absl::StrCat(root_, "/", name, ".yaml");
  Ran ran = Nodectl({"gen", "config", "--name", name, "--role", "server", "-o", file});
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  ran = Nodectl({"patch", "-f", file, "--patch",
                 "{k3s: null, system: {time: {allowUnsynced: true}}}", "--in-place"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  return file;
}

}  // namespace basalt::testing
