// Filters of tcpdump's language, compiled by the libpcap of this machine.
#include "client/commands/packet_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/coded_status.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;

// False where there is no libpcap, which is then what is said.
bool Has(const absl::Status& status) { return api::Reason(status) != "no-libpcap"; }

TEST(PacketFilter, IsCompiledForEachKindOfLinkThatANodeHas) {
  auto filters = CompileFilter("udp port 53", 0);
  if (!Has(filters.status())) GTEST_SKIP() << filters.status();
  ASSERT_TRUE(filters.ok()) << filters.status();
  ASSERT_EQ(filters->size(), 2);
  EXPECT_EQ(filters->Get(0).link_type(), 1);
  EXPECT_EQ(filters->Get(1).link_type(), 101);
  for (const v1::CaptureFilter& filter : *filters) {
    ASSERT_GT(filter.instructions_size(), 4);
    // It ends with the verdict: nothing of the packet.
    EXPECT_EQ(filter.instructions().rbegin()->code(), 6u);
    EXPECT_EQ(filter.instructions().rbegin()->k(), 0u);
  }
}

TEST(PacketFilter, TakesWhatOnlyOneKindOfLinkHas) {
  auto filters = CompileFilter("ether host 52:54:00:00:00:01", 0);
  if (!Has(filters.status())) GTEST_SKIP() << filters.status();
  ASSERT_TRUE(filters.ok()) << filters.status();
  ASSERT_EQ(filters->size(), 1);
  EXPECT_EQ(filters->Get(0).link_type(), 1);
}

TEST(PacketFilter, WhatIsNoneIsRefusedInLibpcapsWords) {
  auto filters = CompileFilter("prot 53", 0);
  if (!Has(filters.status())) GTEST_SKIP() << filters.status();
  EXPECT_EQ(api::Reason(filters.status()), "bad-filter");
  EXPECT_THAT(std::string(filters.status().message()), HasSubstr("`prot 53`: "));
}

}  // namespace
}  // namespace basalt::client
