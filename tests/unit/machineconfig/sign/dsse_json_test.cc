#include <string>

#include "absl/strings/str_replace.h"
#include "machineconfig/sign/document.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {
namespace {

using ::testing::HasSubstr;

// {"payload":P,"payloadType":T,"signatures":[{"sig":S}]} with parts replaced.
std::string Envelope(const std::map<std::string, std::string>& with = {}) {
  std::string out =
      R"({"payload":"aGVsbG8=","payloadType":"application/vnd.basalt.machineconfig.v1+yaml","signatures":[{"sig":"AAAA"}]})";
  for (const auto& [from, to] : with) out = absl::StrReplaceAll(out, {{from, to}});
  return out;
}

TEST(DsseJson, RoundTripsByteForByte) {
  v1::SignedDocument document = SignedBy({"alice", "bob"}, std::string("a\0b\xff\n", 5));
  std::string json = ToDsseJson(document);
  auto again = FromDsseJson(json);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), document.SerializeAsString());
  EXPECT_EQ(ToDsseJson(*again), json);
  EXPECT_TRUE(Verify(*again, v1::DOCUMENT_TYPE_MACHINE_CONFIG, Policy()).ok());
}

TEST(DsseJson, ReadsWhatOtherToolsWrite) {
  auto document = FromDsseJson(Envelope({{"{\"sig\"", "{\"keyid\":\"\",\"sig\""}}));
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(document->payload(), "hello");
  EXPECT_EQ(document->type(), v1::DOCUMENT_TYPE_MACHINE_CONFIG);
  EXPECT_EQ(document->signatures(0).key_id(), "");
  // Escapes, white space and any order of fields are JSON's own.
  auto escaped = FromDsseJson(
      " {\"signatures\" : [ ] ,\n\t\"payloadType\":\"application\\/vnd.basalt.action.v1+yaml\", "
      "\"payload\":\"\"} ");
  ASSERT_TRUE(escaped.ok()) << escaped.status();
  EXPECT_EQ(escaped->type(), v1::DOCUMENT_TYPE_ACTION);
}

TEST(DsseJson, RefusesWhatIsNotExactlyAnEnvelope) {
  struct Case {
    std::string json;
    const char* reason;
    const char* says;
  };
  const std::string id = Key("alice").public_key().id().Hex();
  const Case cases[] = {
      {"", "bad-envelope", "not JSON"},
      {"{", "bad-envelope", "not JSON"},
      {"null", "bad-envelope", "null"},
      {"[]", "bad-envelope", "array"},
      {"\"x\"", "bad-envelope", "string"},
      {"{}", "bad-envelope", "`payload` is missing"},
      {Envelope() + "x", "bad-envelope", "not JSON"},
      {Envelope() + Envelope(), "bad-envelope", "not JSON"},
      {Envelope().substr(0, 60), "bad-envelope", "not JSON"},
      {"\xef\xbb\xbf" + Envelope(), "bad-envelope", "not JSON"},
      {Envelope({{"aGVsbG8=", "\xff"}}), "bad-envelope", "not JSON"},
      {Envelope({{"\"payload\":", "\"payload\":\"\",\"payload\":"}}), "bad-envelope", "twice"},
      {Envelope({{"\"signatures\":", "\"signatures\":[],\"signatures\":"}}), "bad-envelope",
       "twice"},
      {Envelope({{"{\"sig\"", "{\"sig\":\"\",\"sig\""}}), "bad-envelope", "twice"},
      {Envelope({{"\"payload\":", "\"extra\":1,\"payload\":"}}), "bad-envelope",
       "unknown field `extra`"},
      {Envelope({{"{\"sig\"", "{\"cert\":\"\",\"sig\""}}), "bad-envelope", "unknown field `cert`"},
      {Envelope({{"\"AAAA\"", "5"}}), "bad-envelope", "number"},
      {Envelope({{"\"AAAA\"", "true"}}), "bad-envelope", "boolean"},
      {Envelope({{"\"aGVsbG8=\"", "null"}}), "bad-envelope", "null"},
      {Envelope({{"\"aGVsbG8=\"", "{}"}}), "bad-envelope", "object"},
      {Envelope({{"[{\"sig\":\"AAAA\"}]", "{}"}}), "bad-envelope", "object"},
      {Envelope({{"[{\"sig\":\"AAAA\"}]", "[[]]"}}), "bad-envelope", "array"},
      {Envelope({{"[{\"sig\":\"AAAA\"}]", "[\"AAAA\"]"}}), "bad-envelope", "string"},
      {Envelope({{"{\"sig\":\"AAAA\"}", "{}"}}), "bad-envelope", "without `sig`"},
      {Envelope(
           {{"\"signatures\":[{\"sig\":\"AAAA\"}]", "\"signatures\":" + std::string(100000, '[')}}),
       "bad-envelope", "array"},
      // Base64 that has another spelling.
      {Envelope({{"aGVsbG8=", "aGVsbG8"}}), "bad-envelope", "canonical"},
      {Envelope({{"aGVsbG8=", "aGVsbG9="}}), "bad-envelope", "canonical"},
      {Envelope({{"aGVsbG8=", "aGVs\\nbG8="}}), "bad-envelope", "canonical"},
      {Envelope({{"aGVsbG8=", "_-8="}}), "bad-envelope", "canonical"},
      {Envelope({{"AAAA", "AA=A"}}), "bad-envelope", "canonical"},
      // Types.
      {Envelope({{"machineconfig.v1", "machineconfig.v2"}}), "wrong-type", "payloadType"},
      {Envelope({{"application/vnd.basalt.machineconfig.v1+yaml", ""}}), "wrong-type",
       "payloadType"},
      {Envelope(
           {{"application/vnd.basalt.machineconfig.v1+yaml", "application/vnd.basalt..v1+yaml"}}),
       "wrong-type", "payloadType"},
      // Key ids.
      {Envelope({{"{\"sig\"", "{\"keyid\":\"alice\",\"sig\""}}), "bad-envelope", "keyid"},
      {Envelope({{"{\"sig\"", "{\"keyid\":\"sha256:" + id + "\",\"sig\""}}), "bad-envelope",
       "keyid"},
  };
  for (const Case& c : cases) {
    absl::Status status = FromDsseJson(c.json).status();
    EXPECT_THAT(status, HasReason(c.reason)) << c.json.substr(0, 300);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.says)) << c.json.substr(0, 300);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(DsseJson, S10_SizesAreLimitedBeforeAnythingIsBuilt) {
  EXPECT_THAT(FromDsseJson(std::string(3 << 20, ' ')).status(), HasReason("too-large"));
  std::string signatures = "{\"sig\":\"AAAA\"}";
  for (int i = 0; i < 16; ++i) signatures += ",{\"sig\":\"AAAA\"}";
  EXPECT_THAT(FromDsseJson(Envelope({{"{\"sig\":\"AAAA\"}", signatures}})).status(),
              HasReason("too-many-signatures"));
  std::string large = Base64Encode(std::string(kMaxPayload + 1, 'x'));
  EXPECT_THAT(FromDsseJson(Envelope({{"aGVsbG8=", large}})).status(), HasReason("too-large"));
  std::string largest = Base64Encode(std::string(kMaxPayload, 'x'));
  EXPECT_TRUE(FromDsseJson(Envelope({{"aGVsbG8=", largest}})).ok());
}

TEST(DsseJson, S1_EveryFlippedBitOfTheEnvelopeIsRefused) {
  const std::string json = ToDsseJson(SignedBy({"alice"}, "kind: MachineConfig\n"));
  const v1::TrustPolicy policy = Policy();
  int accepted = 0;
  for (size_t i = 0; i < json.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = json;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
      auto document = FromDsseJson(flipped);
      if (!document.ok() || !Verify(*document, v1::DOCUMENT_TYPE_MACHINE_CONFIG, policy).ok()) {
        continue;
      }
      // One byte of white space may become another: the document is the same.
      ++accepted;
      EXPECT_TRUE(json[i] == ' ' || json[i] == '\n') << "byte " << i << " bit " << bit;
      EXPECT_EQ(ToDsseJson(*document), json);
    }
  }
  EXPECT_LE(accepted, 40);
}

TEST(DsseJson, S1_EveryTruncationIsRefused) {
  const std::string json = ToDsseJson(SignedBy({"alice"}));
  for (size_t size = 0; size + 1 < json.size(); ++size) {
    EXPECT_FALSE(FromDsseJson(json.substr(0, size)).ok()) << size;
  }
}

TEST(DsseJson, ChainsRoundTrip) {
  v1::TrustChain chain;
  *chain.add_policies() = SignedBy({"root"}, "one", v1::DOCUMENT_TYPE_TRUST_POLICY);
  *chain.add_policies() = SignedBy({"root", "bob"}, "two", v1::DOCUMENT_TYPE_TRUST_POLICY);
  std::string json = ChainToJson(chain);
  auto again = ChainFromJson(json);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->SerializeAsString(), chain.SerializeAsString());
  EXPECT_EQ(ChainToJson(*again), json);
  EXPECT_TRUE(ChainFromJson("[]").ok());
  EXPECT_TRUE(ChainFromJson(ChainToJson({})).ok());
  EXPECT_FALSE(ChainFromJson(json + "[").ok());
  EXPECT_FALSE(ChainFromJson(ToDsseJson(chain.policies(0))).ok());
  EXPECT_FALSE(FromDsseJson(json).ok());
  EXPECT_THAT(ChainFromJson("[" + Envelope({{"aGVsbG8=", "?"}}) + "]").status(),
              HasReason("bad-envelope"));
}

}  // namespace
}  // namespace basalt::sign
