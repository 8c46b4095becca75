#include "machineconfig/sign/image_manifest.h"

#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "tests/unit/machineconfig/sign/testing.h"

namespace basalt::sign {
namespace {

std::string Manifest() {
  const std::string hash(64, 'a');
  return absl::StrReplaceAll(
      R"({"apiVersion": "basalt/v1", "kind": "Image", "profile": "vm-amd64", "architecture": "amd64",
          "version": "1.4.0", "epoch": 2, "buildTime": "2026-11-01T00:00:00Z", "root": "HASH:12",
          "slot": {"name": "basalt.slot", "size": 8192, "sha256": "HASH"},
          "kernel": {"name": "basalt.efi", "size": 4096, "sha256": "HASH"}, "later": [1]})",
      {{"HASH", hash}});
}

TEST(ImageManifest, SaysWhatBelongsTogether) {
  absl::StatusOr<ImageManifest> manifest = ParseImageManifest(Manifest());
  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->version, "1.4.0");
  EXPECT_EQ(manifest->epoch, 2);
  EXPECT_EQ(manifest->slot.name, "basalt.slot");
  EXPECT_EQ(manifest->kernel.size, 4096);
  EXPECT_EQ(manifest->root, std::string(64, 'a') + ":12");
}

TEST(ImageManifest, APredictionIsOneOrNone) {
  EXPECT_EQ(ParseImageManifest(Manifest())->pcr11, "") << "an older builder says none";
  const auto with = [](const std::string& value) {
    return ParseImageManifest(
        absl::StrReplaceAll(Manifest(), {{"\"epoch\": 2", "\"epoch\": 2, \"pcr11\": " + value}}));
  };
  const std::string pcr(64, 'b');
  EXPECT_EQ(with("\"" + pcr + "\"")->pcr11, pcr);
  for (const std::string& odd : {std::string("\"\""), std::string("7"), "\"" + pcr + "b\"",
                                 "\"" + std::string(64, 'B') + "\""}) {
    EXPECT_THAT(with(odd).status(), HasReason("bad-manifest")) << odd;
  }
}

TEST(ImageManifest, P2_ADocumentThatTwoReadersCouldReadDifferentlyIsNone) {
  const std::string good = Manifest();
  const std::pair<std::string, std::string> changes[] = {
      {"\"epoch\": 2", "\"epoch\": 2, \"epoch\": 3"},
      {"\"epoch\": 2", "\"epoch\": 2.5"},
      {"\"epoch\": 2", "\"epoch\": -2"},
      {"\"epoch\": 2", "\"epoch\": \"2\""},
      {"\"epoch\": 2", "\"epoch\": 0"},
      {"\"epoch\": 2,", ""},
      {"Image", "MachineConfig"},
      {"basalt/v1", "basalt/v2"},
      {"basalt.slot", "../basalt.slot"},
      {"basalt.slot", "/etc/passwd"},
      {"basalt.slot", ""},
      {"8192", "99999999999999"},
      {"1.4.0", "1.4+3"},
      {"1.4.0", ""},
      {":12", ""},
      {"2026-11-01T00:00:00Z", "yesterday"},
      {"\"later\": [1]}", "\"later\": [1]"},
  };
  for (const auto& [from, to] : changes) {
    const std::string changed = absl::StrReplaceAll(good, {{from, to}});
    ASSERT_NE(changed, good) << from;
    EXPECT_THAT(ParseImageManifest(changed).status(), HasReason("bad-manifest")) << to;
  }
  EXPECT_THAT(ParseImageManifest("").status(), HasReason("bad-manifest"));
  EXPECT_THAT(ParseImageManifest("[1]").status(), HasReason("bad-manifest"));
  EXPECT_THAT(ParseImageManifest(std::string(100000, '[')).status(), HasReason("bad-manifest"));
}

TEST(ImageManifest, ItsFilesLieBesideIt) {
  EXPECT_EQ(BesideManifest("https://example.org/basalt/1.4.0.image.json?token=a/b#c", "x.slot"),
            "https://example.org/basalt/x.slot");
  EXPECT_EQ(BesideManifest("file:///media/stick/a.json", "x.efi"), "file:///media/stick/x.efi");
}

}  // namespace
}  // namespace basalt::sign
