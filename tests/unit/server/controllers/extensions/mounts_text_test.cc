// What the kernel tells of mounts, and the line that makes a device.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/host/extension_mounts.h"
#include "server/host/verity_mapper.h"

namespace basalt::host {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kMounts[] =
    "22 1 254:0 / / ro,relatime shared:1 - erofs /dev/dm-0 ro\n"
    "40 22 0:35 / /run rw,nosuid,nodev shared:9 - tmpfs run rw\n"
    "50 40 254:1 / /run/extensions/nfs.0123 ro,nosuid,nodev shared:20 - erofs /dev/dm-1 ro\n"
    "51 40 254:2 / /run/extensions/iscsi.4567 ro,nosuid,nodev shared:21 - erofs /dev/dm-2 ro\n"
    "52 40 254:0 /usr /run/extensions/base ro,relatime - erofs /dev/dm-0 ro\n";
constexpr char kOverlay[] =
    "53 22 0:44 / /usr ro,nosuid,nodev shared:22 - overlay extensions "
    "ro,lowerdir=/run/extensions/nfs.0123/usr:/run/extensions/base\n";

TEST(ExtensionMountsText, WhatIsAttachedAndWhatOfItIsShown) {
  EXPECT_THAT(ParseExtensionMounts(kMounts), ElementsAre(AttachedExtension{.id = "iscsi.4567"},
                                                         AttachedExtension{.id = "nfs.0123"}));
  EXPECT_THAT(ParseExtensionMounts(std::string(kMounts) + kOverlay),
              ElementsAre(AttachedExtension{.id = "iscsi.4567"},
                          AttachedExtension{.id = "nfs.0123", .shown = true}));
}

TEST(ExtensionMountsText, OtherMountsAreNotOurs) {
  EXPECT_THAT(ParseExtensionMounts(""), IsEmpty());
  EXPECT_THAT(ParseExtensionMounts("a - b\n - - -\n1 2 3 4 /run/extensions/x - tmpfs a b\n"),
              IsEmpty());
  EXPECT_THAT(ParseExtensionMounts("1 2 3 / /run/extensions/a/b ro - erofs /dev/dm-1 ro\n"
                                   "1 2 3 / /run/extensions/ ro - erofs /dev/dm-1 ro\n"),
              IsEmpty());
}

TEST(VerityText, TheTreeBeginsBehindTheSuperblockAndAWrongBlockIsAnError) {
  EXPECT_EQ(VerityLine({.device = "/dev/loop3", .blocks = 12, .root_hash = "aa", .salt = "bb"}),
            "1 /dev/loop3 /dev/loop3 4096 4096 12 13 sha256 aa bb");
}

}  // namespace
}  // namespace basalt::host
