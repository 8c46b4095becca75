// noded-wire probes and captures: against openssl, against sockets, in a network of its own.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/diagnose/capture_task.h"
#include "server/diagnose/probe_result.h"
#include "tests/component/wire/wire_process.h"

namespace basalt::diagnose {
namespace {

using testing::Child;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

ProbeResult Probe(const ProbeTask& task) {
  host::UniqueFd memory = testing::MemoryWith("");
  std::vector<std::string> argv = {NODED_WIRE, "probe"};
  for (std::string& argument : ToArguments(task)) argv.push_back(std::move(argument));
  Child child(argv, {memory.get()});
  EXPECT_EQ(child.Wait(), 0);
  auto result = UnpackResult(testing::ReadFd(memory.get()));
  EXPECT_TRUE(result);
  return result.value_or(ProbeResult());
}

ProbeTask Local(ProbeTask::Kind kind, int port) {
  return {.kind = kind, .host = "127.0.0.1", .port = port, .any_address = true};
}

TEST(Probe, AConnectionThatIsTakenAndOneThatIsRefused) {
  int port = 0;
  host::UniqueFd listener = testing::Listen(&port);
  const ProbeResult reached = Probe(Local(ProbeTask::Kind::kTcp, port));
  EXPECT_TRUE(reached.reached) << reached.error;
  EXPECT_EQ(reached.peer, absl::StrCat("127.0.0.1:", port));
  EXPECT_THAT(reached.steps, SizeIs(2));
  listener.reset();
  const ProbeResult refused = Probe(Local(ProbeTask::Kind::kTcp, port));
  EXPECT_FALSE(refused.reached);
  EXPECT_EQ(refused.code, "probe-refused");
}

TEST(Probe, AnOperatorDoesNotReachWhatOnlyTheNodeMay) {
  int port = 0;
  host::UniqueFd listener = testing::Listen(&port);
  ProbeTask task = Local(ProbeTask::Kind::kTcp, port);
  task.any_address = false;
  for (const char* host : {"127.0.0.1", "localhost", "::ffff:127.0.0.1", "169.254.169.254"}) {
    task.host = host;
    const ProbeResult result = Probe(task);
    EXPECT_FALSE(result.reached) << host;
    EXPECT_EQ(result.code, "probe-address-closed") << host;
    EXPECT_EQ(result.peer, "") << host;
  }
}

TEST(Probe, TheCertificatesOfAServerAndWhatIsWrongWithThem) {
  testing::Certificate certificate;
  int port = 0;
  testing::Listen(&port).reset();
  int out[2];
  ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
  host::UniqueFd said(out[0]);
  Child server({"openssl", "s_server", "-accept", absl::StrCat("127.0.0.1:", port), "-cert",
                certificate.cert_file, "-key", certificate.key_file, "-www"},
               {}, out[1]);
  close(out[1]);
  ASSERT_NE(testing::ReadUntil(said.get(), "ACCEPT"), "");
  ProbeTask task = Local(ProbeTask::Kind::kTls, port);
  task.server_name = "logs.example.org";
  const ProbeResult result = Probe(task);
  EXPECT_TRUE(result.reached) << result.error;
  EXPECT_EQ(result.tls_version, "TLSv1.3");
  EXPECT_THAT(result.tls_fault, HasSubstr("self-signed certificate"));
  ASSERT_THAT(result.certificates, SizeIs(1));
  EXPECT_EQ(result.certificates[0].subject, "CN=logs.example.org");
  EXPECT_THAT(result.certificates[0].names, ElementsAre("logs.example.org", "127.0.0.1"));
  EXPECT_EQ(result.certificates[0].not_after - result.certificates[0].not_before, 30 * 86400);
  task.kind = ProbeTask::Kind::kHttp;
  task.tls = true;
  const ProbeResult fetched = Probe(task);
  EXPECT_TRUE(fetched.reached) << fetched.error;
  EXPECT_EQ(fetched.http_status, 200);
  EXPECT_GT(fetched.http_bytes, 100);
}

TEST(Probe, ARedirectIsNamedAndNotFollowed) {
  int port = 0;
  host::UniqueFd listener = testing::Listen(&port);
  std::thread server([&listener] {
    host::UniqueFd one = testing::Accept(listener.get());
    testing::ReadUntil(one.get(), "\r\n\r\n");
    const std::string answer =
        "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n";
    (void)!write(one.get(), answer.data(), answer.size());
  });
  const ProbeResult result = Probe(Local(ProbeTask::Kind::kHttp, port));
  server.join();
  EXPECT_TRUE(result.reached) << result.error;
  EXPECT_EQ(result.http_status, 302);
  EXPECT_EQ(result.http_location, "http://169.254.169.254/");
}

TEST(Probe, AServerThatNeverAnswersCostsTheTimeThatWasAskedFor) {
  int port = 0;
  host::UniqueFd listener = testing::Listen(&port);
  ProbeTask task = Local(ProbeTask::Kind::kHttp, port);
  task.timeout_ms = 300;
  const ProbeResult result = Probe(task);
  EXPECT_EQ(result.code, "probe-timeout");
}

TEST(Probe, WhatIsNoHttpIsSaidToBeNone) {
  int port = 0;
  host::UniqueFd listener = testing::Listen(&port);
  std::thread server([&listener] {
    host::UniqueFd one = testing::Accept(listener.get());
    (void)!write(one.get(), "SSH-2.0-x\r\n", 11);
    testing::ReadUntil(one.get(), "\r\n\r\n");
  });
  const ProbeResult result = Probe(Local(ProbeTask::Kind::kHttp, port));
  server.join();
  EXPECT_EQ(result.code, "probe-no-http");
}

// In a network of its own, with root alone.
class CaptureTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0) {
      GTEST_SKIP() << "a packet socket wants root and a network namespace";
    }
    host::UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request = {};
    strcpy(request.ifr_name, "lo");
    ioctl(fd.get(), SIOCGIFFLAGS, &request);
    request.ifr_flags |= IFF_UP;
    ASSERT_EQ(ioctl(fd.get(), SIOCSIFFLAGS, &request), 0);
  }
  void Start(const CaptureTask& task) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    packets_ = host::UniqueFd(ends[0]);
    host::UniqueFd theirs(ends[1]);
    host::UniqueFd order = testing::MemoryWith(Pack(task));
    summary_ = testing::MemoryWith("");
    child_ = std::make_unique<Child>(std::vector<std::string>{NODED_WIRE, "capture"},
                                     std::vector<int>{theirs.get(), order.get(), summary_.get()});
  }
  void SendTo(int port, const std::string& text) {
    host::UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in at = {.sin_family = AF_INET,
                      .sin_port = htons(static_cast<uint16_t>(port)),
                      .sin_addr = {htonl(INADDR_LOOPBACK)}};
    sendto(fd.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&at), sizeof at);
  }
  std::string Rest() {
    std::string all;
    char some[4096];
    ssize_t n;
    while ((n = read(packets_.get(), some, sizeof some)) > 0) {
      all.append(some, static_cast<size_t>(n));
    }
    return all;
  }
  CaptureResult Summary() {
    EXPECT_EQ(child_->Wait(), 0);
    return UnpackCapture(testing::ReadFd(summary_.get())).value_or(CaptureResult());
  }

  host::UniqueFd packets_, summary_;
  std::unique_ptr<Child> child_;
};

TEST_F(CaptureTest, WhatTheFilterTakesIsCaughtAndTcpdumpReadsIt) {
  // `udp port 7777` of Ethernet, as tcpdump -dd prints the part of it that matters here.
  CaptureTask task = {.interface = "lo", .duration_ms = 2000, .loopback = true};
  task.filters[1] = {{0x28, 0, 0, 12},   {0x15, 0, 8, 0x0800}, {0x30, 0, 0, 23}, {0x15, 0, 6, 17},
                     {0x28, 0, 0, 20},   {0x45, 4, 0, 0x1fff}, {0xb1, 0, 0, 14}, {0x48, 0, 0, 16},
                     {0x15, 0, 1, 7777}, {0x06, 0, 0, 262144}, {0x06, 0, 0, 0}};
  Start(task);
  std::string head(28, '\0');  // the section's block: the socket is there by then
  ASSERT_EQ(read(packets_.get(), head.data(), head.size()), 28);
  SendTo(7777, "caught");
  SendTo(8888, "not caught");
  const std::string file = head + Rest();
  EXPECT_THAT(file, HasSubstr("caught"));
  EXPECT_THAT(file, ::testing::Not(HasSubstr("not caught")));
  const CaptureResult summary = Summary();
  EXPECT_EQ(summary.code, "") << summary.error;
  EXPECT_EQ(summary.ended, "duration");
  EXPECT_GE(summary.packets, 1);
  // What others make of it.
  const std::string path = ::testing::TempDir() + "/wire-capture.pcapng";
  std::ofstream(path) << file;
  int out[2];
  ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
  host::UniqueFd said(out[0]);
  Child tcpdump({"tcpdump", "-nr", path}, {}, out[1]);
  close(out[1]);
  const std::string text = testing::ReadUntil(said.get(), "UDP, length 6");
  if (tcpdump.Wait() == 127) GTEST_SKIP() << "no tcpdump here";
  EXPECT_THAT(text, HasSubstr(".7777: UDP, length 6"));
  unlink(path.c_str());
}

TEST_F(CaptureTest, EndsAtItsSizeAndWithWhoReadsIt) {
  Start({.interface = "lo", .duration_ms = 60000, .max_bytes = 4096, .loopback = true});
  std::string head(28, '\0');
  ASSERT_EQ(read(packets_.get(), head.data(), head.size()), 28);
  for (int i = 0; i < 50; ++i) SendTo(7777, std::string(200, 'x'));
  EXPECT_LE(Rest().size(), 4096u + 64);
  EXPECT_EQ(Summary().ended, "size");
  Start({.interface = "lo", .duration_ms = 60000, .loopback = true});
  packets_.reset();
  EXPECT_GE(child_->Wait(), 0);
}

TEST_F(CaptureTest, LoopbackIsForAdminsAndABadFilterIsTheKernelsToRefuse) {
  Start({.interface = "lo", .loopback = false});
  EXPECT_EQ(Summary().code, "needs-role");
  CaptureTask task = {.interface = "lo", .loopback = true};
  task.filters[1] = {{0x15, 200, 200, 0}};
  Start(task);
  EXPECT_EQ(Summary().code, "bad-filter");
  Start({.interface = "nothing0"});
  EXPECT_EQ(Summary().code, "no-such-interface");
  Start({});
  EXPECT_EQ(Summary().code, "no-interface");
}

}  // namespace
}  // namespace basalt::diagnose
