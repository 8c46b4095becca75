// What is said about an image is valid, complete and always the same.
#include "images/builder/statement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "machineconfig/sign/image_manifest.h"

namespace basalt::image {
namespace {

using Json = nlohmann::json;

Recipe SomeRecipe() {
  Recipe r;
  r.profile = "vm-amd64";
  r.architecture = "amd64";
  return r;
}

ImageInfo SomeInfo() {
  return {.version = "1.2.3",
          .epoch = 4,
          .time = absl::FromUnixSeconds(1700000000),
          .kernel = "6.1.0-56-cloud-amd64"};
}

TEST(Sbom, NamesEveryPackageByPurlAndDigest) {
  LockedPackage p{.name = "libstdc++6",
                  .version = "1:12.2+b1",
                  .architecture = "amd64",
                  .size = 3,
                  .sha256 = Sha256("x"),
                  .source = "pool/l.deb"};
  Json sbom = Json::parse(MakeSbom({"basalt-vm-amd64", "OPERATING-SYSTEM"}, SomeInfo(), {p}));
  EXPECT_EQ(sbom["spdxVersion"], "SPDX-2.3");
  EXPECT_EQ(sbom["creationInfo"]["created"], "2023-11-14T22:13:20Z");
  ASSERT_EQ(sbom["packages"].size(), 3u) << "the image, ours, theirs";
  const Json& deb = sbom["packages"][2];
  EXPECT_EQ(deb["SPDXID"], "SPDXRef-deb-libstdc-plus--plus-6");
  EXPECT_EQ(deb["externalRefs"][0]["referenceLocator"],
            "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2%2Bb1?arch=amd64&distro=bookworm");
  EXPECT_EQ(deb["checksums"][0]["checksumValue"], Sha256("x").Hex());
  EXPECT_EQ(sbom["relationships"].size(), 3u);
}

TEST(ManifestTest, HoldsAllThatDecidesWhatRuns) {
  Manifest m{.slot = {"a.slot", 10, Sha256("slot")},
             .kernel = {"a.efi", 20, Sha256("kernel")},
             .sbom = {"a.spdx.json", 30, Sha256("sbom")},
             .root_hash = Sha256("root"),
             .data_blocks = 300};
  Json manifest = Json::parse(FormatManifest(SomeRecipe(), SomeInfo(), m));
  EXPECT_EQ(manifest["kind"], "Image");
  EXPECT_EQ(manifest["root"], Sha256("root").Hex() + ":300");
  EXPECT_EQ(manifest["slot"]["sha256"], Sha256("slot").Hex());
  EXPECT_EQ(manifest["kernel"]["size"], 20);
  EXPECT_EQ(manifest["epoch"], 4);
  EXPECT_EQ(manifest["buildTime"], "2023-11-14T22:13:20Z");
  absl::StatusOr<sign::ImageManifest> read =
      sign::ParseImageManifest(FormatManifest(SomeRecipe(), SomeInfo(), m));
  ASSERT_TRUE(read.ok()) << "a node reads it: " << read.status();
  EXPECT_EQ(read->root, Sha256("root").Hex() + ":300");
}

TEST(ImageInfoTest, IsOneTextForTheNodeAndOneForTheLoader) {
  Json info = Json::parse(SomeInfo().Json(SomeRecipe()));
  EXPECT_EQ(info["buildTime"], "2023-11-14T22:13:20Z");
  EXPECT_EQ(info["version"], "1.2.3");
  EXPECT_THAT(SomeInfo().OsRelease(SomeRecipe()),
              ::testing::HasSubstr("IMAGE_VERSION=1.2.3\nBASALT_EPOCH=4\n"));
}

}  // namespace
}  // namespace basalt::image
