// What a start can meet: each has its code and one try, and nothing is harmed.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "machineconfig/docs/field_doc.h"
#include "tests/fault/process/process_fixture.h"
#include "tests/support/process/await.h"

namespace basalt::testing {
namespace {

namespace fs = std::filesystem;

class Start : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/basalt-start-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    dir_ = name;
    WriteAll(Path("trust.json"), TheOwner().trust_json());
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::string Path(const std::string& relative) const { return absl::StrCat(dir_, "/", relative); }

  // Ends by itself with 64 and `code`, and said so once.
  void ExpectRefused(const std::string& root, const std::string& trust, const std::string& listen,
                     const std::string& code) {
    Ran ran = RunProgram({NODED, "serve", "--platform", "sandbox", "--root", root, "--listen",
                          listen, "--trust", trust},
                         {}, absl::Seconds(30));
    EXPECT_EQ(ran.exit_code, 64) << ran.err;
    const std::string tag = absl::StrCat("[", code, "]");
    EXPECT_TRUE(absl::StrContains(ran.err, tag)) << code << ": " << ran.err;
    EXPECT_EQ(ran.err.find(tag), ran.err.rfind(tag)) << ran.err;
    EXPECT_FALSE(absl::StrContains(ran.err, "restart")) << ran.err;
  }

  std::string dir_;
};

TEST_F(Start, ATrustFileThatIsNoChainIsNamed) {
  WriteAll(Path("garbage"), "garbage");
  WriteAll(Path("cut"), TheOwner().trust_json().substr(0, 300));
  const std::string listen = "127.0.0.1:0";
  ExpectRefused(Path("n1"), Path("absent"), listen, "no-trust");
  ExpectRefused(Path("n1"), dir_, listen, "no-trust");
  ExpectRefused(Path("n1"), "/dev/zero", listen, "no-trust");
  ExpectRefused(Path("n1"), Path("garbage"), listen, "bad-envelope");
  ExpectRefused(Path("n1"), Path("cut"), listen, "bad-envelope");
}

TEST_F(Start, ARootThatIsNotTheNodesIsLeftAsItIs) {
  const std::string listen = "127.0.0.1:0";
  fs::create_directory(Path("shared"));
  WriteAll(Path("shared/somebodys"), "file");
  ASSERT_EQ(chmod(Path("shared").c_str(), 01777), 0);
  ExpectRefused(Path("shared"), Path("trust.json"), listen, "bad-root");
  struct stat found {};
  ASSERT_EQ(stat(Path("shared").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 01777u);
  ExpectRefused(Path("trust.json"), Path("trust.json"), listen, "bad-root");
  ExpectRefused("/proc/absent", Path("trust.json"), listen, "bad-root");
}

TEST_F(Start, APortThatIsTakenIsNamed) {
  host::UniqueFd taken(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(taken.get(), generic, size), 0);
  ASSERT_EQ(listen(taken.get(), 1), 0);
  ASSERT_EQ(getsockname(taken.get(), generic, &size), 0);
  const std::string endpoint = absl::StrCat("127.0.0.1:", ntohs(address.sin_port));
  ExpectRefused(Path("n1"), Path("trust.json"), endpoint, "listen-failed");
  ExpectRefused(Path("n1"), Path("trust.json"), "somewhere:1", "bad-address");
}

TEST_F(Start, ASecondNodedForTheSameDirectoryIsRefusedAndTheFirstGoesOn) {
  NodeProcess node(TheOwner());
  ASSERT_TRUE(node.Start().ok());
  const pid_t noded = node.noded_pid();
  ExpectRefused(node.dir(), Path("trust.json"), "127.0.0.1:0", "node-in-use");
  EXPECT_EQ(node.noded_pid(), noded);
  EXPECT_TRUE((*node.Connect())->Hello(absl::Seconds(20)).ok());
}

TEST_F(Start, APickedPortIsKeptAndADamagedOnePickedAnew) {
  NodeProcess node(TheOwner());
  ASSERT_TRUE(node.Start().ok());
  const std::string picked = node.endpoint(), fingerprint = node.fingerprint();
  EXPECT_EQ(node.Stop(), 0);
  ASSERT_TRUE(node.Start().ok());
  EXPECT_EQ(node.endpoint(), picked);
  EXPECT_EQ(node.Stop(), 0);
  for (const char* damage : {":junk", ":0", ":99999", ""}) {
    WriteAll(node.Path("state/endpoint"), absl::StrCat(node.address(), damage));
    ASSERT_TRUE(node.Start().ok()) << damage << node.Log();
    EXPECT_TRUE((*node.Connect())->Hello(absl::Seconds(20)).ok()) << damage;
    EXPECT_EQ(node.fingerprint(), fingerprint);
    EXPECT_EQ(node.Stop(), 0);
  }
}

TEST_F(Start, I9_WithoutStandardDescriptorsItStartsAndAStormOfSigtermsEndsItInOrder) {
  pid_t pid = fork();
  if (pid == 0) {
    for (int fd : {0, 1, 2}) close(fd);
    const std::string root = Path("n1"), trust = Path("trust.json");
    execl(NODED, NODED, "serve", "--platform", "sandbox", "--root", root.c_str(), "--listen",
          "127.0.0.1:0", "--trust", trust.c_str(), nullptr);
    _exit(1);
  }
  host::UniqueFd init = PidFd(pid);
  ASSERT_NE(AwaitFile(Path("n1/run/endpoint")), "");
  pid_t noded = 0;
  ASSERT_TRUE(absl::SimpleAtoi(ReadAll(Path("n1/run/noded.pid")), &noded));
  host::UniqueFd child = PidFd(noded);
  for (int fd : {0, 1, 2}) {
    std::error_code error;
    EXPECT_EQ(fs::read_symlink(absl::StrCat("/proc/", noded, "/fd/", fd), error), "/dev/null");
  }
  for (int i = 0; i < 500; ++i) Signal(init, SIGTERM);
  EXPECT_TRUE(AwaitEnd(init));
  EXPECT_TRUE(AwaitEnd(child));
  int status = -1;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status));
  std::cout << "I9: cases 1, passes 1, skips 0\n";
}

// A port of this address that was free a moment ago.
int FreePort(const std::string& address) {
  host::UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  inet_pton(AF_INET, address.c_str(), &where.sin_addr);
  socklen_t size = sizeof where;
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&where), size), 0);
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&where), &size), 0);
  return ntohs(where.sin_port);
}

TEST(Endpoint, TheOneThatWasPickedIsKeptThroughConfigsThatMoveTheApi) {
  NodeProcess node(TheOwner());
  ASSERT_TRUE(node.Start().ok());
  const std::string picked = node.endpoint();
  const std::string moved = absl::StrCat(node.address(), ":", FreePort(node.address()));
  auto expect_at = [&](const std::string& where) {
    EXPECT_EQ(node.endpoint(), where);
    const pid_t noded = node.noded_pid();
    node.KillNoded();
    ASSERT_TRUE(node.AwaitNoded(noded)) << node.Log();
    EXPECT_EQ(node.endpoint(), where) << "after a crash";
    EXPECT_TRUE((*node.Connect())->Hello(absl::Seconds(30)).ok());
  };
  auto apply = [&](int64_t generation, const std::string& api) {
    auto end = node.Apply(NodeConfig{.generation = generation, .api = api});
    ASSERT_TRUE(end.ok()) << end.status() << node.Log();
    ASSERT_EQ(end->state(), v1::APPLY_STATE_COMMITTED) << end->message();
  };
  apply(1, "");
  expect_at(picked);
  apply(2, absl::StrCat("  listen: [\"", moved, "\"]\n"));
  expect_at(moved);
  apply(3, "");
  expect_at(picked);
}

TEST(Schema, ANodeServesTheSchemaOfItsReleaseToWhoeverMayDeliverToIt) {
  NodeProcess node(TheOwner());
  ASSERT_TRUE(node.Start().ok());
  const auto served = (*node.Connect())->GetSchema();
  ASSERT_TRUE(served.ok()) << served.status();
  v1::ServedSchema own = docs::Serve(served->release());
  EXPECT_FALSE(served->release().empty());
  EXPECT_EQ(served->descriptors(), own.descriptors());
  EXPECT_EQ(served->comments_size(), own.comments_size());
  EXPECT_EQ(served->k3s_keys_size(), own.k3s_keys_size());
  const auto source = docs::Read(*served);
  ASSERT_TRUE(source.ok()) << source.status();
  const auto doc = docs::Explain("k3s.role", **source);
  ASSERT_TRUE(doc.ok()) << doc.status();
  EXPECT_EQ(doc->description, docs::Explain("k3s.role")->description);
}

}  // namespace
}  // namespace basalt::testing
