// The clock: who keeps it, who waits for it, and lies about it.
#include <gmock/gmock.h>

#include "server/controllers/system/chrony.h"
#include "server/controllers/system/time_keeper.h"
#include "tests/unit/server/controllers/system/system_testing.h"

namespace basalt::system {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class TimeTest : public SystemTest {
 protected:
  TimeTest() { clock_.synced = false; }
  absl::string_view StateOf(const char* name) {
    const host::ServiceStatus* status = supervisor_.Status(name);
    return status == nullptr ? "none" : host::ToString(status->state);
  }
};

const char kTwo[] =
    "  time: {servers: [{address: a.example.org}, {address: b.example.org, nts: true}]}\n";

TEST(Chrony, ThePoolIsAskedWhenNobodySaysWhom) {
  EXPECT_THAT(SourcesOf({}, {}).Names(),
              ElementsAre("0.pool.ntp.org", "1.pool.ntp.org", "2.pool.ntp.org", "3.pool.ntp.org"));
  EXPECT_THAT(SourcesOf({}, {"192.0.2.1"}).Names(), ElementsAre("192.0.2.1"));
  v1::TimeSync time;
  time.add_servers()->set_address("ntp.example.org");
  EXPECT_THAT(SourcesOf(time, {"192.0.2.1"}).Names(), ElementsAre("ntp.example.org"));
}

TEST(Chrony, TheConfigOpensNothingAndKeepsNothingOnDisk) {
  const std::string text = RenderChrony(SourcesOf({}, {}), "/run/chrony", "/etc/ca.crt");
  EXPECT_EQ(text,
            "# Written by noded from system.time.\n"
            "server 0.pool.ntp.org iburst\nserver 1.pool.ntp.org iburst\n"
            "server 2.pool.ntp.org iburst\nserver 3.pool.ntp.org iburst\n"
            "authselectmode mix\nminsources 2\nmakestep 1 3\nmaxchange 3600 3 -1\nrtcsync\n"
            "cmdport 0\nbindcmdaddress /\nuser _chrony\nntsdumpdir /run/chrony\n"
            "pidfile /run/chrony/chronyd.pid\ndriftfile /run/chrony/drift\n");
}

TEST(Chrony, ServersThatProveWhoTheyAreAreAskedSo) {
  v1::TimeSync time;
  v1::TimeServer& server = *time.add_servers();
  server.set_address("time.example.org");
  server.set_nts(true);
  const std::string text = RenderChrony(SourcesOf(time, {}), "/run/chrony", "/run/ca.crt");
  EXPECT_THAT(text, HasSubstr("server time.example.org iburst nts\nauthselectmode require\n"
                              "minsources 1\n"));
  EXPECT_THAT(text, HasSubstr("nosystemcert\nntstrustedcerts /run/ca.crt\nnocerttimecheck 1\n"));
}

TEST_F(TimeTest, TheClockIsKeptBeforeThereIsAConfigToo) {
  Start();
  EXPECT_EQ(StateOf(kTimeService), "running");
  EXPECT_THAT(File(kChronyConfig), HasSubstr("0.pool.ntp.org"));
}

TEST_F(TimeTest, T4_K3sWaitsForAClockThatIsSynchronisedAndStatusSaysForWhom) {
  ASSERT_TRUE(Execute(Config(kTwo)).ok());
  Start();
  EXPECT_FALSE(controller_->UnsyncedAllowed());
  EXPECT_THAT(ConditionOf("TimeSynced").message,
              HasSubstr("waiting for an answer of a.example.org, b.example.org (NTS)"));
  EXPECT_EQ(ConditionOf("TimeSynced").code, "time-unsynced");
  Pass(absl::Minutes(10));
  EXPECT_FALSE(controller_->UnsyncedAllowed());
  EXPECT_THAT(ConditionOf("TimeSynced").message, HasSubstr("no time server has answered in 2m"));
  wall_clock_.Keep(clock_.Now());
  Pass(absl::Seconds(2));
  EXPECT_TRUE(ConditionOf("TimeSynced").holds);
  EXPECT_EQ(Status().clock(), "synchronised");
  EXPECT_TRUE(Status().clock_authenticated());
}

TEST_F(TimeTest, T4_AllowUnsyncedLetsK3sStartAfterItsTimeoutAndNotBefore) {
  const v1::MachineConfig config = Config("  time: {allowUnsynced: true, bootTimeout: 5m}\n");
  ASSERT_TRUE(Execute(config).ok());
  Start();
  EXPECT_FALSE(controller_->UnsyncedAllowed());
  Pass(absl::Minutes(5));
  EXPECT_TRUE(controller_->UnsyncedAllowed());
  EXPECT_EQ(ConditionOf("TimeSynced").type, "");  // not asked for
  EXPECT_EQ(controller_->Deadline(config, "TimeSynced"), absl::Minutes(5));
}

TEST_F(TimeTest, T1_TheClockIsNotBeforeTheNewestAcceptedDocument) {
  clock_.SetNow(absl::FromUnixSeconds(86400));  // 1970-01-02, no clock in the machine
  ASSERT_TRUE(Execute(Config("", "n1", "2026-11-24T05:00:00Z")).ok());
  EXPECT_EQ(clock_.Now(), absl::FromUnixSeconds(1795496400));
  const absl::Time later = clock_.Now() + absl::Hours(5);
  clock_.SetNow(later);
  ASSERT_TRUE(Execute(Config("", "n1", "2026-11-24T05:00:00Z")).ok());
  EXPECT_EQ(clock_.Now(), later);  // never back
}

TEST_F(TimeTest, T3_ATimeTwentyYearsAheadIsNotBelievedAndTheServersAreAskedAgain) {
  ASSERT_TRUE(Execute(Config(kTwo)).ok());
  Start();
  const absl::Time truth = clock_.Now();
  wall_clock_.Keep(truth + absl::Hours(24 * 7305));
  EXPECT_EQ(Status().clock(), "unlikely");
  Pass(absl::Seconds(4));
  EXPECT_FALSE(ConditionOf("TimeSynced").holds);
  EXPECT_EQ(ConditionOf("TimeSynced").code, "time-unlikely");
  EXPECT_EQ(StateOf(kTimeService), "stopped");  // and not started yet
  EXPECT_LT(clock_.Now(), truth + absl::Hours(1));
  const size_t starts = supervisor_.started().size();
  Pass(TimeKeeper::kAskAgain + absl::Seconds(2));
  EXPECT_EQ(supervisor_.started().size(), starts + 1);
  wall_clock_.Keep(truth + absl::Minutes(3));  // an honest answer
  Pass(absl::Seconds(2));
  EXPECT_TRUE(ConditionOf("TimeSynced").holds);
}

// Second by second over what has broken clocks: 2038, 2106, a leap second. The floor, the likely
// times and the deadlines do not care.
TEST_F(TimeTest, T5_NoDateIsSpecial) {
  for (const int64_t unix : {int64_t{2147483647}, int64_t{2147483648}, int64_t{4294967295},
                             int64_t{4294967296}, int64_t{1483228799}, int64_t{1483228800}}) {
    const absl::Time date = absl::FromUnixSeconds(unix);
    EXPECT_TRUE(host::IsLikely(date, date - absl::Hours(24)));
    EXPECT_TRUE(host::IsLikely(date, date));
    EXPECT_FALSE(host::IsLikely(date - absl::Seconds(1), date));
    EXPECT_FALSE(host::IsLikely(date + absl::Hours(24 * 3654), date));
    if (unix < 1795500000) continue;  // before this release
    clock_.SetNow(date - absl::Seconds(1));
    ASSERT_TRUE(
        Execute(Config("", "n1", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", date, absl::UTCTimeZone())))
            .ok());
    EXPECT_EQ(clock_.Now(), date);
  }
}

TEST_F(TimeTest, OtherServersHaveToAnswerBeforeTheClockCountsAgain) {
  ASSERT_TRUE(Execute(Config(kTwo)).ok());
  Start();
  wall_clock_.Keep(clock_.Now());
  ASSERT_TRUE(ConditionOf("TimeSynced").holds);
  ASSERT_TRUE(Execute(Config("  time: {servers: [{address: c.example.org}]}\n")).ok());
  Pass(absl::Seconds(2));
  EXPECT_THAT(File(kChronyConfig), HasSubstr("c.example.org"));
  EXPECT_EQ(supervisor_.started().size(), 2u);
  EXPECT_FALSE(ConditionOf("TimeSynced").holds);  // the gate waits, and goes back at its deadline
}

TEST_F(TimeTest, ServersOfALeaseAreAskedWhereTheConfigNamesNone) {
  ASSERT_TRUE(Execute(Config("")).ok());
  Start();
  ASSERT_TRUE(vfs_.MakeDirs("run/dhcp").ok());
  ASSERT_TRUE(vfs_.ReplaceVolatile("run/dhcp/eth0.lease",
                                   "interface eth0\nservers 192.0.2.1\ntime 192.0.2.7 evil;x "
                                   "2001:db8::7\n")
                  .ok());
  Pass(absl::Seconds(4));
  EXPECT_THAT(File(kChronyConfig),
              HasSubstr("\nserver 192.0.2.7 iburst\nserver 2001:db8::7 iburst\nauthselect"));
  EXPECT_EQ(supervisor_.started().size(), 2u);
  ASSERT_TRUE(Execute(Config(kTwo)).ok());
  EXPECT_THAT(File(kChronyConfig), Not(HasSubstr("192.0.2.7")));
}

TEST_F(TimeTest, ANewNodedLeavesTheKeeperAlone) {
  ASSERT_TRUE(Execute(Config(kTwo)).ok());
  wall_clock_.Keep(clock_.Now());
  Restart();
  ASSERT_TRUE(Execute(Config(kTwo)).ok());
  Start();
  EXPECT_EQ(supervisor_.started().size(), 1u);
  EXPECT_TRUE(ConditionOf("TimeSynced").holds);
}

TEST_F(TimeTest, AKeeperThatCannotBeStartedIsSaidAndTriedAgain) {
  supervisor_.FailNext(testing::FakeSupervisor::Op::kStart, absl::UnavailableError("no memory"));
  ASSERT_TRUE(Execute(Config(kTwo)).ok());
  EXPECT_EQ(ConditionOf("TimeSynced").code, "time-service-failed");
  EXPECT_THAT(ConditionOf("TimeSynced").message, HasSubstr("no memory"));
  Start();
  Pass(absl::Seconds(2));
  EXPECT_EQ(StateOf(kTimeService), "running");
  EXPECT_EQ(ConditionOf("TimeSynced").code, "time-unsynced");
}

}  // namespace
}  // namespace basalt::system
