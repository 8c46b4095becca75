#include <gtest/gtest.h>

#include <map>

#include "server/fetch/fetch_protocol.h"
#include "server/fetch/local_copy.h"

namespace basalt::fetch {
namespace {

TEST(FetchProtocol, ArgumentsSurviveTheCommandLine) {
  Arguments arguments{
      .limit = 100, .expected = 50, .stall_seconds = 7, .urls = {"https://a", "file:///b"}};
  EXPECT_EQ(FromArgv(ToArgv(arguments)), arguments);
}

TEST(FetchProtocol, NonsenseIsRefused) {
  for (const std::vector<std::string>& argv :
       std::vector<std::vector<std::string>>{{"f"},
                                             {"f", "1", "0", "5"},
                                             {"f", "x", "0", "5", "u"},
                                             {"f", "0", "0", "5", "u"},
                                             {"f", "10", "11", "5", "u"},
                                             {"f", "10", "-1", "5", "u"},
                                             {"f", "10", "5", "0", "u"},
                                             {"f", "9999999999999", "5", "5", "u"}}) {
    EXPECT_FALSE(FromArgv(argv).has_value());
  }
}

TEST(FetchProtocol, OutputIsReadLineByLine) {
  std::string output =
      "progress 1 10\nfailed artifact-stalled http://a: slow\nprogress 5 10\nerror disk-full "
      "cannot write\nprogress 9";
  EXPECT_EQ(LastProgress(output), (Progress{5, 10})) << "the last line is not complete";
  EXPECT_EQ(LastError(output), "cannot write");
  EXPECT_EQ(Attempts(output), std::vector<std::string>{"artifact-stalled http://a: slow"});
  EXPECT_EQ(FromIndex(output), -1);
  EXPECT_EQ(FromIndex("from 2\n"), 2);
  EXPECT_EQ(FromIndex("from -5\n"), -1);
  EXPECT_EQ(FromIndex("from 99999999999\n"), -1);
  EXPECT_FALSE(LastProgress("progress -1 5\nprogress 1 -5\n").has_value());
  EXPECT_FALSE(LastProgress("").has_value());
}

TEST(FetchProtocol, HowToAskSurvivesTheEnvironment) {
  const Asking asking{
      .method = "PUT", .headers = {"X-Token: a=b", "Metadata: true"}, .redirects = false};
  std::map<std::string, std::string> environment;
  for (const std::string& one : ToEnvironment(asking)) {
    environment[one.substr(0, one.find('='))] = one.substr(one.find('=') + 1);
  }
  const auto get = [&](const char* name) {
    auto it = environment.find(name);
    return it == environment.end() ? nullptr : it->second.c_str();
  };
  EXPECT_EQ(FromEnvironment(get), asking);
  environment.clear();
  EXPECT_EQ(FromEnvironment(get), Asking()) << "a plain download";
  environment["BASALT_FETCH_METHOD"] = "DELETE";
  EXPECT_EQ(FromEnvironment(get).method, "GET");
}

TEST(FetchProtocol, WhatAServerAnsweredIsRead) {
  EXPECT_EQ(HttpStatus("http 302\nhttp 404\nerror x y\n"), 404);
  EXPECT_EQ(HttpStatus("http 99999\n"), 0);
  EXPECT_EQ(HttpStatus(""), 0);
}

TEST(FetchProtocol, EveryExitHasAReason) {
  EXPECT_EQ(Reason(FromExit(11)), "artifact-too-large");
  EXPECT_EQ(Reason(FromExit(12)), "artifact-stalled");
  EXPECT_EQ(Reason(FromExit(13)), "artifact-redirect-loop");
  EXPECT_EQ(Reason(FromExit(14)), "disk-full");
  EXPECT_EQ(Reason(FromExit(127)), "artifact-download-failed");
}

TEST(LocalPath, IsDecodedAndNothingElseIsTaken) {
  EXPECT_EQ(LocalPath("file:///a%20b"), "/a b");
  EXPECT_EQ(LocalPath("file://localhost/a"), "/a");
  for (const char* bad :
       {"file://host/a", "http://a", "file:///a%", "file:///a%zz", "file:///a%00b"}) {
    EXPECT_EQ(LocalPath(bad), "") << bad;
  }
}

}  // namespace
}  // namespace basalt::fetch
