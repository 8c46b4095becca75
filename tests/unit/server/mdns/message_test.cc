// Messages of mDNS: ours, those of others with their compression, and hostile ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/mdns_message.h"

namespace basalt::api::mdns {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Advert Node() {
  return {.instance = "n1",
          .fingerprint = "0123456789abcdef",
          .state = "configured",
          .api = "basalt/v1",
          .version = "1.4.0",
          .port = 6050,
          .addresses = {std::string("\xc0\xa8\x01\x0a", 4), std::string(16, '\x20')}};
}

TEST(Message, WhatIsWrittenIsReadBack) {
  const Message answer = Announce(Node());
  EXPECT_EQ(Parse(Write(answer)).value(), answer);
  const Message question{.id = 77, .questions = {{.name = kService, .unicast = true}}};
  EXPECT_EQ(Parse(Write(question)).value(), question);
}

TEST(Message, AnAnnouncementIsTheNodeAgain) {
  EXPECT_THAT(AdvertsOf(Parse(Write(Announce(Node()))).value()), ElementsAre(Node()));
  EXPECT_THAT(AdvertsOf(Announce(Node(), /*ttl=*/0)), IsEmpty()) << "it goes";
}

TEST(Message, OneIsAskedForByServiceInstanceOrHost) {
  for (const Question& q : std::vector<Question>{{.name = "_BASALT._tcp.local", .type = kPtr},
                                                 {.name = "n1._basalt._tcp.local", .type = kSrv},
                                                 {.name = "n1._basalt._tcp.local", .type = kAny},
                                                 {.name = "n1.local", .type = kA}}) {
    EXPECT_TRUE(AsksFor({.questions = {q}}, Node())) << q.name;
  }
  for (const Question& q : std::vector<Question>{{.name = "_ssh._tcp.local", .type = kPtr},
                                                 {.name = "n2.local", .type = kA},
                                                 {.name = "n1.local", .type = kPtr}}) {
    EXPECT_FALSE(AsksFor({.questions = {q}}, Node())) << q.name;
  }
  EXPECT_FALSE(AsksFor({.response = true, .questions = {{.name = kService}}}, Node()));
}

// As avahi answers: names refer back to where they stood before.
TEST(Message, CompressedNamesAreRead) {
  std::string bytes("\0\0\x84\0\0\0\0\x01\0\0\0\0", 12);
  bytes += std::string("\x07_basalt\x04_tcp\x05local\0", 20);
  bytes += std::string("\0\x0c\0\x01\0\0\0\x78\0\x05", 10);
  bytes += std::string("\x02n1\xc0\x0c", 5);
  absl::StatusOr<Message> message = Parse(bytes);
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->records[0].target, "n1._basalt._tcp.local");
}

TEST(Message, HostileNamesEnd) {
  const std::string head("\0\0\0\0\0\x01\0\0\0\0\0\0", 12);
  for (const std::string& name :
       {std::string("\xc0\x0c", 2),                      // itself
        std::string("\xc0\xff", 2),                      // forward
        std::string("\x01", 1), std::string("\x7f", 1),  // beyond the end; no such kind
        std::string(300, '\x01')}) {
    EXPECT_FALSE(Parse(head + name + std::string("\0\x0c\0\x01", 4)).ok());
  }
  EXPECT_FALSE(Parse("").ok());
  EXPECT_FALSE(Parse(std::string(20000, '\0')).ok());
  EXPECT_FALSE(Parse(std::string("\0\0\0\0\xff\xff\0\0\0\0\0\0", 12)).ok());
}

TEST(Message, EveryByteMayBeAnything) {
  const std::string good = Write(Announce(Node()));
  for (size_t at = 0; at < good.size(); ++at) {
    for (int value = 0; value < 256; value += 5) {
      std::string bad = good;
      bad[at] = static_cast<char>(value);
      absl::StatusOr<Message> message = Parse(bad);
      if (message.ok()) (void)AdvertsOf(*message);
    }
    EXPECT_FALSE(Parse(good.substr(0, at)).ok());
  }
}

TEST(Message, ControlCharactersOfANameDoNotGetThrough) {
  Message answer = Announce(Node());
  answer.records[1].name = "a\x1b[31m._basalt._tcp.local";
  const Message read = Parse(Write(answer)).value();
  for (const Record& r : read.records) {
    EXPECT_EQ(r.name.find('\x1b'), std::string::npos);
  }
}

}  // namespace
}  // namespace basalt::api::mdns
