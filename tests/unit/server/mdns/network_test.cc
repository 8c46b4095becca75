// The real sockets, in a network namespace of their own: a node that is found by who asks.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "server/mdns/responder.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/network/network_namespace.h"

namespace basalt::mdns {
namespace {

bool Readable(int fd) {
  pollfd wait{.fd = fd, .events = POLLIN};
  return poll(&wait, 1, 5000) == 1;
}

TEST(MdnsOnANetwork, WhoAsksIsAnswered) {
  const std::string why = testing::EnterNetworkNamespace();
  if (!why.empty()) GTEST_SKIP() << why;
  testing::Shell(
      "ip link set lo up && ip link add node0 type veth peer name other0 && ip link set other0 up "
      "&& ip link set node0 up && ip addr add 10.9.8.7/24 dev node0");
  const std::unique_ptr<Links> links = MakeAnyLinks();
  ASSERT_FALSE(links->List().empty()) << testing::Shell("ip addr");
  EXPECT_TRUE(MakeLinks()->List().empty()) << "links of pods are not the machine's";
  testing::FakeClock clock;
  testing::ManualExecutor executor(clock);
  Responder responder({.executor = executor,
                       .links = *links,
                       .advert =
                           [] {
                             return api::mdns::Advert{.instance = "n1",
                                                      .fingerprint = "0123456789abcdef",
                                                      .state = "no-config",
                                                      .port = 6050};
                           },
                       .since_boot = [&clock] { return clock.SinceBoot(); }});
  responder.Start();
  ASSERT_FALSE(links->descriptors().empty());

  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ip_mreqn out{};
  out.imr_ifindex = static_cast<int>(if_nametoindex("node0"));
  ASSERT_EQ(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out), 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(api::mdns::kPort);
  inet_pton(AF_INET, api::mdns::kGroup4, &to.sin_addr);
  const std::string question =
      Write(api::mdns::Message{.questions = {{.name = api::mdns::kService, .unicast = true}}});
  ASSERT_GT(
      sendto(fd, question.data(), question.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
      0);
  // Its own announcements come back to it as well; they are no questions.
  ASSERT_TRUE(Readable(links->descriptors()[0]));
  for (int i = 0; i < 5; ++i) {
    executor.FdReady(links->descriptors()[0]);
    pollfd wait{.fd = fd, .events = POLLIN};
    if (poll(&wait, 1, 1000) == 1) break;
  }
  char bytes[2000];
  const ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
  close(fd);
  ASSERT_GT(n, 0);
  const auto adverts =
      api::mdns::AdvertsOf(api::mdns::Parse({bytes, static_cast<size_t>(n)}).value());
  ASSERT_EQ(adverts.size(), 1u);
  EXPECT_EQ(adverts[0].instance, "n1");
  EXPECT_EQ(adverts[0].addresses[0], std::string("\x0a\x09\x08\x07", 4));
}

}  // namespace
}  // namespace basalt::mdns
