// Signatures of the image's measurements, as systemd-measure writes them.
#include "server/unlock/tpm_policy.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace basalt::unlock {
namespace {

const std::string kPcr = std::string(32, '\x11');

std::string Policy() {
  return absl::BytesToHexString(PolicyPcr(std::string(32, '\0'), 1U << 11, kPcr));
}

std::string Json(const std::string& fingerprint, const std::string& policy) {
  return absl::StrCat("{\"sha256\":[{\"pcrs\":[11],\"pkfp\":\"00\",\"pol\":\"00\",\"sig\":\"\"},",
                      "{\"pcrs\":[11],\"pkfp\":\"", fingerprint, "\",\"pol\":\"", policy,
                      "\",\"sig\":\"c2ln\"}]}");
}

TEST(TpmPolicyTest, TheSignatureForThisImageIsFound) {
  auto found = FindSignature(Json("abcd", Policy()), "abcd", kPcr);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->signature, "sig");
  EXPECT_EQ(absl::BytesToHexString(found->policy), Policy());
}

TEST(TpmPolicyTest, OneForAnotherKeyOrAnotherImageIsNot) {
  EXPECT_FALSE(FindSignature(Json("abce", Policy()), "abcd", kPcr).ok());
  EXPECT_FALSE(FindSignature(Json("abcd", Policy()), "abcd", std::string(32, '\x12')).ok());
}

TEST(TpmPolicyTest, WhatIsNoSuchTextIsNothing) {
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{"), std::string("{\"sha256\":{}}"),
        std::string("{\"sha256\":[1,null,{\"pol\":3}]}"), std::string(100000, '['),
        absl::StrCat("{\"sha256\":", std::string(1000, '['), "}"),
        Json("abcd", "zz" + Policy().substr(2)), Json("abcd", Policy().substr(1))}) {
    EXPECT_FALSE(FindSignature(text, "abcd", kPcr).ok()) << text.substr(0, 40);
  }
}

}  // namespace
}  // namespace basalt::unlock
