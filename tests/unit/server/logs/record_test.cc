#include "server/logs/record.h"

#include <gtest/gtest.h>

#include "server/host/kernel_log.h"

namespace basalt::logs {
namespace {

TEST(Record, IsReadBackAsItWasPacked) {
  const Record record = {.time = absl::FromUnixMicros(1795500000123456),
                         .severity = 3,
                         .source = "k3s",
                         .text = std::string("bytes \0\xff", 8)};
  EXPECT_EQ(UnpackRecord(Pack(record)), record);
}

TEST(Record, WhatIsCutOffOrTooLongIsNone) {
  const std::string packed = Pack(Record{.source = "k3s", .text = "text"});
  for (size_t size = 0; size < packed.size(); ++size) {
    EXPECT_FALSE(UnpackRecord(packed.substr(0, size))) << size;
  }
  EXPECT_FALSE(UnpackRecord(packed + "x"));
}

TEST(Record, ALineIsCutAtItsLimit) {
  const Record record = {.source = "k3s", .text = std::string(3 * kMaxText, 'x')};
  EXPECT_EQ(UnpackRecord(Pack(record))->text.size(), kMaxText);
}

TEST(ShipSpec, IsReadBackAsItWasPacked) {
  const ShipSpec spec = {.host_name = "n1",
                         .sinks = {{.name = "siem",
                                    .transport = Transport::kHttps,
                                    .host = "logs.example.org",
                                    .port = 443,
                                    .path = "/ingest?x=1",
                                    .encoding = Encoding::kLoki,
                                    .ca = "CA",
                                    .certificate = "C",
                                    .key = "K",
                                    .token = "T",
                                    .batch = 7,
                                    .wait = absl::Seconds(3)}},
                         .keep_bytes = 1 << 20,
                         .keep = absl::Hours(24)};
  EXPECT_EQ(UnpackShip(Pack(spec)), spec);
  EXPECT_FALSE(UnpackShip(Pack(spec) + "x"));
}

TEST(SinkState, AMessageOfAStrangerIsPrintable) {
  const SinkState state = {.name = "siem", .failing = true, .message = "said \x1b[31m\nno"};
  EXPECT_EQ(UnpackState(Pack(state))->message, "said ?[31m?no");
}

TEST(Severity, IsWhatTheLineSaysOfItself) {
  EXPECT_EQ(SeverityOf("time=\"2026-11-25T21:00:00Z\" level=error msg=\"x\""), 3);
  EXPECT_EQ(SeverityOf("time=\"2026-11-25T21:00:00Z\" level=warning msg=\"x\""), 4);
  EXPECT_EQ(SeverityOf("time=\"2026-11-25T21:00:00Z\" level=fatal msg=\"x\""), 2);
  EXPECT_EQ(SeverityOf("E1125 21:00:00.000000       1 x.go:1] no"), 3);
  EXPECT_EQ(SeverityOf("W1125 21:00:00.000000       1 x.go:1] no"), 4);
  EXPECT_EQ(SeverityOf("Everything is fine"), 6);
  EXPECT_EQ(SeverityOf(""), 6);
}

TEST(KernelMessage, IsReadAsTheKernelWritesIt) {
  const auto message = host::ParseKernelMessage("30,339,5140900,-;eth0: link up\n SUBSYSTEM=net\n");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->severity, 6);
  EXPECT_EQ(message->sequence, 339u);
  EXPECT_EQ(message->since_boot, absl::Microseconds(5140900));
  EXPECT_EQ(message->text, "eth0: link up");
}

TEST(KernelMessage, WhatIsNoneIsNone) {
  for (const char* packet :
       {"", ";", "6,1;x", "x,1,2,-;x", "6,-1,2,-;x", "6,1,-2,-;x", "6,1,2,-"}) {
    EXPECT_FALSE(host::ParseKernelMessage(packet)) << packet;
  }
}

TEST(KernelMessage, NoControlCharacterGetsThrough) {
  EXPECT_EQ(host::ParseKernelMessage("6,1,2,-;a\x1b[2J\x7f"
                                     "b")
                ->text,
            "a?[2J?b");
}

}  // namespace
}  // namespace basalt::logs
