#include "client/commands/trust_store.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/coded_status.h"
#include "client/context/files.h"
#include "machineconfig/sign/document.h"

namespace basalt::client {
namespace {

class TrustStore : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "trust.XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    ASSERT_TRUE(WriteNewFile(Path("context.yaml"), "cluster: home\n", 0644).ok());
    ASSERT_TRUE(WriteNewFile(Path("trust.json"), sign::ChainToJson(Chain({1})), 0640).ok());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string Path(const std::string& file) const { return directory_ + "/" + file; }
  Session NewSession() { return Session(io_, {.context = Path("context.yaml")}); }

  v1::SignedDocument Version(int number, int epoch = 1) const {
    return sign::Sign(
        v1::DOCUMENT_TYPE_TRUST_POLICY,
        absl::StrCat("apiVersion: basalt/v1\nkind: TrustPolicy\ncluster: home\nepoch: ", epoch,
                     "\nversion: ", number, "\nkeys:\n- name: root\n  publicKey: |\n    ",
                     absl::StrReplaceAll(root_.public_key().Pem(), {{"\n", "\n    "}}),
                     "\nroot: {keys: [root]}\n"),
        {&root_});
  }
  v1::TrustChain Chain(const std::vector<int>& versions) const {
    v1::TrustChain chain;
    for (int version : versions) *chain.add_policies() = Version(version);
    return chain;
  }

  const sign::PrivateKey root_ = sign::PrivateKey::GenerateEd25519();
  std::string directory_;
  std::ostringstream out_, err_;
  Io io_{.out = out_, .err = err_};
};

TEST_F(TrustStore, AnAdoptedVersionIsTheChainWithItsModeAndTheTextBesideIt) {
  Session session = NewSession();
  auto kept = Adopt(session, Chain({2}));
  ASSERT_TRUE(kept.ok()) << kept.status();
  auto chain = ReadChain(Path("trust.json"));
  ASSERT_TRUE(chain.ok()) << chain.status();
  EXPECT_EQ(chain->policies_size(), 2);
  EXPECT_EQ(*ReadFile(Path("trust.yaml")), Version(2).payload());
  EXPECT_EQ(std::filesystem::status(Path("trust.json")).permissions(),
            static_cast<std::filesystem::perms>(0640));
}

TEST_F(TrustStore, S8_WhatAnotherOneWroteMeanwhileIsNoForkOfOurs) {
  Session session = NewSession();
  ASSERT_TRUE(session.trust().ok());
  const std::string theirs = sign::ChainToJson(Chain({1, 2}));
  ASSERT_TRUE(WriteFileAtomically(Path("trust.json"), theirs, 0644).ok());
  v1::TrustChain ours;
  *ours.add_policies() = Version(2, /*epoch=*/2);
  EXPECT_EQ(api::Reason(Adopt(session, ours).status()), "changed-meanwhile");
  EXPECT_EQ(*ReadFile(Path("trust.json")), theirs);
}

TEST_F(TrustStore, WhatAwaitsSignaturesIsForgottenOnceItWasOvertaken) {
  ASSERT_TRUE(WriteNewFile(Path("trust.next.json"), sign::ToDsseJson(Version(2)), 0644).ok());
  Session before = NewSession();
  auto waiting = PendingNext(before);
  ASSERT_TRUE(waiting.ok() && waiting->has_value());
  ASSERT_TRUE(Adopt(before, Chain({2, 3})).ok());
  EXPECT_FALSE(Exists(Path("trust.next.json")));
  ASSERT_TRUE(WriteNewFile(Path("trust.next.json"), sign::ToDsseJson(Version(3)), 0644).ok());
  Session after = NewSession();
  auto overtaken = PendingNext(after);
  ASSERT_TRUE(overtaken.ok());
  EXPECT_FALSE(overtaken->has_value());
}

TEST_F(TrustStore, AKeyFileIsKnownByItsNameAndCheckedWhereItCanBe) {
  v1::TrustKey key;
  key.set_name("root");
  key.set_public_key(root_.public_key().Pem());
  Session session = NewSession();
  const Context& context = **session.context();
  EXPECT_FALSE(FindKeyFile(context, key).has_value());
  ASSERT_TRUE(MakeDirectory(Path("keys"), 0700).ok());
  ASSERT_TRUE(WriteFileAtomically(Path("keys/root.key"), root_.Pem(), 0600).ok());
  ASSERT_TRUE(FindKeyFile(context, key).has_value());
  EXPECT_TRUE(FindKeyFile(context, key)->certain);
  ASSERT_TRUE(WriteFileAtomically(Path("keys/root.key"), root_.Pem("secret words"), 0600).ok());
  EXPECT_FALSE(FindKeyFile(context, key)->certain);
  const std::string other = sign::PrivateKey::GenerateEd25519().Pem();
  ASSERT_TRUE(WriteFileAtomically(Path("keys/root.key"), other, 0600).ok());
  EXPECT_FALSE(FindKeyFile(context, key).has_value());
}

}  // namespace
}  // namespace basalt::client
