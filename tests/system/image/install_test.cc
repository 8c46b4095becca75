// The disks of a node as its owner orders it: partitions made anew by a reset. Only in
// `./dev test --all`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/system/image/lab.h"

namespace basalt::testing {
namespace {

using ::testing::HasSubstr;

class ImageInstall : public ::testing::Test {
 protected:
  Lab lab_{{PROGRAMS, RECIPE, CACHE}};
};

TEST_F(ImageInstall, AResetMakesPartitionsAnewAndTrustOutlivesIt) {
  const std::string disk = lab_.Build("9.0.0");
  const int port = FreePort();
  Machine machine(disk, lab_.root(), {.restarts = true, .api_port = port});
  ASSERT_EQ(lab_.Pin(machine, "n1", port), "");
  const std::string file = lab_.ConfigWithoutK3s("n1");
  Ran ran = lab_.NodectlMeanwhile(machine, {"apply", "-f", file, "--yes"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out << machine.console();

  // DATA alone: the same node with the same config.
  ran = lab_.NodectlMeanwhile(machine, {"reset", "-n", "n1", "--data", "--wipe", "zero", "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out << machine.console();
  EXPECT_THAT(ran.out, HasSubstr("n1: answers again: the reset is done"));
  EXPECT_THAT(machine.console(), HasSubstr("DATA: wiped (zero)"));
  ran = lab_.NodectlMeanwhile(machine, {"apply", "-f", file, "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("unchanged")) << ran.out;

  // Both: another machine, which trusts whom it trusted and takes nothing older.
  ran =
      lab_.NodectlMeanwhile(machine, {"reset", "-n", "n1", "--all", "--wipe", "discard", "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out << machine.console();
  EXPECT_THAT(ran.out, HasSubstr("as a new machine"));
  EXPECT_THAT(machine.console(), HasSubstr("STATE: wiped ("));
  EXPECT_THAT(machine.console(), HasSubstr("trust: as the reset left it"));
  const size_t at = ran.out.find("--fingerprint ");
  ASSERT_NE(at, std::string::npos) << ran.out;
  ran = lab_.NodectlMeanwhile(machine,
                              {"pin", "n1", "--fingerprint", ran.out.substr(at + 14, 64), "--yes"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  ran = lab_.NodectlMeanwhile(machine,
                              {"apply", "-f", file, "--generation", "5", "--dry-run", "--yes"});
  EXPECT_NE(ran.exit_code, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("below-floor"));
  ran = lab_.NodectlMeanwhile(machine, {"apply", "-f", file, "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out << machine.console();
}

}  // namespace
}  // namespace basalt::testing
