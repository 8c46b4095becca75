#include "tests/component/client/nodectl_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "machineconfig/sign/vouching.h"
#include "machineconfig/sign/x509.h"

extern char** environ;

namespace basalt::client {

void NodectlFixture::SetUp() {
  std::string pattern = ::testing::TempDir() + "nodectl.XXXXXX";
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  directory_ = pattern;
  lab_ = Path("lab");
  Ran init = Run({"init", lab_, "--cluster", "home", "--no-passphrase"});
  ASSERT_EQ(init.exit_code, 0) << init.err;
}

void NodectlFixture::TearDown() {
  if (server_ != nullptr) server_->Shutdown(absl::Seconds(1));
  std::filesystem::remove_all(directory_);
}

Ran NodectlFixture::Run(const std::vector<std::string>& words,
                        const std::map<std::string, std::string>& environment) {
  static std::atomic<int> counter{0};
  const std::string base = absl::StrCat(directory_, "/.run", counter++);
  std::map<std::string, std::string> own = environment;
  own.insert({"NODECTL_CONTEXT", lab_ + "/context.yaml"});
  own.insert({"LC_ALL", "C"});
  std::vector<std::string> variables;
  for (const auto& [key, value] : own) variables.push_back(key + "=" + value);
  for (char** e = environ; *e != nullptr; ++e) {
    const std::string variable = *e;
    if (variable.rfind("NODECTL_", 0) != 0 && variable.rfind("LC_ALL=", 0) != 0) {
      variables.push_back(variable);
    }
  }
  std::vector<std::string> argv_text = {NODECTL};
  argv_text.insert(argv_text.end(), words.begin(), words.end());
  auto pointers = [](std::vector<std::string>& text) {
    std::vector<char*> out;
    for (std::string& word : text) out.push_back(word.data());
    out.push_back(nullptr);
    return out;
  };
  std::vector<char*> argv = pointers(argv_text), env = pointers(variables);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, input_.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, (base + ".out").c_str(), O_WRONLY | O_CREAT, 0644);
  posix_spawn_file_actions_addopen(&actions, 2, (base + ".err").c_str(), O_WRONLY | O_CREAT, 0644);
  // A session of its own: no controlling terminal to ask for passphrases.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);  // whoever runs the tests may ignore it
  posix_spawnattr_setsigdefault(&attributes, &interrupt);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  int error = posix_spawn(&pid, NODECTL, &actions, &attributes, argv.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  Ran ran;
  if (error != 0) {
    ran.err = absl::StrCat("cannot start " NODECTL ": ", error);
    return ran;
  }
  last_pid_ = pid;
  int status = 0;
  waitpid(pid, &status, 0);
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  ran.out = Read(base + ".out");
  ran.err = Read(base + ".err");
  return ran;
}

std::future<Ran> NodectlFixture::RunAsync(const std::vector<std::string>& words) {
  return std::async(std::launch::async, [this, words] { return Run(words); });
}

void NodectlFixture::StartNode(bool configured) {
  engine::ApiPolicy policy;
  if (configured) {
    policy.configured = true;
    policy.cluster = "home";
    v1::ClientCa* ca = policy.api.add_client_cas();
    ca->set_name("owner");
    ca->set_certificate(Read(lab_ + "/ca/ca.crt"));
    ca->add_roles("admin");
  }
  rpc::ServerOptions options;
  options.listen = {"127.0.0.1:0"};
  auto certificate = sign::SelfSign({.common_name = "node",
                                     .server_auth = true,
                                     .not_before = absl::Now() - absl::Minutes(5),
                                     .not_after = absl::Now() + absl::Hours(1)},
                                    node_key_);
  ASSERT_TRUE(certificate.ok()) << certificate.status();
  options.certificate_pem = *certificate;
  options.key_pem = node_key_.Pem();
  api_.SetRecipient(sign::VouchForRecipient(node_key_, sealing_.recipient().Text()));
  auto server = rpc::StartServer(options, policy, api_);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
}

void NodectlFixture::PinNode() {
  Ran pin = Run({"pin", "n1", "--node", endpoint(), "--fingerprint", fingerprint()});
  ASSERT_EQ(pin.exit_code, 0) << pin.err;
}

Ran NodectlFixture::PinAway() {
  return Run({"pin", "n1", "--node", "127.0.0.1:1", "--fingerprint", std::string(64, 'a'),
              "--recipient", sealing_.recipient().Text()});
}

std::string NodectlFixture::WriteConfig(const std::string& file, bool plain) {
  std::vector<std::string> words = {"gen",    "config", "--name", "n1",
                                    "--role", "server", "-o",     Path(file)};
  if (plain) words.push_back("--plain");
  Ran made = Run(words);
  EXPECT_EQ(made.exit_code, 0) << made.err;
  Ran pinned =
      Run({"k3s", "pin", "-f", Path(file), "--file", NODECTL, "--version", "v1.30.4+k3s1"});
  EXPECT_EQ(pinned.exit_code, 0) << pinned.err;
  return Path(file);
}

std::string NodectlFixture::Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void NodectlFixture::Write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace basalt::client
