#include "server/unlock/board.h"

#include <gtest/gtest.h>

namespace basalt::unlock {
namespace {

TEST(BoardTest, WhatEveryBoardSaysIsNoKey) {
  for (const char* value :
       {"", "None", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "To be filled by O.E.M.", "Default string", "03000200-0400-0500-0006-000700080009"}) {
    EXPECT_FALSE(IsUnique(value)) << value;
  }
  EXPECT_TRUE(IsUnique("9b1c7e1a-5a0e-4a7b-9f53-0d6c9b0f3f11"));
  EXPECT_TRUE(IsUnique("10000000f3a1b2c3"));
}

TEST(BoardTest, BoardAndSaltDecideAboutTheKey) {
  const BoardId id{"product_uuid", "9b1c7e1a"};
  const std::string key(BoardKey(id, "salt").view());
  EXPECT_EQ(key.size(), 32u);
  EXPECT_EQ(BoardKey(id, "salt").view(), key);
  EXPECT_NE(BoardKey(id, "tlas").view(), key);
  EXPECT_NE(BoardKey({"product_uuid", "9b1c7e1b"}, "salt").view(), key);
  EXPECT_NE(BoardKey({"board_serial", "9b1c7e1a"}, "salt").view(), key);
}

}  // namespace
}  // namespace basalt::unlock
