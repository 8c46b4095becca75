// An owner upgrades a node over its API: a good image, and one that does not start. The images are
// as they are shipped, but for the PID 1 of the broken one. Only in `./dev test --all`.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
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
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "images/builder/host.h"
#include "tests/system/image/machine.h"

extern char** environ;

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(240);

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

struct Ran {
  int exit_code = -1;
  std::string out;  // both streams
};

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

// Files of a directory over HTTP on 127.0.0.1, by Python: not a line of it is ours.
class WebServer {
 public:
  explicit WebServer(const std::string& directory) : port_(FreePort()) {
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
  ~WebServer() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::string Url(const std::string& host, const std::string& file) const {
    return absl::StrCat("http://", host, ":", port_, "/", file);
  }

 private:
  const int port_;
  pid_t pid_ = -1;
};

class ImageUpgrade : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = ::testing::TempDir() + "/basalt-upgrade-XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    root_ = path;
    fs::create_directories(root_ + "/web");
    ASSERT_EQ(Nodectl({"init", root_ + "/lab", "--cluster", "home", "--no-passphrase"}).exit_code,
              0);
    setenv("NODECTL_CONTEXT", (root_ + "/lab/context.yaml").c_str(), 1);
  }
  void TearDown() override { fs::remove_all(root_); }

  Ran Nodectl(std::vector<std::string> words) {
    words.insert(words.begin(), PROGRAMS "/nodectl");
    return Launch(words);
  }

  // The console is read all the while: a machine whose serial line nobody reads stops.
  Ran NodectlMeanwhile(Machine& machine, const std::vector<std::string>& words) {
    std::future<Ran> running =
        std::async(std::launch::async, [this, words] { return Nodectl(words); });
    while (running.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      machine.Await({"no console says this"}, absl::Seconds(1));
    }
    return running.get();
  }

  // Builds an image and puts what nodes fetch of it on the web. Returns its disk.
  std::string Build(const std::string& version, bool broken = false) {
    const std::string programs = root_ + "/programs-" + version, out = root_ + "/out-" + version;
    fs::create_directories(programs);
    for (std::string name : {"noded", "noded-fetch", "noded-dhcp", "basalt-boot", "noded-init"}) {
      const bool this_one = broken && name == "noded-init";
      fs::create_symlink(this_one ? std::string(PANIC) : absl::StrCat(PROGRAMS, "/", name),
                         programs + "/" + name);
    }
    Ran built =
        Launch({PROGRAMS "/image-builder", "build", "--profile", "vm-amd64", "--recipe", RECIPE,
                "--cache", CACHE, "--programs", programs, "--out", out, "--image-version", version,
                "--trust", root_ + "/lab/trust.json", "--key", root_ + "/lab/keys/image.key"});
    EXPECT_EQ(built.exit_code, 0) << built.out;
    for (const char* end : {".slot", ".efi", ".image.json"}) {
      const std::string file = Name(version) + end;
      fs::rename(out + "/" + file, root_ + "/web/" + file);
    }
    return out + "/" + Name(version) + ".raw";
  }
  static std::string Name(const std::string& version) {
    return absl::StrCat("basalt-", version, "-vm-amd64");
  }

  std::map<std::string, nlohmann::json> Slots() {
    std::map<std::string, nlohmann::json> slots;
    Ran ran = Nodectl({"slots", "-n", "n1", "-o", "json"});
    EXPECT_EQ(ran.exit_code, 0) << ran.out;
    const auto json = nlohmann::json::parse(ran.out, nullptr, false);
    if (json.is_discarded()) return slots;
    for (const auto& one : json["resources"]) slots[one["name"]] = one["slot"];
    return slots;
  }

  std::string root_;
};

TEST_F(ImageUpgrade, U2_AGoodImageIsTakenAndABrokenOneComesBackByItself) {
  const std::string disk = Build("9.0.0");
  Build("9.1.0");
  Build("9.2.0", /*broken=*/true);
  WebServer web(root_ + "/web");
  const int port = FreePort();
  Machine machine(disk, root_, /*restarts=*/true, port);
  ASSERT_TRUE(machine.Await({"fingerprint "}, kPatience)) << machine.console();
  const size_t at = machine.console().find("fingerprint ") + 12;
  for (int i = 0; i < 10 && machine.console().size() < at + 65; ++i) {
    machine.Await({"no console says this"}, absl::Seconds(1));  // the rest of the line
  }
  const std::string fingerprint = machine.console().substr(at, 64);
  Ran ran = Nodectl(
      {"pin", "n1", "--node", absl::StrCat("127.0.0.1:", port), "--fingerprint", fingerprint});
  ASSERT_EQ(ran.exit_code, 0) << ran.out << machine.console();

  // A node without K3s: what is upgraded here is the image.
  const std::string file = root_ + "/n1.yaml";
  ran = Nodectl({"gen", "config", "--name", "n1", "--role", "server", "-o", file});
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  ran = Nodectl({"patch", "-f", file, "--patch", "{k3s: null}", "--in-place"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  ran = NodectlMeanwhile(machine, {"apply", "-f", file, "--yes"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out << machine.console();

  const auto upgrade = [&](const std::string& version) {
    const std::string manifest = Name(version) + ".image.json";
    return NodectlMeanwhile(
        machine, {"upgrade", "-f", file, "--image", web.Url("127.0.0.1", manifest), "--url",
                  web.Url("10.0.2.2", manifest), "--yes", "--timeout", "15m"});
  };
  ran = upgrade("9.1.0");
  EXPECT_EQ(ran.exit_code, 0) << ran.out << machine.console();
  EXPECT_THAT(ran.out, HasSubstr("into slot b"));
  auto slots = Slots();
  EXPECT_EQ(slots["b"]["version"], "9.1.0");
  EXPECT_EQ(slots["b"]["running"], true);
  EXPECT_EQ(slots["a"]["version"], "9.0.0");

  ran = upgrade("9.2.0");
  EXPECT_EQ(ran.exit_code, 1) << ran.out << machine.console();
  EXPECT_THAT(ran.out, HasSubstr("image-fell-back"));
  EXPECT_THAT(machine.console(), HasSubstr("Attempted to kill init"));
  slots = Slots();
  EXPECT_EQ(slots["b"]["version"], "9.1.0");
  EXPECT_EQ(slots["b"]["running"], true);
  EXPECT_EQ(slots["b"]["state"], "good");
  EXPECT_EQ(slots["a"]["version"], "9.2.0");
  EXPECT_EQ(slots["a"]["state"], "failed");
}

}  // namespace
}  // namespace basalt::testing
