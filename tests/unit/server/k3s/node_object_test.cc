#include <gtest/gtest.h>

#include "machineconfig/sign/x509.h"
#include "server/k3s/node_files.h"
#include "server/k3s/node_probe.h"

namespace basalt::k3s {
namespace {

TEST(NodeObject, ReadyLabelsAndVersionAreRead) {
  ProbeResult result;
  ASSERT_TRUE(ReadNode(
      R"({"kind":"Node","metadata":{"labels":{"a":"b"}},"status":{"nodeInfo":{"kubeletVersion":"v1"},
          "conditions":[{"type":"MemoryPressure","status":"False"},{"type":"Ready","status":"True"}]}})",
      &result));
  EXPECT_TRUE(result.node_ready);
  EXPECT_EQ(result.labels.at("a"), "b");
  EXPECT_EQ(result.kubelet_version, "v1");
}

TEST(NodeObject, NotReadyGivesTheKubeletsWords) {
  ProbeResult result;
  ASSERT_TRUE(ReadNode(
      R"({"kind":"Node","status":{"conditions":[{"type":"Ready","status":"False","message":"no CNI"}]}})",
      &result));
  EXPECT_FALSE(result.node_ready);
  EXPECT_EQ(result.detail, "the Node is not Ready: no CNI");
}

TEST(NodeObject, AnythingElseIsRefusedQuietly) {
  ProbeResult result;
  for (const char* text : {"", "[]", "{}", "{\"kind\":\"Pod\"}", "{\"kind\":", "null", "7"}) {
    EXPECT_FALSE(ReadNode(text, &result)) << text;
  }
  // Members of other types must not end the process.
  ReadNode(R"({"kind":"Node","status":[1],"metadata":"x"})", &result);
  ReadNode(R"({"kind":"Node","status":{"conditions":[{"type":7,"status":[]},4]}})", &result);
  EXPECT_FALSE(result.node_ready);
}

TEST(NodeObject, PatchSetsAndRemoves) {
  EXPECT_EQ(PatchJson({{"a", "b"}, {"old", std::nullopt}}),
            R"({"metadata":{"labels":{"a":"b","old":null}}})");
}

TEST(TreeRecord, RoundTripsAndDamageIsFound) {
  TreeRecord record{
      .hash = std::string(64, 'a'),
      .files = {{"bin/k3s", {.size = 5, .mode = 0755, .sha256 = "x"}}, {"a b", {.sha256 = "y"}}}};
  std::string text = Encode(record);
  ASSERT_TRUE(DecodeTree(text).ok());
  EXPECT_EQ(*DecodeTree(text), record);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string bad = text;
    bad[i] ^= 1;
    EXPECT_FALSE(DecodeTree(bad).ok()) << i;
  }
}

TEST(Probe, TheFirstCertificateThatEndsCounts) {
  const absl::Time now = absl::FromUnixSeconds(1790000000);
  const sign::PrivateKey key = sign::PrivateKey::GenerateEd25519();
  std::vector<std::string> certificates = {"", "not a certificate"};
  EXPECT_EQ(EarliestEnd(certificates), absl::InfiniteFuture());
  for (int days : {365, 30, 200}) {
    sign::CertificateSpec spec;
    spec.common_name = "kubelet";
    spec.not_before = now;
    spec.not_after = now + absl::Hours(24) * days;
    certificates.push_back(*sign::SelfSign(spec, key));
  }
  EXPECT_EQ(EarliestEnd(certificates), now + absl::Hours(24 * 30));
}

TEST(Probe, LoopbackPortsAreOnTheNodesOwnLoopbackAddress) {
  EXPECT_EQ(LocalAddress("127.0.0.7"), "127.0.0.7");
  EXPECT_EQ(LocalAddress("10.99.0.1"), "127.0.0.1");
}

}  // namespace
}  // namespace basalt::k3s
