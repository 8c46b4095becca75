#include "tests/support/process/node_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/support/process/await.h"

extern char** environ;

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;

// K3s's ports are fixed: each node of each test program gets an address of its own.
std::string NextAddress() {
  static std::atomic<unsigned> count{0};
  const unsigned pid = static_cast<unsigned>(getpid());
  const unsigned second = 64 + (count++ * 7 + (pid >> 16)) % 160;
  return absl::StrCat("127.", second, ".", (pid >> 8) & 255, ".", pid & 255);
}

std::string MakeDirectory() {
  char pattern[] = "/tmp/basalt-node-XXXXXX";
  return mkdtemp(pattern) == nullptr ? "" : pattern;
}

pid_t Spawn(const std::vector<std::string>& words, const std::vector<std::string>& environment,
            const std::string& out, const std::string& err, int append) {
  std::vector<std::string> variables = environment;
  for (char** e = environ; *e != nullptr; ++e) variables.push_back(*e);
  std::vector<char*> argv, env;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& word : variables) env.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  env.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  const int flags = O_WRONLY | O_CREAT | append;
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), flags, 0644);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), flags, 0644);
  // A session of its own: no terminal to ask, and no signal of ours reaches it by accident.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  pid_t pid = 0;
  int error = posix_spawn(&pid, words[0].c_str(), &actions, &attributes, argv.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error == 0 ? pid : 0;
}

}  // namespace

NodeProcess::NodeProcess(const Owner& owner, NodeOptions options)
    : owner_(owner), options_(std::move(options)), address_(NextAddress()) {
  own_dir_ = options_.directory.empty();
  dir_ = own_dir_ ? MakeDirectory() : options_.directory;
  WriteAll(dir_ + "/trust.json",
           options_.trust_json.empty() ? owner_.trust_json() : options_.trust_json);
}

NodeProcess::~NodeProcess() {
  Stop();
  // What K3s left running ends with its data directory; it is not ours to signal by name.
  std::vector<host::UniqueFd> left;
  for (pid_t pid : K3sProcesses()) left.push_back(PidFd(pid));
  std::error_code ignored;
  for (int attempt = 0; attempt < 3; ++attempt) fs::remove_all(dir_ + "/data", ignored);
  for (const host::UniqueFd& fd : left) {
    if (!AwaitEnd(fd, absl::Seconds(5))) Signal(fd, SIGKILL);
  }
  if (own_dir_) fs::remove_all(dir_, ignored);
}

absl::Status NodeProcess::Start() {
  unlink(Path("run/endpoint").c_str());
  std::vector<std::string> words = {
      NODED, "serve",    "--platform",    "sandbox", "--root",
      dir_,  "--listen", address_ + ":0", "--trust", dir_ + "/trust.json"};
  words.insert(words.end(), options_.arguments.begin(), options_.arguments.end());
  init_pid_ = Spawn(words, options_.environment, dir_ + "/log", dir_ + "/log", O_APPEND);
  if (init_pid_ == 0) return absl::InternalError("cannot start " NODED);
  init_ = PidFd(init_pid_);
  bool listens = AwaitChange(dir_, [this] {
    return !ReadAll(Path("run/endpoint")).empty() || AwaitEnd(init_, absl::ZeroDuration());
  });
  if (!listens || ReadAll(Path("run/endpoint")).empty()) {
    return absl::UnavailableError(absl::StrCat("noded does not listen:\n", Log()));
  }
  return absl::OkStatus();
}

int NodeProcess::Stop() {
  if (init_pid_ == 0) return 0;
  Signal(init_, SIGTERM);
  // Ours is the parent: a pidfd of a child that ended is readable until it is waited for.
  if (!AwaitEnd(init_, absl::Seconds(120))) Signal(init_, SIGKILL);
  int status = 0;
  waitpid(init_pid_, &status, 0);
  init_pid_ = 0;
  init_.reset();
  return status;
}

pid_t NodeProcess::noded_pid() const {
  int pid = 0;
  std::string text = ReadAll(Path("run/noded.pid"));
  return absl::SimpleAtoi(text, &pid) ? pid : 0;
}

host::UniqueFd NodeProcess::Noded() const { return PidFd(noded_pid()); }

void NodeProcess::KillNoded(int signal) {
  host::UniqueFd noded = Noded();
  Signal(noded, signal);
  AwaitEnd(noded);
}

bool NodeProcess::AwaitNoded(pid_t other_than) {
  // The endpoint is the last of the files that a start writes.
  return AwaitChange(Path("run"), [&] {
    pid_t pid = noded_pid();
    if (pid == 0 || pid == other_than) return false;
    absl::StatusOr<std::unique_ptr<client::NodeClient>> client = Connect();
    return client.ok() && (*client)->Hello(absl::Seconds(20)).ok();
  });
}

absl::StatusOr<std::unique_ptr<client::NodeClient>> NodeProcess::Connect() const {
  return client::Connect({.name = "n1",
                          .endpoint = endpoint(),
                          .fingerprint = fingerprint(),
                          .cluster = "home",
                          .certificate_pem = owner_.admin_pem(),
                          .key_pem = owner_.admin_key_pem()});
}

absl::StatusOr<v1::ApplyEvent> NodeProcess::Apply(
    const v1::SignedDocument& document, const std::function<void(const v1::ApplyEvent&)>& on_event,
    absl::Duration patience) {
  absl::StatusOr<std::unique_ptr<client::NodeClient>> client = Connect();
  if (!client.ok()) return client.status();
  v1::ApplyRequest request;
  *request.mutable_document() = document;
  client::ApplyObserver observer;
  if (on_event) observer.event = on_event;
  return client::RunApply(
      *std::move(client), endpoint(), request, absl::Now() + patience, observer,
      [](absl::Duration wait) { std::this_thread::sleep_for(absl::ToChronoMilliseconds(wait)); });
}

absl::StatusOr<v1::ApplyEvent> NodeProcess::Apply(NodeConfig config) {
  return Apply(Sign(std::move(config)));
}

v1::SignedDocument NodeProcess::Sign(NodeConfig config) const {
  if (config.machine_id.empty()) config.machine_id = fingerprint();
  return owner_.Sign(config);
}

absl::StatusOr<v1::ConfigStatus> NodeProcess::Config() const {
  auto client = Connect();
  if (!client.ok()) return client.status();
  auto resource = (*client)->Get("ConfigStatus", "config");
  if (!resource.ok()) return resource.status();
  return resource->config_status();
}

absl::StatusOr<v1::K3sStatus> NodeProcess::K3s() const {
  auto client = Connect();
  if (!client.ok()) return client.status();
  auto resource = (*client)->Get("K3sStatus", "k3s");
  if (!resource.ok()) return resource.status();
  return resource->k3s_status();
}

absl::StatusOr<v1::Service> NodeProcess::Service(const std::string& name) const {
  auto client = Connect();
  if (!client.ok()) return client.status();
  auto resource = (*client)->Get("Service", name);
  if (!resource.ok()) return resource.status();
  return resource->service();
}

absl::StatusOr<v1::ConfigStatus> NodeProcess::AwaitSettled(absl::Duration patience) const {
  absl::StatusOr<v1::ConfigStatus> config = absl::UnavailableError("never asked");
  AwaitChange(
      Path("state"),
      [&] {
        config = Config();
        return config.ok() && config->pending_digest().empty();
      },
      patience);
  return config;
}

std::string NodeProcess::endpoint() const {
  std::string text = ReadAll(Path("run/endpoint"));
  return text.substr(0, text.find('\n'));
}

std::string NodeProcess::fingerprint() const {
  std::string text = ReadAll(Path("run/fingerprint"));
  return text.substr(0, text.find('\n'));
}

std::string NodeProcess::Log() const { return ReadAll(dir_ + "/log"); }

std::vector<pid_t> NodeProcess::K3sProcesses() const {
  std::vector<pid_t> pids;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    std::string exe = fs::read_symlink(entry.path() / "exe", error);
    if (absl::StartsWith(exe, dir_ + "/data/")) pids.push_back(pid);
  }
  return pids;
}

Ran RunProgram(const std::vector<std::string>& argv, const std::vector<std::string>& environment,
               absl::Duration patience) {
  std::string dir = MakeDirectory();
  Ran ran;
  pid_t pid = Spawn(argv, environment, dir + "/out", dir + "/err", O_TRUNC);
  if (pid == 0) {
    ran.err = absl::StrCat("cannot start ", argv[0]);
  } else {
    host::UniqueFd fd = PidFd(pid);
    if (!AwaitEnd(fd, patience)) Signal(fd, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    ran.out = ReadAll(dir + "/out");
    ran.err = ReadAll(dir + "/err");
  }
  std::error_code ignored;
  fs::remove_all(dir, ignored);
  return ran;
}

}  // namespace basalt::testing
