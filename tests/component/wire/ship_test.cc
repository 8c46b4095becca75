// noded-wire sends logs: to receivers that nobody here wrote where there is one, and to sockets.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/logs/record.h"
#include "server/logs/store_names.h"
#include "tests/component/wire/wire_process.h"

namespace basalt::logs {
namespace {

using testing::Child;
using ::testing::HasSubstr;
using testing::ReadUntil;

class ShipTest : public ::testing::Test {
 protected:
  void Start(ShipSpec spec, int store = -1) {
    spec.host_name = "n1";
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    noded_ = host::UniqueFd(pair[0]);
    host::UniqueFd theirs(pair[1]);
    host::UniqueFd memory = testing::MemoryWith(Pack(spec));
    std::vector<int> fds = {memory.get(), theirs.get()};
    if (store >= 0) fds.push_back(store);
    child_ = std::make_unique<Child>(std::vector<std::string>{NODED_WIRE, "logs"}, fds);
  }
  static SinkSpec Sink(Transport transport, int port) {
    return {.name = "siem",
            .transport = transport,
            .host = "127.0.0.1",
            .port = port,
            .path = "/in",
            .batch = 2,
            .wait = absl::ZeroDuration()};
  }
  void Say(const std::string& text) {
    const std::string packet = Pack(Record{
        .time = absl::FromUnixSeconds(1795500000), .severity = 4, .source = "k3s", .text = text});
    ASSERT_EQ(send(noded_.get(), packet.data(), packet.size(), 0),
              static_cast<ssize_t>(packet.size()));
  }
  // What the process says of its sink, as soon as `good` likes it.
  SinkState AwaitState(const std::function<bool(const SinkState&)>& good) {
    char packet[2048];
    timeval wait = {60, 0};
    setsockopt(noded_.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    while (true) {
      const ssize_t n = recv(noded_.get(), packet, sizeof packet, 0);
      if (n <= 0) return {};
      auto state = UnpackState(absl::string_view(packet, static_cast<size_t>(n)));
      if (state && good(*state)) return *state;
    }
  }

  host::UniqueFd noded_;
  std::unique_ptr<Child> child_;
};

TEST_F(ShipTest, SyslogOverTlsArrivesFramedAtAServerThatIsTrusted) {
  testing::Certificate certificate;
  int port = 0;
  testing::Listen(&port).reset();
  int out[2];
  ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
  host::UniqueFd received(out[0]);
  Child server({"openssl", "s_server", "-accept", absl::StrCat("127.0.0.1:", port), "-cert",
                certificate.cert_file, "-key", certificate.key_file, "-quiet"},
               {}, out[1]);
  close(out[1]);
  SinkSpec sink = Sink(Transport::kTls, port);
  sink.ca = certificate.pem;
  Start({.sinks = {sink}});
  Say("one");
  Say("two");
  const std::string text = ReadUntil(received.get(), "two");
  EXPECT_THAT(text, HasSubstr("50 <28>1 2026-11-24T06:00:00.000000Z n1 k3s - - - one50 <28>1 "));
  EXPECT_EQ(AwaitState([](const SinkState& s) { return s.sent == 2; }).failing, false);
}

TEST_F(ShipTest, AServerThatNobodyVouchesForGetsNotALine) {
  testing::Certificate certificate, other;
  int port = 0;
  testing::Listen(&port).reset();
  int out[2];
  ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
  host::UniqueFd received(out[0]);
  Child server({"openssl", "s_server", "-accept", absl::StrCat("127.0.0.1:", port), "-cert",
                certificate.cert_file, "-key", certificate.key_file, "-quiet"},
               {}, out[1]);
  close(out[1]);
  SinkSpec sink = Sink(Transport::kTls, port);
  sink.ca = other.pem;
  Start({.sinks = {sink}});
  Say("secret");
  const SinkState state = AwaitState(
      [](const SinkState& s) { return s.failing && absl::StrContains(s.message, "certificate"); });
  EXPECT_TRUE(state.failing);
  EXPECT_EQ(state.sent, 0);
}

TEST_F(ShipTest, WhatASinkThatWasNotThereMissedItGetsWhenItComes) {
  int port = 0;
  testing::Listen(&port).reset();
  Start({.sinks = {Sink(Transport::kTcp, port)}});
  Say("early");
  EXPECT_TRUE(AwaitState([](const SinkState& s) { return s.failing; }).failing);
  host::UniqueFd listener = testing::Listen(&port);
  host::UniqueFd first = testing::Accept(listener.get());
  ASSERT_TRUE(first.valid());
  EXPECT_THAT(ReadUntil(first.get(), "early"), HasSubstr(" - - - early"));
  // It goes away and comes back.
  first.reset();
  Say("late");
  host::UniqueFd second = testing::Accept(listener.get());
  ASSERT_TRUE(second.valid());
  EXPECT_THAT(ReadUntil(second.get(), "late"), HasSubstr(" - - - late"));
}

TEST_F(ShipTest, ADatagramIsALine) {
  int port = 0;
  host::UniqueFd socket = testing::Listen(&port, /*datagram=*/true);
  Start({.sinks = {Sink(Transport::kUdp, port)}});
  Say("one");
  EXPECT_EQ(ReadUntil(socket.get(), "one"), "<28>1 2026-11-24T06:00:00.000000Z n1 k3s - - - one");
}

TEST_F(ShipTest, JsonIsPostedOnAConnectionThatStaysAndARefusalStopsNothing) {
  int port = 0;
  host::UniqueFd listener = testing::Listen(&port);
  SinkSpec sink = Sink(Transport::kHttp, port);
  Start({.sinks = {sink}});
  Say("one");
  host::UniqueFd connection = testing::Accept(listener.get());
  ASSERT_TRUE(connection.valid());
  const std::string request = ReadUntil(connection.get(), "\"one\"}\n");
  EXPECT_THAT(request, HasSubstr("POST /in HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("{\"time\":\"2026-11-24T06:00:00.000000Z\",\"host\":\"n1\","
                                 "\"service\":\"k3s\",\"severity\":\"warning\",\"message\":"));
  const std::string no = "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nwhy";
  ASSERT_EQ(write(connection.get(), no.data(), no.size()), static_cast<ssize_t>(no.size()));
  EXPECT_THAT(AwaitState([](const SinkState& s) { return s.refused == 1; }).message,
              HasSubstr("400: why"));
  Say("two");
  EXPECT_THAT(ReadUntil(connection.get(), "\"two\"}\n"), HasSubstr("POST /in"));
  const std::string yes = "HTTP/1.1 204 No Content\r\n\r\n";
  ASSERT_EQ(write(connection.get(), yes.data(), yes.size()), static_cast<ssize_t>(yes.size()));
  EXPECT_FALSE(AwaitState([](const SinkState& s) { return s.sent == 1; }).failing);
}

TEST_F(ShipTest, OneSinkThatHangsKeepsNoOtherWaiting) {
  int hung = 0, good = 0;
  host::UniqueFd listener = testing::Listen(&hung);  // accepts nothing, answers nothing
  host::UniqueFd socket = testing::Listen(&good, /*datagram=*/true);
  SinkSpec other = Sink(Transport::kUdp, good);
  other.name = "other";
  Start({.sinks = {Sink(Transport::kHttp, hung), other}});
  Say("one");
  EXPECT_THAT(ReadUntil(socket.get(), "one"), HasSubstr("one"));
}

TEST_F(ShipTest, WhatIsInHandWhenNodedGoesIsKeptBeforeItEnds) {
  std::string pattern = (std::filesystem::temp_directory_path() / "wire-store-XXXXXX").string();
  const std::string dir = mkdtemp(pattern.data());
  {
    host::UniqueFd store(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    Start({.keep_bytes = 1 << 20}, store.get());
    Say("one");
    noded_.reset();
    EXPECT_EQ(child_->Wait(), 0);
    std::ostringstream text;
    text << std::ifstream(absl::StrCat(dir, "/", StoreName("k3s", 0))).rdbuf();
    EXPECT_EQ(text.str(), "2026-11-24T06:00:00.000000Z 4 one\n");
  }
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace basalt::logs
