#include "machineconfig/schema/k3s_keys.h"

#include <gtest/gtest.h>

#include "basalt/v1/machine_config.pb.h"
#include "machineconfig/schema/fields.h"

namespace basalt::schema {
namespace {

TEST(K3sKeys, AreSortedAndComplete) {
  absl::string_view last = "";
  for (const K3sKey& key : K3sKeys()) {
    EXPECT_LT(last, key.name);
    last = key.name;
    EXPECT_EQ(FindK3sKey(key.name), &key);
    EXPECT_GE(key.since, 21);
    EXPECT_LE(key.since, 36);
    EXPECT_EQ(key.note.empty(), key.owner == K3sKeyOwner::kUser) << key.name;
  }
  EXPECT_GE(K3sKeys().size(), 110u);
  EXPECT_EQ(FindK3sKey("no-such-key"), nullptr);
}

TEST(K3sKeys, TypedKeysNameFieldsThatExist) {
  const MessageInfo& root = Describe(v1::MachineConfig::descriptor());
  for (const K3sKey& key : K3sKeys()) {
    if (key.owner != K3sKeyOwner::kTyped) continue;
    const MessageInfo* info = &root;
    absl::string_view rest = key.note;
    while (!rest.empty()) {
      ASSERT_NE(info, nullptr) << key.name;
      const size_t dot = rest.find('.');
      const FieldInfo* field = info->Find(rest.substr(0, dot));
      ASSERT_NE(field, nullptr) << key.name << " names " << key.note;
      info = field->message;
      rest = dot == absl::string_view::npos ? "" : rest.substr(dot + 1);
    }
  }
}

TEST(K3sKeys, WhatKeepsTheNodeInOneHandIsRefused) {
  for (const char* name : {"log", "docker", "rootless", "cluster-reset", "config", "data-dir",
                           "write-kubeconfig", "with-node-id"}) {
    ASSERT_NE(FindK3sKey(name), nullptr) << name;
    EXPECT_EQ(FindK3sKey(name)->owner, K3sKeyOwner::kRefused) << name;
  }
  EXPECT_EQ(FindK3sKey("token")->owner, K3sKeyOwner::kTyped);
  EXPECT_TRUE(FindK3sKey("etcd-s3-secret-key")->secret);
  EXPECT_EQ(NearestK3sKey("disabel"), "disable");
}

}  // namespace
}  // namespace basalt::schema
