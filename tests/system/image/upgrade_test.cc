// An owner upgrades a node over its API: a good image, and one that does not start. The images are
// as they are shipped, but for the PID 1 of the broken one. Only in `./dev test --all`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "tests/system/image/lab.h"
#include "tests/system/image/machine.h"

namespace basalt::testing {
namespace {

using ::testing::HasSubstr;

class ImageUpgrade : public ::testing::Test {
 protected:
  std::map<std::string, nlohmann::json> Slots() {
    std::map<std::string, nlohmann::json> slots;
    Ran ran = lab_.Nodectl({"slots", "-n", "n1", "-o", "json"});
    EXPECT_EQ(ran.exit_code, 0) << ran.out;
    const auto json = nlohmann::json::parse(ran.out, nullptr, false);
    if (json.is_discarded()) return slots;
    for (const auto& one : json["resources"]) slots[one["name"]] = one["slot"];
    return slots;
  }

  Lab lab_{{PROGRAMS, RECIPE, CACHE}};
};

TEST_F(ImageUpgrade, U2_AGoodImageIsTakenAndABrokenOneComesBackByItself) {
  const std::string disk = lab_.Build("9.0.0");
  lab_.Build("9.1.0");
  lab_.Build("9.2.0", PANIC);
  WebServer web(lab_.web());
  const int port = FreePort();
  Machine machine(disk, lab_.root(), {.restarts = true, .api_port = port});
  ASSERT_EQ(lab_.Pin(machine, "n1", port), "");
  // A node without K3s: what is upgraded here is the image.
  const std::string file = lab_.ConfigWithoutK3s("n1");
  Ran ran = lab_.NodectlMeanwhile(machine, {"apply", "-f", file, "--yes"});
  ASSERT_EQ(ran.exit_code, 0) << ran.out << machine.console();

  const auto upgrade = [&](const std::string& version) {
    const std::string manifest = Lab::Name(version) + ".image.json";
    return lab_.NodectlMeanwhile(
        machine, {"upgrade", "-f", file, "--image", web.Url("127.0.0.1", manifest), "--url",
                  web.Url("10.0.2.2", manifest), "--yes", "--timeout", "15m"});
  };
  ran = upgrade("9.1.0");
  EXPECT_EQ(ran.exit_code, 0) << ran.out << machine.console();
  EXPECT_THAT(ran.out, HasSubstr("into slot b"));
  auto slots = Slots();
  EXPECT_EQ(slots["b"]["version"], "9.1.0");
  EXPECT_EQ(slots["b"]["running"], true);
  EXPECT_EQ(slots["a"]["version"], "9.0.0");

  ran = upgrade("9.2.0");
  EXPECT_EQ(ran.exit_code, 1) << ran.out << machine.console();
  EXPECT_THAT(ran.out, HasSubstr("image-fell-back"));
  EXPECT_THAT(machine.console(), HasSubstr("Attempted to kill init"));
  slots = Slots();
  EXPECT_EQ(slots["b"]["version"], "9.1.0");
  EXPECT_EQ(slots["b"]["running"], true);
  EXPECT_EQ(slots["b"]["state"], "good");
  EXPECT_EQ(slots["a"]["version"], "9.2.0");
  EXPECT_EQ(slots["a"]["state"], "failed");
}

}  // namespace
}  // namespace basalt::testing
