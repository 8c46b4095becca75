// When a node says that it is there, to whom, and how often.
#include "server/mdns/responder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/executor/manual_executor.h"

namespace basalt::mdns {
namespace {

using api::mdns::Advert;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Ip(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c), static_cast<char>(d)};
}

class FakeLinks : public Links {
 public:
  std::vector<Link> List() override { return present; }
  void ListenOn(const std::vector<Link>& links) override { open = links; }
  std::vector<int> descriptors() const override {
    return open.empty() ? std::vector<int>() : std::vector<int>{7};
  }
  std::vector<Datagram> Receive() override { return std::exchange(arrived, {}); }
  void Multicast(const Link& link, const std::string& bytes) override {
    multicast.push_back(api::mdns::Parse(bytes).value());
  }
  void Unicast(const Datagram& to, const std::string& bytes) override {
    unicast.push_back(api::mdns::Parse(bytes).value());
  }
  std::vector<Link> present = {{.index = 2, .name = "eth0", .addresses = {{Ip(10, 0, 0, 5), 24}}}};
  std::vector<Link> open;
  std::vector<Datagram> arrived;
  std::vector<api::mdns::Message> multicast, unicast;
};

class ResponderTest : public ::testing::Test {
 protected:
  void Start() {
    responder_ = std::make_unique<Responder>(
        Responder::Parts{.executor = executor_,
                         .links = links_,
                         .advert = [this] { return advert_; },
                         .since_boot = [this] { return clock_.SinceBoot(); }});
    responder_->Start();
    executor_.Advance(absl::Seconds(2));
    said_ = std::exchange(links_.multicast, {});
  }
  void Ask(const std::string& source, uint16_t port, int link = 2,
           const std::string& name = api::mdns::kService) {
    links_.arrived.push_back({.link = link,
                              .source = source,
                              .port = port,
                              .bytes = Write(api::mdns::Message{
                                  .id = 9, .questions = {{.name = name, .unicast = true}}})});
    executor_.FdReady(7);
  }
  testing::FakeClock clock_;
  testing::ManualExecutor executor_{clock_};
  FakeLinks links_;
  std::optional<Advert> advert_ = Advert{.instance = "basalt-01234567",
                                         .fingerprint = "0123456789abcdef",
                                         .state = "no-config",
                                         .api = "basalt/v1",
                                         .version = "1.0.0",
                                         .port = 6050};
  std::vector<api::mdns::Message> said_;
  std::unique_ptr<Responder> responder_;
};

TEST_F(ResponderTest, SaysTwiceThatItIsThereAndThenIsSilent) {
  Start();
  ASSERT_THAT(said_, SizeIs(2));
  const std::vector<Advert> adverts = AdvertsOf(said_[0]);
  ASSERT_THAT(adverts, SizeIs(1));
  EXPECT_THAT(adverts[0].addresses, ElementsAre(Ip(10, 0, 0, 5)));
  executor_.Advance(absl::Hours(1));
  EXPECT_THAT(links_.multicast, IsEmpty());
}

TEST_F(ResponderTest, AnswersWhoAsksAlone) {
  Start();
  Ask(Ip(10, 0, 0, 9), 40000);
  ASSERT_THAT(links_.unicast, SizeIs(1));
  EXPECT_EQ(links_.unicast[0].id, 9);
  EXPECT_EQ(links_.unicast[0].questions[0].name, api::mdns::kService);
  EXPECT_LE(links_.unicast[0].records[0].ttl, 10u);
  EXPECT_THAT(links_.multicast, IsEmpty());
}

TEST_F(ResponderTest, AnswersAnotherResponderByMulticast) {
  Start();
  Ask(Ip(10, 0, 0, 9), 5353);
  EXPECT_THAT(links_.unicast, IsEmpty());
  EXPECT_THAT(links_.multicast, SizeIs(1));
}

TEST_F(ResponderTest, StrangersAndOtherQuestionsGetNoAnswer) {
  Start();
  Ask(Ip(10, 0, 1, 9), 40000);     // behind a router
  Ask(Ip(10, 0, 0, 9), 40000, 3);  // a link that is none of ours
  Ask(Ip(10, 0, 0, 9), 40000, 2, "_ssh._tcp.local");
  links_.arrived.push_back({.link = 2, .source = Ip(10, 0, 0, 9), .port = 40000, .bytes = "x"});
  executor_.FdReady(7);
  EXPECT_THAT(links_.unicast, IsEmpty());
}

TEST_F(ResponderTest, AFloodOfQuestionsGetsOneAnswerASecond) {
  Start();
  for (int i = 0; i < 100; ++i) Ask(Ip(10, 0, 0, 9), 40000);
  EXPECT_THAT(links_.unicast, SizeIs(1));
  clock_.Advance(absl::Seconds(2));
  Ask(Ip(10, 0, 0, 9), 40000);
  EXPECT_THAT(links_.unicast, SizeIs(2));
}

TEST_F(ResponderTest, ItsPortIsClosedWhenItIsNotToBeFound) {
  Start();
  EXPECT_THAT(links_.open, SizeIs(1));
  advert_.reset();
  executor_.Advance(absl::Seconds(6));
  EXPECT_THAT(links_.open, IsEmpty());
  ASSERT_THAT(links_.multicast, SizeIs(1));
  EXPECT_EQ(links_.multicast[0].records[0].ttl, 0u) << "it takes back what it said";
  Ask(Ip(10, 0, 0, 9), 40000);
  EXPECT_THAT(links_.unicast, IsEmpty());
}

TEST_F(ResponderTest, ANewAddressAndANewNameAreSaid) {
  Start();
  links_.present[0].addresses.push_back({Ip(10, 0, 0, 6), 24});
  executor_.Advance(absl::Seconds(7));
  ASSERT_THAT(links_.multicast, SizeIs(2));
  EXPECT_THAT(AdvertsOf(links_.multicast[0])[0].addresses, SizeIs(2));
  links_.multicast.clear();
  advert_->instance = "n1";
  executor_.Advance(absl::Seconds(7));
  ASSERT_THAT(links_.multicast, SizeIs(3));
  EXPECT_EQ(links_.multicast[0].records[0].ttl, 0u);
  EXPECT_EQ(AdvertsOf(links_.multicast[1])[0].instance, "n1");
}

}  // namespace
}  // namespace basalt::mdns
