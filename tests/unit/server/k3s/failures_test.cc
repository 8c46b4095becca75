#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/k3s/join_failures.h"

namespace basalt::k3s {
namespace {

TEST(JoinFailures, EachOfK3sWordsHasItsCode) {
  const std::pair<const char*, const char*> cases[] = {
      {"level=error msg=\"failed to get CA certs: https://x/cacerts: 401 Unauthorized\"",
       "join-token-rejected"},
      {"level=error msg=\"token CA hash does not match the Cluster CA certificate hash: a != b\"",
       "join-ca-mismatch"},
      {"level=error msg=\"Node password rejected, duplicate hostname\"", "node-password-rejected"},
      {"level=error msg=\"dial tcp 10.0.0.1:6443: connect: connection refused\"",
       "server-unreachable"},
      {"level=fatal msg=\"bootstrap data already found and encrypted with different token\"",
       "token-changed"},
      {"level=fatal msg=\"flag provided but not defined: -x\"", "k3s-bad-flag"},
      {"level=fatal msg=\"starting kubernetes: preparing server: failed to validate server "
       "configuration: critical configuration value mismatch between servers\"",
       "cluster-flags-differ"},
      {"level=fatal msg=\"listen tcp :6443: bind: address already in use\"", "port-in-use"},
      {"level=fatal msg=\"write: no space left on device\"", "disk-full"}};
  for (const auto& [line, code] : cases) {
    ASSERT_TRUE(FindFailure(line).has_value()) << line;
    EXPECT_EQ(FindFailure(line)->code, code);
  }
  EXPECT_FALSE(FindFailure("level=info msg=\"k3s is up and running\"").has_value());
}

TEST(JoinFailures, TheNewestLineCounts) {
  EXPECT_EQ(FindFailure("connection refused\n401 Unauthorized\n")->code, "join-token-rejected");
  EXPECT_EQ(FindFailure("401 Unauthorized\nconnection refused\nx\n")->code, "server-unreachable");
}

TEST(JoinFailures, OneRefusalIsAwaitedTwoAreHopeless) {
  EXPECT_FALSE(FindFailure("401 Unauthorized\n")->hopeless);
  EXPECT_TRUE(FindFailure("401 Unauthorized\n401 Unauthorized\n")->hopeless);
  EXPECT_TRUE(FindFailure("level=fatal msg=\"flag provided but not defined: -x\"\n")->hopeless);
  EXPECT_FALSE(FindFailure("connection refused\nconnection refused\n")->hopeless);
}

TEST(JoinFailures, LinesAreRedactedAndHarmless) {
  std::vector<std::string> lines = LastLines("a\ntoken=secret-1234 \x1b[31m\nsecret-12345\n", 2,
                                             {"secret-1234", "secret-12345"});
  EXPECT_EQ(lines, (std::vector<std::string>{"token=(redacted) ?[31m", "(redacted)"}));
}

TEST(JoinFailures, FatalMessageIsTheLastOne) {
  EXPECT_EQ(
      FatalMessage("level=fatal msg=\"one\"\nlevel=info msg=\"x\"\nlevel=fatal msg=\"two\"\nbye\n"),
      "two");
  EXPECT_EQ(FatalMessage("nothing"), "");
}

}  // namespace
}  // namespace basalt::k3s
