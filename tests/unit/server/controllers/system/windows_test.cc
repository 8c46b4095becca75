// Maintenance windows: when they hold, over midnight, in zones, and what a node does in them.
#include "server/controllers/system/windows.h"

#include <gmock/gmock.h>

#include "tests/unit/server/controllers/system/system_testing.h"

namespace basalt::system {
namespace {

using ::testing::HasSubstr;

absl::Time Utc(const std::string& text) {
  absl::Time time;
  EXPECT_TRUE(absl::ParseTime("%Y-%m-%d %H:%M", text, absl::UTCTimeZone(), &time, nullptr)) << text;
  return time;
}

v1::Maintenance Nights(const std::vector<std::string>& days, const std::string& from,
                       const std::string& to) {
  v1::Maintenance maintenance;
  v1::MaintenanceWindow& window = *maintenance.add_windows();
  window.set_name("nights");
  for (const std::string& day : days) window.add_days(day);
  window.set_from(from);
  window.set_to(to);
  return maintenance;
}

Window Of(const v1::Maintenance& maintenance, const std::string& now,
          absl::TimeZone zone = absl::UTCTimeZone()) {
  return NextWindow(maintenance, zone, Utc(now)).value_or(Window{});
}

TEST(Windows, TheOneThatHoldsElseTheNext) {
  const v1::Maintenance nights = Nights({}, "02:00", "05:00");
  EXPECT_EQ(Of(nights, "2026-11-25 03:00").begin, Utc("2026-11-25 02:00"));
  EXPECT_TRUE(Of(nights, "2026-11-25 02:00").Holds(Utc("2026-11-25 02:00")));
  EXPECT_EQ(Of(nights, "2026-11-25 05:00").begin, Utc("2026-11-26 02:00"));
  EXPECT_EQ(Of({}, "2026-11-25 05:00").name, "");
}

TEST(Windows, OneOverMidnightBelongsToTheDayThatItBeginsOn) {
  const v1::Maintenance saturday = Nights({"sat"}, "23:00", "01:00");
  EXPECT_EQ(Of(saturday, "2026-11-29 00:30").begin, Utc("2026-11-28 23:00"));  // a Sunday
  EXPECT_EQ(Of(saturday, "2026-11-29 01:00").begin, Utc("2026-12-05 23:00"));
}

TEST(Windows, T5_ClocksThatGoForwardAndBackLeaveAWindowAndMakeNoneOfNone) {
  absl::TimeZone vienna;
  if (!LoadZone("Europe/Vienna", &vienna)) GTEST_SKIP() << "no table of zones here";
  const v1::Maintenance nights = Nights({}, "02:30", "04:00");
  // 29 March 2026: 02:30 does not exist, and 03:00 follows 02:00.
  const Window spring = Of(nights, "2026-03-29 00:00", vienna);
  EXPECT_EQ(spring.begin, Utc("2026-03-29 01:00"));
  EXPECT_EQ(spring.end, Utc("2026-03-29 02:00"));
  // 25 October 2026: 02:30 comes twice.
  const Window autumn = Of(nights, "2026-10-24 23:00", vienna);
  EXPECT_EQ(autumn.begin, Utc("2026-10-25 00:30"));
  EXPECT_EQ(autumn.end, Utc("2026-10-25 03:00"));
}

TEST(Windows, T5_TheYearDoesNotMatter) {
  for (const char* now : {"2038-01-19 03:14", "2106-02-07 06:28", "2100-02-28 23:59"}) {
    const std::optional<Window> window =
        NextWindow(Nights({}, "02:00", "02:00"), absl::UTCTimeZone(), Utc(now));
    ASSERT_TRUE(window);
    EXPECT_LE(window->begin - Utc(now), absl::Hours(24)) << now;
  }
}

constexpr char kNights[] =
    "  maintenance: {windows: [{name: nights, from: \"02:00\", to: \"05:00\"}]}\n";

class MaintenanceTest : public SystemTest {
 protected:
  // A node with windows that looks at its clock, which is synchronised.
  void Begin(const std::string& system, const std::string& now) {
    ASSERT_TRUE(Execute(Config(system)).ok());
    console_.config.set_staged_digest("sha256:aa");
    wall_clock_.Keep(Utc(now));
    Start();
  }
};

TEST_F(MaintenanceTest, AStagedConfigIsBroughtInForceByARebootInsideAWindow) {
  Begin(kNights, "2026-11-25 01:30");
  EXPECT_EQ(Status().maintenance(), "nights from 2026-11-25 02:00 UTC");
  Pass(absl::Minutes(29));
  EXPECT_EQ(platform_.reboots, 0);
  Pass(absl::Seconds(61));
  EXPECT_EQ(platform_.reboots, 1);
  EXPECT_EQ(Status().maintenance(), "nights until 2026-11-25 05:00 UTC");
}

TEST_F(MaintenanceTest, NothingStagedIsNoReason) {
  Begin(kNights, "2026-11-25 01:59");
  console_.config.clear_staged_digest();
  Pass(absl::Minutes(5));
  EXPECT_EQ(platform_.reboots, 0);
}

TEST_F(MaintenanceTest, ABootInsideAWindowIsTheOnlyOneOfIt) {
  Begin(kNights, "2026-11-25 02:10");  // up for two minutes
  Pass(absl::Minutes(5));
  EXPECT_EQ(platform_.reboots, 0);
}

TEST_F(MaintenanceTest, ANodeThatDoesNotKnowTheTimeWaits) {
  Begin(kNights, "2026-11-25 01:59");
  clock_.synced = false;
  Pass(absl::Minutes(5));
  EXPECT_EQ(platform_.reboots, 0);
  EXPECT_EQ(Status().maintenance(), "");
}

TEST_F(MaintenanceTest, WithoutWindowsAMachineNeverRebootsByItself) {
  Begin("", "2026-11-25 01:59");
  Pass(absl::Minutes(5));
  EXPECT_EQ(platform_.reboots, 0);
}

}  // namespace
}  // namespace basalt::system
