#include "server/logs/encode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nlohmann/json.hpp"
#include "server/wire/http_head.h"

namespace basalt::logs {
namespace {

using ::testing::HasSubstr;

Record Sample() {
  return {.time = absl::FromUnixMicros(1795500000123456),
          .severity = 3,
          .source = "k3s",
          .text = "it \"failed\" \x01 \xff \xc3\xa9"};
}

TEST(Encode, SyslogIsRfc5424) {
  Record record = Sample();
  record.text = "it failed\nonce";
  EXPECT_EQ(Syslog(record, "n1"), "<27>1 2026-11-24T06:00:00.123456Z n1 k3s - - - it failed once");
  record.source = "kernel";
  EXPECT_THAT(Syslog(record, ""), HasSubstr("<3>1 2026-11-24T06:00:00.123456Z - kernel "));
  EXPECT_EQ(Framed("abc"), "3 abc");
}

TEST(Encode, JsonIsJsonWhateverTheLineHolds) {
  const Body body = Encode(Encoding::kJsonLines, {Sample(), Sample()}, "n1");
  EXPECT_EQ(body.content_type, "application/x-ndjson");
  const std::string line = body.bytes.substr(0, body.bytes.find('\n'));
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["service"], "k3s");
  EXPECT_EQ(json["severity"], "error");
  EXPECT_EQ(json["host"], "n1");
  EXPECT_EQ(json["time"], "2026-11-24T06:00:00.123456Z");
  EXPECT_EQ(json["message"], "it \"failed\" \x01 \xEF\xBF\xBD \xc3\xa9");
}

TEST(Encode, BytesThatAreNoUtf8AreReplacedOneByOne) {
  EXPECT_EQ(JsonText("\xc0\xaf"), "\xEF\xBF\xBD\xEF\xBF\xBD");                  // overlong
  EXPECT_EQ(JsonText("\xed\xa0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
  EXPECT_EQ(JsonText("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80");
  EXPECT_EQ(JsonText("\xe2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");  // cut off
}

TEST(Encode, OtlpAndLokiAreTheJsonThatTheyTake) {
  const auto otlp = nlohmann::json::parse(Encode(Encoding::kOtlp, {Sample()}, "n1").bytes);
  const auto& record = otlp["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
  EXPECT_EQ(record["timeUnixNano"], "1795500000123456000");
  EXPECT_EQ(record["severityNumber"], 17);
  EXPECT_EQ(record["attributes"][0]["value"]["stringValue"], "k3s");
  Record kernel = Sample();
  kernel.source = "kernel";
  const auto loki =
      nlohmann::json::parse(Encode(Encoding::kLoki, {Sample(), kernel, Sample()}, "n1").bytes);
  ASSERT_EQ(loki["streams"].size(), 2u);
  EXPECT_EQ(loki["streams"][0]["stream"]["service"], "k3s");
  EXPECT_EQ(loki["streams"][0]["values"].size(), 2u);
}

TEST(Encode, JournalHasTheLengthOfEachText) {
  Record record = Sample();
  record.text = "two\nlines";
  const Body body = Encode(Encoding::kJournal, {record}, "n1");
  EXPECT_EQ(body.content_type, "application/vnd.fdo.journal");
  EXPECT_THAT(body.bytes, HasSubstr(std::string("MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n", 26)));
}

TEST(Encode, APostSaysWhoItIsAndHowLong) {
  SinkSpec sink = {.transport = Transport::kHttps, .host = "fd00::1", .port = 8443, .path = "/in"};
  sink.token = "secret";
  const std::string request = PostRequest(sink, {"text/plain", "body"});
  EXPECT_EQ(request,
            "POST /in HTTP/1.1\r\nHost: [fd00::1]:8443\r\nUser-Agent: basalt\r\n"
            "Content-Type: text/plain\r\nContent-Length: 4\r\nAuthorization: Bearer secret\r\n\r\n"
            "body");
  sink.path = "";
  sink.host = "h";
  sink.port = 443;
  EXPECT_THAT(PostRequest(sink, {"t", ""}), HasSubstr("POST / HTTP/1.1\r\nHost: h\r\n"));
}

TEST(HttpHead, SaysStatusAndLength) {
  bool bad = false;
  const auto head = wire::ParseHttpHead(
      "HTTP/1.1 301 Moved\r\nContent-Length: 5\r\nLocation: https://x/\x1b\r\n\r\nhello", &bad);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 301);
  EXPECT_EQ(head->length, 5);
  EXPECT_TRUE(head->keep_alive);
  EXPECT_EQ(head->location, "https://x/");
  EXPECT_EQ(head->size, 64u);
}

TEST(HttpHead, AsksForMoreOnlyWhileItMayStillBecomeOne) {
  bool bad = false;
  for (const char* text : {"", "HTT", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n"}) {
    EXPECT_FALSE(wire::ParseHttpHead(text, &bad)) << text;
    EXPECT_FALSE(bad) << text;
  }
  for (const char* text : {"SSH-2.0", "HTTP/2 200\r\n\r\n", "HTTP/1.1 xyz\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"}) {
    EXPECT_FALSE(wire::ParseHttpHead(text, &bad)) << text;
    EXPECT_TRUE(bad) << text;
  }
  EXPECT_FALSE(wire::ParseHttpHead("HTTP/1.1 200 OK\r\n" + std::string(wire::kMaxHead, 'x'), &bad));
  EXPECT_TRUE(bad);
}

}  // namespace
}  // namespace basalt::logs
