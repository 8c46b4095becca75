#include "server/rpc/slots.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace basalt::rpc {
namespace {

using Verdict = Slots::Verdict;

TEST(Slots, ASourceHasItsShareAndNoMore) {
  Slots slots(100, 3, 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(slots.Take("a", {}), Verdict::kTaken);
  EXPECT_EQ(slots.Take("a", {}), Verdict::kSourceFull);
  EXPECT_EQ(slots.Take("b", {}), Verdict::kTaken);
  slots.Release("a");
  EXPECT_EQ(slots.Take("a", {}), Verdict::kTaken);
  EXPECT_EQ(slots.open(), 4);
}

TEST(Slots, ReservedOnesAreForSourcesThatAuthenticatedLately) {
  Slots slots(20, 20, 4);
  slots.NoteAuthenticated("friend", absl::Hours(1));
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(slots.Take(absl::StrCat("s", i), absl::Hours(1)), Verdict::kTaken);
  }
  EXPECT_EQ(slots.Take("stranger", absl::Hours(1)), Verdict::kFull);
  EXPECT_EQ(slots.Take("friend", absl::Hours(3)), Verdict::kFull);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(slots.Take("friend", absl::Minutes(90)), Verdict::kTaken);
  }
  EXPECT_EQ(slots.Take("friend", absl::Minutes(90)), Verdict::kFull);
}

TEST(Slots, StrangersKeepMostOfAFewSlots) {
  Slots slots(4, 4, 16);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(slots.Take("a", {}), Verdict::kTaken);
  EXPECT_EQ(slots.Take("a", {}), Verdict::kFull);
}

TEST(Slots, MemoryOfSourcesIsBoundedAndForgetsTheOldest) {
  Slots slots(4, 4, 1);
  slots.NoteAuthenticated("old", absl::Seconds(1));
  for (int i = 0; i < 5000; ++i) slots.NoteAuthenticated(absl::StrCat(i), absl::Seconds(2));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(slots.Take("a", absl::Seconds(3)), Verdict::kTaken);
  EXPECT_EQ(slots.Take("old", absl::Seconds(3)), Verdict::kFull);
  EXPECT_EQ(slots.Take("4999", absl::Seconds(3)), Verdict::kTaken);
}

}  // namespace
}  // namespace basalt::rpc
