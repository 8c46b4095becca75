// A machine without a clock: every start is on the second day of 2005. Only in `./dev test --all`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/system/image/lab.h"

namespace basalt::testing {
namespace {

using ::testing::HasSubstr;

const std::vector<std::string> kNoClock = {"-rtc", "base=2005-01-02,clock=vm"};

TEST(Clock, T1_AMachineThatStartsIn2005TakesAConfigAndKeepsItOverARestart) {
  Lab lab({PROGRAMS, RECIPE, CACHE});
  const std::string disk = lab.Build("9.0.0");
  const int port = FreePort();
  const std::string file = lab.ConfigWithoutK3s("n1");
  {
    Machine machine(disk, lab.root(), {.restarts = true, .api_port = port, .more = kNoClock});
    ASSERT_EQ(lab.Pin(machine, "n1", port), "");
    EXPECT_THAT(machine.console(), HasSubstr("clock: was before the build of this image"));
    Ran ran = lab.NodectlMeanwhile(machine, {"apply", "-f", file, "--yes"});
    ASSERT_EQ(ran.exit_code, 0) << ran.out << machine.console();
  }
  // The power goes, and with it what the clock had reached.
  Machine machine(disk, lab.root(), {.restarts = true, .api_port = port, .more = kNoClock});
  ASSERT_TRUE(machine.Await({"metal serves"}, absl::Minutes(4))) << machine.console();
  // Not before what was signed last: an older document is refused as such, not taken for new.
  Ran ran;
  for (int i = 0; i < 20 && ran.exit_code != 0; ++i) {  // until it has its address again
    ran = lab.NodectlMeanwhile(machine, {"status", "-n", "n1", "-o", "json"});
  }
  EXPECT_EQ(ran.exit_code, 0) << ran.out << machine.console();
  EXPECT_THAT(ran.out, HasSubstr("TimeUnverified"));
  ran = lab.NodectlMeanwhile(machine, {"apply", "-f", file, "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("unchanged"));
}

}  // namespace
}  // namespace basalt::testing
