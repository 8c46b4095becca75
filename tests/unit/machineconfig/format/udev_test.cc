#include "machineconfig/format/udev.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace basalt::format {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(UdevRules, AreReadAsPeopleWriteThem) {
  const UdevRules rules = ParseUdevRules(
      "# sticks\n"
      "\n"
      "SUBSYSTEM==\"tty\", ATTRS{idVendor}==\"10c4\", \\\n"
      "  SYMLINK+=\"zigbee\", MODE:=\"0660\" GROUP=\"20\"\n"
      "KERNEL!=\"sd*\",ENV{ID}=\"a \\\"b\\\"\"\n");
  EXPECT_THAT(rules.faults, IsEmpty());
  ASSERT_THAT(rules.lines, SizeIs(2));
  EXPECT_EQ(rules.lines[0].line, 3);
  ASSERT_THAT(rules.lines[0].terms, SizeIs(5));
  EXPECT_EQ(rules.lines[0].terms[1], (UdevTerm{"ATTRS", "idVendor", UdevTerm::Op::kEqual, "10c4"}));
  EXPECT_EQ(rules.lines[0].terms[2], (UdevTerm{"SYMLINK", "", UdevTerm::Op::kAdd, "zigbee"}));
  EXPECT_EQ(rules.lines[1].line, 5);
  EXPECT_EQ(rules.lines[1].terms[1].value, "a \"b\"");
}

TEST(UdevRules, WhatIsNotDoneHereIsRefusedByItsLine) {
  struct Case {
    const char* rule;
    const char* message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"KERNEL==\"a\", RUN+=\"/bin/sh\"", "`RUN` starts a program"},
           {"KERNEL==\"a\", RUN{builtin}+=\"kmod\"", "`RUN` starts a program"},
           {"PROGRAM==\"/bin/true\", SYMLINK=\"x\"", "`PROGRAM` starts a program"},
           {"KERNEL==\"a\", IMPORT{file}=\"/etc/x\"", "`IMPORT`"},
           {"SUBSYSTEM==\"net\", NAME=\"lan0\"", "network.interfaces"},
           {"KERNEL==\"a\", GOTO=\"end\"", "`GOTO`"},
           {"KERNEL==\"a\", ATTR{power/control}=\"on\"", "compared, not set"},
           {"SYMLINK==\"x\", MODE=\"660\"", "set, not compared"},
           {"KERNEL==\"a\", MODE=\"4755\"", "octal"},
           {"KERNEL==\"a\", MODE=\"rw\"", "octal"},
           {"KERNEL==\"a\", GROUP=\"dialout\"", "is a number here"},
           {"KERNEL==\"a\", SYMLINK+=x", "double quotes"},
           {"KERNEL==\"a\", SYMLINK+=\"x", "closing quote"},
           {"KERNEL==\"a\", ATTR{x==\"1\", MODE=\"660\"", "no closing brace"},
           {"KERNEL==\"a\", ATTRS{../x}==\"1\", MODE=\"660\"", "leads out of the device"},
           {"KERNEL==\"a\", ATTR==\"1\", MODE=\"660\"", "wants a name in braces"},
           {"KERNEL==\"a\", WHAT==\"1\", MODE=\"660\"", "no key that is known here"},
           {"KERNEL==\"a\"", "changes nothing"},
           {"MODE=\"666\"", "of every device"},
           {"kernel==\"a\", MODE=\"660\"", "a key is missing"}}) {
    const UdevRules rules = ParseUdevRules(std::string("# first\n") + c.rule);
    ASSERT_THAT(rules.faults, SizeIs(1)) << c.rule;
    EXPECT_EQ(rules.faults[0].line, 2) << c.rule;
    EXPECT_THAT(rules.faults[0].message, HasSubstr(c.message)) << c.rule;
    EXPECT_THAT(rules.lines, IsEmpty()) << c.rule;
  }
}

TEST(UdevMatches, AsUdevDoes) {
  for (const auto& [pattern, text] :
       std::vector<std::pair<const char*, const char*>>{{"sd*", "sda"},
                                                        {"sd[a-c]", "sdb"},
                                                        {"sd[!a]", "sdb"},
                                                        {"tty?", "ttyS"},
                                                        {"a|b|c", "b"},
                                                        {"*", ""},
                                                        {"", ""},
                                                        {"a*b*c", "aXbYc"},
                                                        {"[]]", "]"},
                                                        {"[", "["}}) {
    EXPECT_TRUE(UdevMatches(pattern, text)) << pattern << " " << text;
  }
  for (const auto& [pattern, text] : std::vector<std::pair<const char*, const char*>>{
           {"sd?", "sd"}, {"sd[!a]", "sda"}, {"a|b", "ab"}, {"a*c", "ab"}, {"", "a"}}) {
    EXPECT_FALSE(UdevMatches(pattern, text)) << pattern << " " << text;
  }
  // Not one path of exponentially many.
  EXPECT_FALSE(UdevMatches(std::string(60, '*') + "a*b*c*d", std::string(4000, 'a')));
}

TEST(DeviceLink, StaysBelowDev) {
  for (const char* name : {"zigbee", "disk/by-id/ata-X_1-part2", "a.b:c=d@e#f+g"}) {
    EXPECT_TRUE(IsDeviceLink(name)) << name;
  }
  for (const char* name :
       {"", "/etc/x", "../x", "a/../b", "a//b", "a/", "a b", "a\x1b", "a;b", "."}) {
    EXPECT_FALSE(IsDeviceLink(name)) << name;
  }
  EXPECT_FALSE(IsDeviceLink(std::string(129, 'a')));
}

}  // namespace
}  // namespace basalt::format
