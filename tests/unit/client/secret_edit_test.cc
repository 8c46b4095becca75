#include "client/commands/secret_edit.h"

#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/coded_status.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kText[] = "-----BEGIN-----\nYWdl\n-----END-----\n";

std::string Edited(absl::string_view text, const std::string& path = "k3s.token") {
  auto after = EditSecret(text, "f", path, kText);
  EXPECT_TRUE(after.ok()) << after.status();
  return after.value_or("");
}

std::string Sealed(const std::string& pad) {
  return absl::StrCat("!sealed |\n", pad, "-----BEGIN-----\n", pad, "YWdl\n", pad,
                      "-----END-----\n");
}

TEST(SecretEdit, ReplacesOnlyItsLines) {
  EXPECT_EQ(Edited("# mine\nk3s:\n  role: server  # the first\n\n  # from the vault\n"
                   "  token: s3cr3t\n\n  # the rest\n  agentToken: other\n# end\n"),
            "# mine\nk3s:\n  role: server  # the first\n\n  # from the vault\n  token: " +
                Sealed("    ") + "\n  # the rest\n  agentToken: other\n# end\n");
}

TEST(SecretEdit, LeavesNoPartOfAnOldValueBehindAndKeepsItsComment) {
  struct Case {
    const char* old;
    const char* comment;  // kept behind the bar
  };
  const Case cases[] = {
      {"token: s3cr3t", ""},
      {"token: s3cr3t # keep", " # keep"},
      {"token: s3cr3t#s3cr3t # keep", " # keep"},
      {"token: \"s3cr3t #s3cr3t\"", ""},
      {"token: \"s3cr3t \\\" #s3cr3t\" # keep", " # keep"},
      {"token: 's3cr3t '' #s3cr3t'  # keep", "  # keep"},
      {"token: 's3cr3t\n    #s3cr3t'", ""},
      {"token: \"s3cr3t\n\n    # s3cr3t\"", ""},
      {"token:\n    s3cr3t", ""},
      {"token: # keep\n    s3cr3t\n    s3cr3t", " # keep"},
      {"token: s3cr3t\n    s3cr3t\n\n    s3cr3t", ""},
      {"token: | # keep\n    s3cr3t\n    # s3cr3t\n\n    #s3cr3t", " # keep"},
      {"token: |-\n    s3cr3t", ""},
      {"token: >2\n     s3cr3t\n    # s3cr3t", ""},
      {"token: !sealed |\n    s3cr3t\n    # s3cr3t", ""},
      {"token: !sealed \"s3cr3t\"", ""},
  };
  for (const Case& one : cases) {
    const std::string after =
        Edited(absl::StrCat("k3s:\n  role: server\n  ", one.old, "\n\n  # next\n  version: v1\n"));
    std::string block = Sealed("    ");
    block.insert(block.find('\n'), one.comment);
    EXPECT_EQ(after,
              absl::StrCat("k3s:\n  role: server\n  token: ", block, "\n  # next\n  version: v1\n"))
        << one.old;
    EXPECT_THAT(after, Not(HasSubstr("s3cr3t")));
  }
}

TEST(SecretEdit, TwiceIsTheSame) {
  const std::string once = Edited("k3s:\n  token: x\n  role: server\n");
  EXPECT_EQ(Edited(once), once);
}

TEST(SecretEdit, AddsInTheOrderOfTheSchema) {
  EXPECT_EQ(Edited("k3s:\n    role: server\n    tlsSans:\n    - a\n    - b\n\n# next\napi: {}\n"),
            "k3s:\n    role: server\n    token: " + Sealed("      ") +
                "    tlsSans:\n    - a\n    - b\n\n# next\napi: {}\n");
  EXPECT_EQ(Edited("k3s:\n  role: server"), "k3s:\n  role: server\n  token: " + Sealed("    "));
  EXPECT_EQ(
      Edited("k3s:\n  datastore:\n    endpoint: x\n  role: server\n", "k3s.datastore.key"),
      "k3s:\n  datastore:\n    endpoint: x\n    key: " + Sealed("      ") + "  role: server\n");
}

TEST(SecretEdit, ElementsOfListsAreFoundByName) {
  const std::string head = "k3s:\n  registries:\n    configs:\n";
  const std::string before = head +
                             "      - name: ghcr.io\n        password: old\n"
                             "      - password: s3cr3t\n        name: docker.io\n";
  const std::string pad(10, ' ');
  EXPECT_EQ(Edited(before, "k3s.registries.configs[ghcr.io].password"),
            head + "      - name: ghcr.io\n        password: " + Sealed(pad) +
                "      - password: s3cr3t\n        name: docker.io\n");
  EXPECT_EQ(Edited(before, "k3s.registries.configs[docker.io].password"),
            head + "      - name: ghcr.io\n        password: old\n      - password: " +
                Sealed(pad) + "        name: docker.io\n");
  EXPECT_EQ(Edited(before, "k3s.registries.configs[docker.io].token"),
            head + "      - name: ghcr.io\n        password: old\n      - password: s3cr3t\n" +
                "        token: " + Sealed(pad) + "        name: docker.io\n");
}

TEST(SecretEdit, WhatCannotBeEditedIsLeftAloneAndTheLinesToPasteAreNamed) {
  for (const char* text : {"? k3s\n: token: x\n", "api: {}\n"}) {
    auto after = EditSecret(text, "f", "k3s.token", kText);
    EXPECT_EQ(api::Reason(after.status()), "cannot-edit") << text;
    EXPECT_THAT(api::Hint(after.status()),
                HasSubstr("yourself, or add what is missing and try again:\n  k3s:\n"
                          "    token: !sealed |\n      -----BEGIN-----\n"));
  }
  auto missing =
      EditSecret("k3s:\n  role: server\n", "f", "k3s.registries.configs[x].password", kText);
  EXPECT_EQ(api::Reason(missing.status()), "cannot-edit");
  EXPECT_EQ(api::Detail(missing.status(), "path"), "k3s.registries.configs[x].password");
  EXPECT_THAT(api::Hint(missing.status()),
              HasSubstr("      configs:\n        - name: x\n          password: !sealed |\n"));
}

TEST(SecretEdit, FlowStyleAndQuotedNamesAreEditedAsTheyStand) {
  const std::string sealed = "!sealed \"-----BEGIN-----\\nYWdl\\n-----END-----\\n\"";
  EXPECT_EQ(Edited("k3s: {token: x}  # it\n"), "k3s: {token: " + sealed + "}  # it\n");
  EXPECT_EQ(Edited("k3s: {\n  role: server\n}\n"),
            "k3s: {\n  role: server, token: " + sealed + "\n}\n");
  EXPECT_EQ(Edited("k3s:\n  \"token\": x\n"), "k3s:\n  \"token\": " + Sealed("    "));
}

TEST(SecretEdit, PathThatIsNoSecretIsRefusedWithTheNearest) {
  for (const char* path :
       {"k3s.token", "k3s.datastore.endpoint", "k3s.registries.configs[a.b].password",
        "k3s.registries.configs[a\\]b].token", "k3s.manifests[x].content"}) {
    EXPECT_TRUE(CheckSecretPath(path).ok()) << path;
  }
  for (const char* path :
       {"", "k3s", "k3s.role", "k3s.tokens", "token", "k3s.registries.configs.password",
        "k3s.registries.configs[x]", "k3s.token.plain"}) {
    EXPECT_EQ(api::Reason(CheckSecretPath(path)), "not-a-secret") << path;
  }
  EXPECT_THAT(api::Hint(CheckSecretPath("k3s.tokens")), HasSubstr("did you mean `k3s.token`?"));
  EXPECT_THAT(api::Hint(CheckSecretPath("zzz")), HasSubstr("k3s.nodePassword"));
}

TEST(SecretEdit, FileThatCannotBeReadIsAnErrorWithItsLine) {
  auto after = EditSecret("k3s:\n  rolle: server\n", "f", "k3s.token", kText);
  EXPECT_THAT(after.status().ToString(), HasSubstr("f:2:3: k3s.rolle"));
}

}  // namespace
}  // namespace basalt::client
