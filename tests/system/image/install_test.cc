// The disks of a node as its owner orders it: an image that a medium puts onto a disk, partitions
// made anew by a reset. Only in `./dev test --all`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/match.h"
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
  // It is another machine, so the target is filled in anew.
  for (const char* change : {"{target: null, metadata: {generation: 5}}"}) {
    ran = lab_.Nodectl({"patch", "-f", file, "--patch", change, "--in-place"});
    ASSERT_EQ(ran.exit_code, 0) << ran.out;
  }
  ran = lab_.NodectlMeanwhile(machine, {"apply", "-f", file, "-n", "n1", "--yes"});
  EXPECT_NE(ran.exit_code, 0) << ran.out;
  EXPECT_THAT(ran.out, HasSubstr("below-floor"));
  ran = lab_.Nodectl(
      {"patch", "-f", file, "--patch", "{metadata: {generation: null}}", "--in-place"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  ran = lab_.NodectlMeanwhile(machine, {"apply", "-f", file, "-n", "n1", "--yes"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out << machine.console();
}

TEST_F(ImageInstall, AMediumPutsItselfOntoADiskAndTheSameNodeStartsFromThere) {
  if (!absl::StrContains(Launch({PROGRAMS "/image-builder", "build", "--help"}).out, "--output")) {
    GTEST_SKIP() << "this image-builder makes no install medium";
  }
  const std::string out = lab_.root() + "/medium", disk = lab_.root() + "/disk.raw";
  Ran ran = Launch({PROGRAMS "/image-builder", "build", "--profile", "vm-amd64", "--output", "iso",
                    "--recipe", RECIPE, "--cache", CACHE, "--programs", PROGRAMS, "--out", out,
                    "--image-version", "9.0.0", "--trust", lab_.root() + "/lab/trust.json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out;
  const std::string medium = out + "/" + Lab::Name("9.0.0") + ".iso";
  std::ofstream(disk).close();
  std::filesystem::resize_file(disk, uint64_t{6} << 30);
  const int port = FreePort();
  const std::string file = lab_.ConfigWithoutK3s("n1");
  {
    // Without restarts: it ends when it is installed, as if somebody took the medium out.
    Machine machine(medium, lab_.root(), {.api_port = port, .second_disk = disk});
    ASSERT_EQ(lab_.Pin(machine, "n1", port), "");
    ran = lab_.NodectlMeanwhile(
        machine, {"install", "-f", file, "--disk", "serial=NONE", "--dry-run", "--yes"});
    EXPECT_NE(ran.exit_code, 0);
    EXPECT_THAT(ran.out, HasSubstr("disk-not-found"));
    ran = lab_.NodectlMeanwhile(
        machine, {"install", "-f", file, "--disk", "serial=SECOND", "--yes", "--timeout", "3m"});
    EXPECT_THAT(ran.out, HasSubstr("install onto /dev/vdb")) << ran.out << machine.console();
    EXPECT_THAT(ran.out, HasSubstr("rebooting")) << ran.out << machine.console();
  }
  // From the disk alone: the same fingerprint, and the config that was sent to the medium.
  Machine machine(disk, lab_.root(), {.restarts = true, .api_port = port});
  ASSERT_TRUE(machine.Await({"fingerprint "}, absl::Minutes(4))) << machine.console();
  for (int i = 0; i < 60 && ran.exit_code != 0; ++i) {
    ran = lab_.NodectlMeanwhile(machine, {"get", "configstatus", "config", "-n", "n1"});
  }
  EXPECT_EQ(ran.exit_code, 0) << ran.out << machine.console();
  ran = lab_.NodectlMeanwhile(machine, {"apply", "-f", file, "--yes", "--timeout", "4m"});
  EXPECT_EQ(ran.exit_code, 0) << ran.out << machine.console();
  EXPECT_THAT(ran.out, HasSubstr("unchanged")) << ran.out;
}

}  // namespace
}  // namespace basalt::testing
