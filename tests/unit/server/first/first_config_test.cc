// A first config that nobody brought: taken from a medium, refused when it is not signed for this
// node, looked for until somebody has committed one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/rand.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "machineconfig/seal/field.h"
#include "tests/unit/server/first/fake_cloud.h"

namespace basalt::first {
namespace {

using testing::ConfigOptions;
using testing::FirstWorld;
using ::testing::HasSubstr;

constexpr char kBoot[] = "basalt/config.json on the boot partition";

std::vector<Source> Media() {
  return {{.kind = SourceKind::kBootPartition}, {.kind = SourceKind::kMedium}};
}

TEST(FirstConfig, OfTheBootPartitionIsCommittedWithoutACall) {
  FirstWorld w(Media());
  w.media.boot_partition = {{kBoot, w.Json()}};
  w.Start();
  EXPECT_TRUE(w.committed());
  EXPECT_TRUE(w.first->over());
  const v1::HistoryReply history = w.h.node->History({}).value();
  EXPECT_EQ(history.generations(0).delivered_by(), absl::StrCat("found: ", kBoot));
  EXPECT_FALSE(w.media.key_there);
  EXPECT_EQ(w.h.executor->pending_timers(), 0u) << "nothing is looked for any more";
}

TEST(FirstConfig, OneThatMovesTheApiIsGatedByHealthAlone) {
  FirstWorld w(Media());
  w.media.boot_partition = {{kBoot, w.Json({.api = "  allowedNetworks: [10.0.0.0/8]\n"})}};
  w.Start();
  EXPECT_TRUE(w.committed()) << "nobody called, so nobody has to come back";
}

TEST(FirstConfig, WithoutAGoodSignatureIsRefusedAndSaidOnce) {
  FirstWorld w(Media());
  const sign::PrivateKey stranger = sign::PrivateKey::GenerateEd25519();
  w.media.boot_partition = {{kBoot, sign::ToDsseJson(w.h.SignText(v1::DOCUMENT_TYPE_MACHINE_CONFIG,
                                                                  w.h.Yaml({}), stranger))}};
  w.media.elsewhere = {{"user-data on CIDATA (sdb)", "#cloud-config\n"}};
  w.Start();
  EXPECT_FALSE(w.committed());
  const v1::Condition refused = w.Condition("FirstConfigRefused");
  EXPECT_EQ(refused.reason(), "bad-signature");
  EXPECT_THAT(refused.message(), HasSubstr(kBoot));
  EXPECT_THAT(refused.message(), HasSubstr("[not-a-signed-config]"));
  EXPECT_EQ(w.h.MachineStatus().stage(), "maintenance");
  EXPECT_TRUE(w.media.key_there) << "what was refused wipes nothing";
}

TEST(FirstConfig, IsLookedForLessAndLessOften) {
  FirstWorld w(Media());
  w.Start();
  w.h.executor->Advance(absl::Hours(1));
  // 5, 10, 20, 40, 80, 160, 320, 600, 600, ... s
  EXPECT_GE(w.media.looked, 10);
  EXPECT_LE(w.media.looked, 14);
  // A stick that is put in later is found.
  w.media.elsewhere = {{"config.json on BASALT (sdb1)", w.Json()}};
  w.h.executor->Advance(absl::Minutes(11));
  EXPECT_TRUE(w.committed());
}

TEST(FirstConfig, IsNotLookedForOnceSomebodyBroughtOne) {
  FirstWorld w(Media());
  w.Start();
  ASSERT_EQ(w.h.Apply(ConfigOptions{.generation = 5})->last().state(), v1::APPLY_STATE_COMMITTED);
  w.media.boot_partition = {{kBoot, w.Json({.generation = 9})}};
  w.h.executor->Advance(absl::Minutes(30));
  EXPECT_EQ(w.h.ActiveGeneration(), 5);
  EXPECT_EQ(w.media.looked, 1);
  EXPECT_TRUE(w.first->over());
  EXPECT_FALSE(w.media.key_there) << "whoever brought it: the medium's key is of no use any more";
}

TEST(FirstConfig, AKeyThatCannotBeWipedIsTriedAgainAndSaid) {
  FirstWorld w(Media());
  w.media.boot_partition = {{kBoot, w.Json()}};
  w.media.fail_wipes = 2;
  w.Start();
  EXPECT_TRUE(w.committed());
  EXPECT_EQ(w.Condition("MediumKeyStays").type(), "") << "somebody else may be at it";
  w.h.executor->Advance(absl::Seconds(6));
  EXPECT_EQ(w.Condition("MediumKeyStays").reason(), "NotWiped");
  w.h.executor->Advance(absl::Minutes(3));
  EXPECT_FALSE(w.media.key_there);
  EXPECT_EQ(w.Condition("MediumKeyStays").type(), "");
}

TEST(FirstConfig, ADamagedDocumentDoesNotHideTheNext) {
  FirstWorld w(Media());
  w.media.boot_partition = {{"basalt/config.a on the boot partition", "{"}, {kBoot, w.Json()}};
  w.Start();
  EXPECT_TRUE(w.committed());
  EXPECT_EQ(w.Condition("FirstConfigRefused").type(), "");
}

bool FromOpenSsl(uint8_t* out, size_t size) { return RAND_bytes(out, static_cast<int>(size)) == 1; }

// Signed before there was a node: for a medium, its secrets sealed to the medium's key.
class SealedToMedium : public ::testing::Test {
 protected:
  SealedToMedium() : key_(seal::Identity::Generate(FromOpenSsl).value()) {
    w_.h.adjust = [](engine::NodeDeps& deps) { deps.medium_id = "stick-7"; };
    EXPECT_TRUE(trust::SealingKey::KeepMediumKey(w_.h.vfs, key_.Text().view()).ok());
    w_.StartNode();
  }
  std::string SealedTo(const std::string& recipient) {
    std::string armored = seal::SealField({"home", "n1", "k3s.token"}, "a-token-that-nobody-sees",
                                          {seal::Recipient::Parse(recipient).value()}, FromOpenSsl)
                              .value();
    armored.pop_back();
    return absl::StrCat("!sealed |\n    ", absl::StrReplaceAll(armored, {{"\n", "\n    "}}));
  }
  std::string ForMedium(const std::string& id) {
    std::string yaml =
        w_.h.Yaml({.machine_id = std::string(64, '0'), .token = SealedTo(key_.recipient().Text())});
    yaml = absl::StrReplaceAll(yaml, {{absl::StrCat("machineId: ", std::string(64, '0')),
                                       absl::StrCat("mediumId: ", id)}});
    return sign::ToDsseJson(w_.h.SignText(v1::DOCUMENT_TYPE_MACHINE_CONFIG, yaml, w_.h.config_key));
  }
  FirstWorld w_{Media()};
  const seal::Identity key_;
};

TEST_F(SealedToMedium, IsOpenedWithTheMediumsKeyUntilItIsSignedForTheNode) {
  w_.media.boot_partition = {{kBoot, ForMedium("stick-7")}};
  w_.Start();
  ASSERT_TRUE(w_.committed()) << w_.Condition("FirstConfigRefused").message();
  EXPECT_EQ(w_.h.world.token, "a-token-that-nobody-sees");
  EXPECT_EQ(w_.Condition("SealedToMedium").reason(), "MediumKey");
  EXPECT_EQ(w_.h.MachineStatus().stage(), "running") << "it does all that it is asked for";
  EXPECT_FALSE(w_.media.key_there);

  // The medium has no key any more, the node has.
  w_.StartNode();
  EXPECT_EQ(w_.Condition("SecretsNotOpened").type(), "");
  EXPECT_EQ(w_.Condition("SealedToMedium").reason(), "MediumKey");

  const std::string own = w_.h.sealing().recipient();
  ASSERT_EQ(w_.h.Apply({.generation = 2, .token = SealedTo(own)})->last().state(),
            v1::APPLY_STATE_COMMITTED);
  EXPECT_EQ(w_.Condition("SealedToMedium").type(), "");
  EXPECT_TRUE(trust::SealingKey::KeepsMediumKey(w_.h.vfs)) << "the one before may be needed";
  ASSERT_EQ(w_.h.Apply({.generation = 3, .version = "v1.30.5+k3s1", .token = SealedTo(own)})
                ->last()
                .state(),
            v1::APPLY_STATE_COMMITTED);
  EXPECT_FALSE(trust::SealingKey::KeepsMediumKey(w_.h.vfs));
}

TEST_F(SealedToMedium, ForAnotherMediumIsRefused) {
  w_.media.boot_partition = {{kBoot, ForMedium("stick-8")}};
  w_.Start();
  EXPECT_FALSE(w_.committed());
  EXPECT_EQ(w_.Condition("FirstConfigRefused").reason(), "wrong-target");
}

}  // namespace
}  // namespace basalt::first
