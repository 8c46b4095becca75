// The command line of noded.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "server/options.h"

namespace basalt {
namespace {

absl::StatusOr<CommandLine> Parse(std::vector<std::string> args) {
  return ParseCommandLine(args, "/opt/bin", "/home/me");
}

std::vector<std::string> Serve(std::vector<std::string> more) {
  std::vector<std::string> args = {"serve", "--platform", "sandbox",    "--root",
                                   "n1/",   "--listen",   "127.0.0.1:0"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

TEST(NodedOptions, PathsAreAbsoluteAndProgramsLieBesideNoded) {
  auto line = Parse(Serve({"--trust=lab/trust.json"}));
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->serve.root, "/home/me/n1");
  EXPECT_EQ(line->serve.trust, "/home/me/lab/trust.json");
  EXPECT_EQ(line->serve.init_program, "/opt/bin/noded-init");
  EXPECT_EQ(line->serve.fetch_program, "/opt/bin/noded-fetch");
  EXPECT_EQ(line->serve.wire_program, "/opt/bin/noded-wire");
}

TEST(NodedOptions, WhatNodedInitIsToldMeansTheSame) {
  auto line = Parse(Serve({"--trust", "t.json"}));
  ASSERT_TRUE(line.ok());
  auto again = ParseCommandLine(ToArguments(line->serve), "/elsewhere", "/");
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->serve, line->serve);
}

TEST(NodedOptions, MetalOwnsTheMachineAndNeedsToBeToldNothing) {
  auto line = ParseCommandLine({"serve", "--platform=metal"}, "/usr/bin", "/");
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->serve.root, "/");
  EXPECT_EQ(line->serve.listen, ":6050");
  EXPECT_EQ(line->serve.trust, "/run/trust.json");
  EXPECT_EQ(line->serve.fetch_program, "/usr/bin/noded-fetch");
  EXPECT_EQ(Parse({"serve", "--platform", "metal", "--listen", "[::1]:1"})->serve.listen,
            "[::1]:1");
}

TEST(NodedOptions, HelpIsAnsweredWhereverItStands) {
  EXPECT_EQ(Parse({"--help"})->command, Command::kHelp);
  EXPECT_EQ(Parse({"serve", "--root", "x", "--help"})->command, Command::kHelp);
  EXPECT_EQ(Parse({"version"})->command, Command::kVersion);
}

TEST(NodedOptions, AMistakeIsNamed) {
  struct Case {
    std::vector<std::string> args;
    const char* says;
  };
  for (const Case& c : std::vector<Case>{
           {{}, "a command is missing"},
           {{"server"}, "unknown command `server`"},
           {{"serve"}, "--platform is missing"},
           {Serve({"--platform", "cloud"}), "this build knows: sandbox, metal, container"},
           {Serve({"--platform", "metal"}), "takes no --root"},
           {{"serve", "--platform", "metal", "--own-namespaces"}, "no --own-namespaces"},
           {Serve({"--rood", "x"}), "unknown flag --rood"},
           {Serve({"--trust"}), "--trust wants a value"},
           {Serve({"--trust="}), "not empty"},
           {Serve({"--root", "/"}), "the whole machine"},
           {Serve({"--root", "/.."}), "the whole machine"},
           {Serve({"--listen", "127.0.0.1"}), "wants ADDRESS:PORT"},
           {Serve({"--listen", "127.0.0.1:65536"}), "wants ADDRESS:PORT"},
           {{"serve", "--platform", "sandbox", "--listen", "a:1"}, "--root DIR is missing"},
           {{"serve", "--platform", "sandbox", "--root", "x"},
            "--listen ADDRESS:PORT is missing"}}) {
    auto line = Parse(c.args);
    ASSERT_FALSE(line.ok()) << c.says;
    EXPECT_TRUE(absl::StrContains(line.status().message(), c.says)) << line.status();
  }
}

}  // namespace
}  // namespace basalt
