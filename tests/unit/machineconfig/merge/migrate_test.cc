#include "machineconfig/merge/migrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machineconfig/schema/k3s_keys.h"
#include "machineconfig/yaml/decode.h"
#include "machineconfig/yaml/emit.h"

namespace basalt::merge {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

v1::MachineConfig Read(const std::string& text) {
  v1::MachineConfig config;
  EXPECT_TRUE(yaml::Decode(text, "", config).ok()) << text;
  return config;
}

TEST(Migrate, AConfigOfTodayHasNothingToMigrate) {
  v1::MachineConfig config =
      Read("{metadata: {name: a}, k3s: {role: server, config: {disable: [traefik]}}}");
  const std::string before = yaml::Emit(config);
  EXPECT_THAT(Migrate(config, 36), IsEmpty());
  EXPECT_EQ(yaml::Emit(config), before);
}

TEST(Migrate, AKeyThatTheReleaseNoLongerKnowsGoesToTheOneThatTookItsPlace) {
  v1::MachineConfig config = Read("{k3s: {config: {no-deploy: [traefik, servicelb]}}}");
  EXPECT_THAT(Migrate(config, 24), IsEmpty()) << "v1.24 still knows it";
  EXPECT_THAT(Migrate(config, 25),
              ::testing::ElementsAre(MigrationStep{"k3s.config[no-deploy]", "k3s.config[disable]",
                                                   "K3s knows it until v1.24", true}));
  EXPECT_THAT(yaml::Emit(config), HasSubstr("disable:\n      - traefik\n      - servicelb\n"));
  EXPECT_THAT(Migrate(config, 25), IsEmpty());
}

TEST(Migrate, ListsOfTheOldAndTheNewKeyAreJoined) {
  v1::MachineConfig config =
      Read("{k3s: {config: {no-deploy: [traefik, servicelb], disable: servicelb}}}");
  EXPECT_THAT(Migrate(config, 30), SizeIs(1));
  EXPECT_THAT(yaml::Emit(config), HasSubstr("disable:\n      - servicelb\n      - traefik\n"));
}

TEST(Migrate, AValueThatTheReleaseNoLongerKnowsBecomesTheOneThatTookItsPlace) {
  v1::MachineConfig config = Read("{k3s: {config: {flannel-backend: ipsec}}}");
  EXPECT_THAT(Migrate(config, 26), IsEmpty());
  EXPECT_THAT(Migrate(config, 27), SizeIs(1));
  EXPECT_THAT(yaml::Emit(config), HasSubstr("flannel-backend: wireguard-native"));
}

TEST(Migrate, AKeyWithAFieldOfItsOwnGoesThere) {
  v1::MachineConfig config = Read(
      "{k3s: {config: {cluster-secret: abcdefghijklmnop, tls-san: [a, b], cluster-init: true}}}");
  EXPECT_THAT(Migrate(config, 30), SizeIs(3));
  EXPECT_EQ(config.k3s().token().plain(), "abcdefghijklmnop");
  EXPECT_TRUE(config.k3s().cluster().init());
  EXPECT_EQ(config.k3s().tls_sans_size(), 2);
  EXPECT_TRUE(config.k3s().config().empty());
}

TEST(Migrate, AKeyThatNobodyMaySetIsNamed) {
  v1::MachineConfig config = Read("{k3s: {config: {write-kubeconfig-mode: '0644'}}}");
  const std::vector<MigrationStep> steps = Migrate(config, 30);
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_FALSE(steps[0].automatic);
  EXPECT_EQ(steps[0].reason, "not allowed: noded keeps the kubeconfig readable by root alone");
}

TEST(Migrate, WhatSaysTwoThingsIsLeftToAPerson) {
  v1::MachineConfig config = Read("{k3s: {token: one, config: {token: two}}}");
  const std::vector<MigrationStep> steps = Migrate(config, 30);
  ASSERT_THAT(steps, SizeIs(1));
  EXPECT_FALSE(steps[0].automatic);
  EXPECT_EQ(config.k3s().token().plain(), "one");
  EXPECT_EQ(config.k3s().config().count("token"), 1u);
  for (const MigrationStep& step : steps) EXPECT_THAT(step.reason, Not(HasSubstr("two")));
}

TEST(Migrate, AFieldOfATableMoves) {
  constexpr FieldMove kMoves[] = {{"metadata.reason", "metadata.base"}};
  v1::MachineConfig config = Read("{metadata: {name: a, reason: \"x: y\"}}");
  const MigrationTables tables{.fields = kMoves, .k3s_keys = {}};
  EXPECT_THAT(Migrate(config, 0, tables), SizeIs(1));
  EXPECT_EQ(config.metadata().base(), "x: y");
  EXPECT_FALSE(config.metadata().has_reason());
  EXPECT_THAT(Migrate(config, 0, tables), IsEmpty());
}

TEST(Migrate, TheTableNamesKeysOfTheCatalogue) {
  for (const K3sKeyMove& move : Migrations().k3s_keys) {
    EXPECT_NE(schema::FindK3sKey(move.key), nullptr) << move.key;
    EXPECT_NE(schema::FindK3sKey(move.to), nullptr) << move.to;
    EXPECT_GT(move.until, 0) << move.key;
  }
  // Every key that is gone and that a user could set has its way out, or says that there is none.
  for (const schema::K3sKey& key : schema::K3sKeys()) {
    if (key.until == 0) continue;
    v1::MachineConfig config;
    (*config.mutable_k3s()->mutable_config())[std::string(key.name)].set_text("x");
    EXPECT_THAT(Migrate(config, key.until + 1), Not(IsEmpty())) << key.name;
  }
}

}  // namespace
}  // namespace basalt::merge
