// The page on the screen: what stands there, when it is written, and what never gets there.
#include "server/controllers/system/console.h"

#include <gmock/gmock.h>

#include "absl/strings/str_split.h"
#include "server/controllers/system/qr_code.h"
#include "tests/unit/server/controllers/system/system_testing.h"

namespace basalt::system {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ConsoleFacts Facts() {
  ConsoleFacts facts;
  facts.machine.set_stage("running");
  facts.machine.set_name("pi-1");
  facts.machine.set_cluster("home");
  facts.machine.set_machine_id("7f000001" + std::string(56, 'a'));
  facts.machine.set_version("0.1.0");
  facts.machine.set_architecture("amd64");
  facts.config.set_generation(20261124060000);
  facts.addresses = {"192.0.2.20:6050", "[2001:db8::20]:6050"};
  facts.serial = "C02ABC";
  facts.clock = "synchronised";
  return facts;
}

// The vectors of arXiv:0901.4016.
TEST(Console, WordsAreThoseOfTheirPaper) {
  EXPECT_EQ(Words("7f000001", 8), "lusab babad");
  EXPECT_EQ(Words("3f54dcc1", 8), "gutih tugad");
  EXPECT_EQ(Words("d82344d7XX00", 8), "tobog higil");
  EXPECT_EQ(Words(std::string(64, '0'), 3), "babab babab babab");
}

TEST(Console, ThePageSaysWhoWhereAndHow) {
  EXPECT_EQ(RenderPage(Facts()),
            "\n"
            "  node        pi-1 in home\n"
            "  state       running, generation 20261124060000\n"
            "  address     192.0.2.20:6050 [2001:db8::20]:6050\n"
            "  serial      C02ABC\n"
            "  fingerprint 7f000001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
            "  in words    lusab babad popop popop popop popop popop popop\n"
            "  clock       synchronised\n"
            "  basalt      0.1.0 amd64\n");
}

TEST(Console, WhatIsWrongStandsThereWithItsCode) {
  ConsoleFacts facts = Facts();
  v1::Condition& alarm = *facts.machine.add_conditions();
  alarm.set_type("JournalDamaged");
  alarm.set_holds(true);
  alarm.set_alarm(true);
  alarm.set_message("one record was skipped");
  v1::Condition& fine = *facts.machine.add_conditions();
  fine.set_type("K3sReady");
  fine.set_holds(true);
  facts.config.set_last_error("K3s was not ready in time");
  facts.config.set_last_error_code("k3s-not-ready");
  const std::string page = RenderPage(facts);
  EXPECT_THAT(page, HasSubstr("  not well    JournalDamaged: one record was skipped\n"));
  EXPECT_THAT(page, HasSubstr("  last error  K3s was not ready in time [k3s-not-ready]\n"));
  EXPECT_THAT(page, Not(HasSubstr("K3sReady")));
}

TEST(Console, P6_NothingThatATerminalWouldObeyAndNoLineTooLong) {
  ConsoleFacts facts = Facts();
  facts.config.set_last_error(
      "\x1b[2J\x07 evil\nroot \xc2\x9b"
      "1m " +
      std::string(500, 'x'));
  facts.machine.set_name("\x1b]0;title\x07");
  const std::string page = RenderPage(facts);
  EXPECT_THAT(page, Not(HasSubstr("\x1b")));
  EXPECT_THAT(page, Not(HasSubstr("\x07")));
  EXPECT_THAT(page, Not(HasSubstr("\xc2\x9b")));
  int lines = 0;
  for (absl::string_view line : absl::StrSplit(page, '\n')) {
    EXPECT_LE(line.size(), 80u);
    ++lines;
  }
  EXPECT_LE(lines, 25);
}

TEST(Console, P6_OnlyAsciiReachesATerminal) {
  EXPECT_EQ(host::Plain("na\xc3\xafve \xe2\x80\xa6 \x9b"
                        "2J \xc2\xc2 x\tend"),
            "na?ve ? 2J ?? x end");
}

TEST(Console, TheSerialPortIsTheLastConsoleThatIsNoScreen) {
  EXPECT_EQ(host::SerialConsole("tty0 ttyS0\n"), "/dev/ttyS0");
  EXPECT_EQ(host::SerialConsole("ttyAMA0 tty0"), "/dev/ttyAMA0");
  EXPECT_EQ(host::SerialConsole("hvc0"), "/dev/hvc0");
  EXPECT_EQ(host::SerialConsole("tty0"), "");
  EXPECT_EQ(host::SerialConsole("../../etc/passwd"), "");
}

TEST_F(SystemTest, ThePageIsShownBeforeThereIsAConfigAndAgainOnlyWhenItChanges) {
  console_.machine.set_stage("maintenance");
  Start();
  ASSERT_EQ(screen_.pages.size(), 1u);
  EXPECT_THAT(screen_.pages[0], HasSubstr("no config yet"));
  Pass(absl::Minutes(5));
  EXPECT_EQ(screen_.pages.size(), 1u);
  console_ = Facts();
  Pass(ConsoleKeeper::kLookEvery);
  ASSERT_EQ(screen_.pages.size(), 2u);
  EXPECT_THAT(screen_.pages[1], HasSubstr("pi-1 in home"));
}

TEST_F(SystemTest, TheScreenOfAMachineThatIsReachedHasItsAddressAsAPicture) {
  console_ = Facts();
  console_.note = "a node is installed on /dev/vda already";
  Start();
  EXPECT_THAT(screen_.pages.back(), HasSubstr("  install     a node is installed on /dev/vda"));
  EXPECT_EQ(
      screen_.last_picture,
      QrLines(*MakeQrCode("basalt://" + console_.machine.machine_id() + "@192.0.2.20:6050"), 1));
  console_.addresses.clear();
  Pass(ConsoleKeeper::kLookEvery);
  EXPECT_EQ(screen_.last_picture, "");
}

TEST_F(SystemTest, AScreenThatIsNotWantedIsEmptyAndOneThatIsRestsInTime) {
  Start();
  ASSERT_TRUE(Execute(Config("  console: {status: false, blankAfter: 10m}\n")).ok());
  EXPECT_EQ(screen_.pages.back(), "");
  EXPECT_EQ(screen_.blank, absl::Minutes(10));
  const size_t pages = screen_.pages.size();
  Pass(absl::Minutes(5));
  EXPECT_EQ(screen_.pages.size(), pages);
  ASSERT_TRUE(Execute(Config("")).ok());
  Pass(ConsoleKeeper::kLookEvery);
  EXPECT_EQ(screen_.pages.size(), pages + 1);
  EXPECT_EQ(screen_.blank, absl::ZeroDuration());
}

TEST_F(SystemTest, AMachineWithoutAScreenIsAsGoodAsOneWithIt) {
  screen_.status = absl::NotFoundError("no tty");
  Start();
  EXPECT_TRUE(Execute(Config("")).ok());
  EXPECT_TRUE(ConditionOf("KernelConfigured").holds);
}

}  // namespace
}  // namespace basalt::system
