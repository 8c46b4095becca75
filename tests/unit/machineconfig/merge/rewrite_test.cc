#include "machineconfig/merge/rewrite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/coded_status.h"
#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/merge/patch.h"
#include "machineconfig/yaml/decode.h"

namespace basalt::merge {
namespace {

using ::testing::HasSubstr;

// The text after `patch`; the error as text when it cannot be.
std::string Patched(const std::string& text, const std::string& patch) {
  v1::MachineConfig config;
  const yaml::DecodeResult read = yaml::Decode(text, "n1.yaml", config);
  if (!read.ok()) return "cannot read: " + read.errors[0].ToString();
  if (absl::Status s = Patch(patch, "patch", config); !s.ok()) return s.ToString();
  absl::StatusOr<std::string> out = Rewrite(text, "n1.yaml", config);
  return out.ok() ? *out : out.status().ToString();
}

constexpr char kFile[] = R"(# What n1 is.
# yaml-language-server: $schema=./basalt.schema.json

apiVersion: basalt/v1   # the only one
kind: MachineConfig
metadata:
    cluster: home
    name: n1          # the lab's first
    labels: {site: lab, rack: "1"}

k3s:
    # A server until the second is there.
    role: server
    version: v1.30.4+k3s1
    tlsSans: [n1.lan, 10.0.0.1]   # what people type
    # Secrets.
    token: |   # keep
        one
        two
    config:
        disable:
        - traefik   # nginx is here
        - servicelb
        # more to come
        write-kubeconfig-mode: "0600"
    env:
        # The proxy of the house.
        - name: HTTPS_PROXY
          value: http://p:3128

        - value: a
          name: NO_PROXY   # last

    # hardening:
    #     secretsEncryption: true

# the end
)";

struct Case {
  const char* name;
  const char* patch;
  // Lines that go and lines that come, with "-" and "+" before them as `diff` has it.
  const char* change;
};

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> out(1);
  for (char c : text) {
    if (c == '\n') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

// The lines that differ, by the longest common subsequence.
std::string LineDiff(const std::string& before, const std::string& after) {
  const std::vector<std::string> a = Lines(before), b = Lines(after);
  std::vector<std::vector<int>> length(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = a.size(); i-- > 0;) {
    for (size_t j = b.size(); j-- > 0;) {
      length[i][j] =
          a[i] == b[j] ? length[i + 1][j + 1] + 1 : std::max(length[i + 1][j], length[i][j + 1]);
    }
  }
  std::string out;
  for (size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      ++i, ++j;
    } else if (j == b.size() || (i < a.size() && length[i + 1][j] >= length[i][j + 1])) {
      out += "-" + a[i++] + "\n";
    } else {
      out += "+" + b[j++] + "\n";
    }
  }
  return out;
}

class RewriteCase : public ::testing::TestWithParam<Case> {};

TEST_P(RewriteCase, ChangesTheseLinesAndNoOthers) {
  EXPECT_EQ(LineDiff(kFile, Patched(kFile, GetParam().patch)), GetParam().change);
}

INSTANTIATE_TEST_SUITE_P(
    Rewrite, RewriteCase,
    ::testing::Values(
        Case{"AValueKeepsItsComment", "{k3s: {version: v1.31.0+k3s1}, metadata: {name: n2}}",
             "-    name: n1          # the lab's first\n"
             "+    name: n2          # the lab's first\n"
             "-    version: v1.30.4+k3s1\n"
             "+    version: v1.31.0+k3s1\n"},
        Case{"NothingIsNothing", "{k3s: {role: server}}", ""},
        Case{"AnEntryOfAFlowMap", "{metadata: {labels: {rack: null, zone: a}}}",
             "-    labels: {site: lab, rack: \"1\"}\n"
             "+    labels: {site: lab, zone: a}\n"},
        Case{"AnElementOfAFlowList",
             "{k3s: {tlsSans: [n1.example], $deleteFromPrimitiveList/tlsSans: [n1.lan]}}",
             "-    tlsSans: [n1.lan, 10.0.0.1]   # what people type\n"
             "+    tlsSans: [10.0.0.1, n1.example]   # what people type\n"},
        Case{"ABlockTextBecomesAnother", "{k3s: {token: \"three\\nfour\\n\"}}",
             "-        one\n-        two\n"
             "+      three\n+      four\n"},
        Case{"ABlockTextBecomesAWord", "{k3s: {token: five}}",
             "-    token: |   # keep\n-        one\n-        two\n"
             "+    token: five   # keep\n"},
        Case{"AFieldGoesWithItsComments", "{k3s: {role: agent, token: null}}",
             "-    role: server\n+    role: agent\n"
             "-    # Secrets.\n-    token: |   # keep\n-        one\n-        two\n"},
        Case{"ANewFieldStandsInTheOrderOfTheSchema", "{k3s: {cluster: {init: true}}}",
             "+    cluster:\n+      init: true\n"},
        Case{"ANewSectionStandsInTheOrderOfTheSchema", "{target: {machineId: ab}}",
             "+target:\n+  machineId: ab\n"},
        Case{"AnElementOfABlockListKeepsTheOthers",
             "{k3s: {config: {disable: [servicelb, metrics-server]}}}",
             "-        - traefik   # nginx is here\n"
             "+        - metrics-server\n"},
        Case{"AKeyOfK3sIsAdded", "{k3s: {config: {flannel-backend: none}}}",
             "+        flannel-backend: none\n"},
        Case{"AnElementThatBeginsWithAnotherKey", "{k3s: {env: [{name: NO_PROXY, value: b}]}}",
             "-        - value: a\n+        - value: b\n"},
        Case{"AnElementGoesWithItsComments", "{k3s: {env: [{name: HTTPS_PROXY, $patch: delete}]}}",
             "-        # The proxy of the house.\n-        - name: HTTPS_PROXY\n"
             "-          value: http://p:3128\n-\n"},
        Case{"AnElementIsAdded", "{k3s: {env: [{name: HTTP_PROXY, value: x}]}}",
             "+        - name: HTTP_PROXY\n+          value: x\n"},
        Case{"TheLastEntryTakesTheSectionAlong", "{metadata: {labels: null}}",
             "-    labels: {site: lab, rack: \"1\"}\n"},
        Case{"ABlockValueBecomesAnother", "{k3s: {config: {disable: traefik}}}",
             "-        disable:\n-        - traefik   # nginx is here\n-        - servicelb\n"
             "+        disable: traefik\n"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Rewrite, WritesBelowANameThatHadNothing) {
  EXPECT_EQ(Patched("k3s:   # soon\nmetadata: {}\n", "{k3s: {role: server}, metadata: {name: a}}"),
            "k3s:   # soon\n  role: server\nmetadata:\n  name: a\n");
  EXPECT_EQ(Patched("k3s: ~\nmetadata: {name: a}", "{k3s: {role: server}}"),
            "k3s:\n  role: server\nmetadata: {name: a}");
}

TEST(Rewrite, EditsAFileWithoutALastLineEnd) {
  EXPECT_EQ(Patched("k3s:\n  role: server", "{k3s: {version: v1.30.4+k3s1}}"),
            "k3s:\n  role: server\n  version: v1.30.4+k3s1\n");
  EXPECT_EQ(Patched("k3s:\n  token: a", "{k3s: {token: \"b\\nc\\n\"}}"),
            "k3s:\n  token: |\n    b\n    c\n");
}

TEST(Rewrite, EditsFlowStyleOverSeveralLines) {
  EXPECT_EQ(
      Patched("{k3s: {role: server, # it\n       version: v1.30.4+k3s1},\n metadata: {name: a}}",
              "{k3s: {role: agent, version: null, tlsSans: ['a b']}, metadata: {name: b}}"),
      "{k3s: {role: agent, tlsSans: [a b]},\n metadata: {name: b}}");
}

TEST(Rewrite, KeepsASecretSealedBlockExactWhenItChanges) {
  const std::string before =
      "k3s:\n  token: !sealed |  # who\n    -----A\n    -----B\n  role: server\n";
  v1::MachineConfig config;
  ASSERT_TRUE(yaml::Decode(before, "", config).ok());
  config.mutable_k3s()->mutable_token()->set_sealed("-----C\nx\n");
  EXPECT_EQ(*Rewrite(before, "", config),
            "k3s:\n  token: !sealed |  # who\n    -----C\n    x\n  role: server\n");
}

TEST(Rewrite, InFlowStyleACommentStaysWithWhatItIsAbout) {
  const std::string text =
      "metadata:\n  name: n1\n  labels: {a: b,  # of a\n    # of c\n    c: d,  # of c too\n"
      "    e: f,  # of e\n  }\n";
  EXPECT_EQ(LineDiff(text, Patched(text, "{metadata: {labels: {c: null}}}")),
            "-    # of c\n-    c: d,  # of c too\n");
  EXPECT_EQ(LineDiff(text, Patched(text, "{metadata: {labels: {e: null}}}")),
            "-    e: f,  # of e\n");
  EXPECT_EQ(LineDiff(text, Patched(text, "{metadata: {labels: {c: null, e: null}}}")),
            "-    # of c\n-    c: d,  # of c too\n-    e: f,  # of e\n");
  const std::string last = "metadata:\n  name: n1\n  labels: {\n    a: b,\n    c: d\n  }\n";
  EXPECT_EQ(LineDiff(last, Patched(last, "{metadata: {labels: {c: null}}}")), "-    c: d\n");
}

TEST(Rewrite, AnEmptyLineThatBelongsToATextStaysWhenWhatStandsBelowGoes) {
  const std::string text =
      "k3s:\n  manifests:\n    - name: a\n      content: |+\n        x: 1\n\n  # the role\n"
      "  role: server\n";
  EXPECT_EQ(Patched(text, "{k3s: {role: null}}"),
            "k3s:\n  manifests:\n    - name: a\n      content: |+\n        x: 1\n\n");
}

TEST(Rewrite, RefusesWhatItCannotEditWithItsPlaceAndWhatToWrite) {
  v1::MachineConfig config;
  config.mutable_k3s()->set_role(v1::K3S_ROLE_AGENT);
  absl::StatusOr<std::string> out = Rewrite("? k3s\n: role: server\n", "n1.yaml", config);
  ASSERT_FALSE(out.ok());
  EXPECT_EQ(api::Reason(out.status()), "cannot-edit");
  EXPECT_THAT(out.status().message(), HasSubstr("n1.yaml:2:3: k3s.role"));
  EXPECT_THAT(api::Hint(out.status()), HasSubstr("role: agent"));
}

TEST(Rewrite, RefusesATextThatCannotBeRead) {
  EXPECT_FALSE(Rewrite("k3s: [", "n1.yaml", v1::MachineConfig()).ok());
}

}  // namespace
}  // namespace basalt::merge
