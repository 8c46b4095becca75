#include "client/commands/cluster_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace basalt::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(CompareFlags, NamesEachKeyInWhichServersDiffer) {
  EXPECT_THAT(CompareFlags({{"n1", {{"servicelb", "enabled"}, {"cluster-cidr", "10.42.0.0/16"}}},
                            {"n2", {{"servicelb", "enabled"}}},
                            {"n3", {{"servicelb", "enabled"}, {"cluster-cidr", "10.42.0.0/16"}}}}),
              ElementsAre(FlagDifference{
                  "cluster-cidr", {{"n1", "10.42.0.0/16"}, {"n2", ""}, {"n3", "10.42.0.0/16"}}}));
}

TEST(CompareFlags, EqualOnesAndServersOfTheirOwnAreSilent) {
  EXPECT_THAT(CompareFlags({}), IsEmpty());
  EXPECT_THAT(CompareFlags({{"n1", {{"servicelb", "enabled"}}}}), IsEmpty());
  EXPECT_THAT(CompareFlags({{"n1", {{"servicelb", "enabled"}}}, {"alone", {}}}), IsEmpty());
}

}  // namespace
}  // namespace basalt::client
