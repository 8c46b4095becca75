// `nodectl image write`, into a file: what a node would find on the boot partition, and that nobody
// but it can read the secrets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "machineconfig/medium/fat.h"
#include "machineconfig/medium/partitions.h"
#include "machineconfig/schema/secrets.h"
#include "machineconfig/seal/config.h"
#include "machineconfig/sign/document.h"
#include "machineconfig/validate/validate.h"
#include "tests/component/client/nodectl_fixture.h"

namespace basalt::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

void Shell(const std::string& command) {
  ASSERT_EQ(std::system((command + " > /dev/null 2>&1").c_str()), 0) << command;
}

class ImageWrite : public NodectlFixture {
 protected:
  void SetUp() override {
    NodectlFixture::SetUp();
    // An image as the builder makes them, but small: a boot partition of FAT32 and two more.
    Write(Path("table"),
          "label: gpt\nstart=2048, size=131072, name=ESP\nstart=133120, size=8192, name=STATE\n"
          "start=141312, size=8192, name=DATA\n");
    Shell(absl::StrCat("truncate -s 76M ", Path("image.raw"), " && /sbin/sfdisk ",
                       Path("image.raw"), " < ", Path("table")));
    Shell(absl::StrCat("truncate -s 64M ", Path("esp"), " && mkfs.vfat -F 32 -s 1 -n ESP ",
                       Path("esp"), " && mmd -i ", Path("esp"), " ::EFI ::basalt && mcopy -i ",
                       Path("esp"), " ", Path("table"), " ::EFI/loader.efi && dd if=", Path("esp"),
                       " of=", Path("image.raw"), " bs=1M seek=1 conv=notrunc,sparse"));
  }

  // A file of the boot partition; "(none)" when it is not there.
  std::string OnEsp(const std::string& disk, const std::string& file) {
    medium::MemoryBytes bytes(Read(Path(disk)));
    const auto partitions = medium::ReadPartitions(bytes);
    EXPECT_TRUE(partitions.ok()) << partitions.status();
    if (!partitions.ok()) return "";
    medium::PartBytes esp(bytes, partitions->at(0).start, partitions->at(0).size);
    absl::StatusOr<medium::Fat> fat = medium::Fat::Open(esp);
    EXPECT_TRUE(fat.ok()) << fat.status();
    return fat.ok() ? fat->ReadFile(file, 4 << 20).value_or("(none)") : "";
  }
  Ran WriteTo(const std::string& disk, std::vector<std::string> more) {
    std::vector<std::string> words = {"image",           "write",  "--image",
                                      Path("image.raw"), "--disk", Path(disk)};
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }
  v1::MachineConfig ConfigOn(const std::string& disk) {
    const auto document = sign::FromDsseJson(OnEsp(disk, "basalt/config.json"));
    EXPECT_TRUE(document.ok()) << document.status();
    if (!document.ok()) return {};
    return validate::LoadAccepted(document->payload()).value_or(v1::MachineConfig());
  }
};

TEST_F(ImageWrite, PutsTrustAndAConfigForThisMediumOntoTheDisk) {
  const std::string config = WriteConfig();
  const std::string before = Read(Path("image.raw"));
  const Ran ran = WriteTo("n1.raw", {"--config", config, "--medium-id", "stick-7", "-o", "json"});
  ASSERT_EQ(ran.exit_code, 0) << ran.both();
  EXPECT_EQ(Read(Path("image.raw")), before) << "the image stays as it is";
  EXPECT_EQ(OnEsp("n1.raw", "basalt/trust.json"), Read(lab_ + "/trust.json"));
  EXPECT_EQ(OnEsp("n1.raw", "basalt/medium-id"), "stick-7\n");
  EXPECT_EQ(OnEsp("n1.raw", "EFI/loader.efi"), Read(Path("table")));

  v1::MachineConfig first = ConfigOn("n1.raw");
  EXPECT_EQ(first.target().medium_id(), "stick-7");
  EXPECT_TRUE(schema::PlaintextSecrets(first).empty());
  const std::string key = OnEsp("n1.raw", "basalt/medium.key");
  const auto medium = seal::Identity::Parse(absl::StripSuffix(key, "\n"));
  ASSERT_TRUE(medium.ok());
  EXPECT_TRUE(seal::OpenSecrets(first, {&*medium, 1}).empty());

  const auto json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["mediumId"], "stick-7");
  EXPECT_EQ(json["sealedToMedium"], true);
  EXPECT_EQ(json["verified"], true);
  EXPECT_THAT(ran.both(), Not(HasSubstr("AGE-SECRET-KEY")));
  Write(Path("esp.out"), Read(Path("n1.raw")).substr(1 << 20, 64 << 20));
  Shell(absl::StrCat("fsck.vfat -n ", Path("esp.out")));
}

TEST_F(ImageWrite, WhatWasSignedElsewhereForAMediumGoesOntoThatOne) {
  const std::string config = WriteConfig();
  ASSERT_EQ(Run({"image", "medium", "-o", Path("stick.medium"), "--id", "stick-7"}).exit_code, 0);
  ASSERT_EQ(Run({"image", "medium", "-o", Path("other.medium")}).exit_code, 0);
  const Ran again = Run({"image", "medium", "-o", Path("stick.medium")});
  EXPECT_THAT(again.err, HasSubstr("file-exists")) << "a key is not made anew by accident";
  const Ran signed_for =
      Run({"sign", "-f", config, "--medium", Path("stick.medium"), "-o", Path("n1.json"), "--yes"});
  ASSERT_EQ(signed_for.exit_code, 0) << signed_for.both();

  EXPECT_THAT(WriteTo("n1.raw", {"--config", Path("n1.json")}).err, HasSubstr("which-medium"));
  EXPECT_THAT(
      WriteTo("n1.raw", {"--config", Path("n1.json"), "--medium", Path("other.medium")}).err,
      HasSubstr("wrong-target"));
  const Ran ran =
      WriteTo("n1.raw", {"--config", Path("n1.json"), "--medium", Path("stick.medium")});
  ASSERT_EQ(ran.exit_code, 0) << ran.both();
  EXPECT_EQ(OnEsp("n1.raw", "basalt/config.json"), Read(Path("n1.json")));
  EXPECT_EQ(OnEsp("n1.raw", "basalt/medium-id"), "stick-7\n");
  EXPECT_THAT(ran.out, HasSubstr("nodectl pin n1"));
}

TEST_F(ImageWrite, WithoutAConfigTrustAlone) {
  const Ran ran = WriteTo("n1.raw", {});
  ASSERT_EQ(ran.exit_code, 0) << ran.both();
  EXPECT_EQ(OnEsp("n1.raw", "basalt/trust.json"), Read(lab_ + "/trust.json"));
  for (const char* file : {"basalt/config.json", "basalt/medium-id", "basalt/medium.key"}) {
    EXPECT_EQ(OnEsp("n1.raw", file), "(none)") << file;
  }
}

TEST_F(ImageWrite, RefusesWhatItMustNotWriteTo) {
  EXPECT_THAT(
      Run({"image", "write", "--image", Path("image.raw"), "--disk", Path("image.raw")}).err,
      HasSubstr("same-file"));
  EXPECT_THAT(Run({"image", "write", "--image", Path("table"), "--disk", Path("x")}).err,
              HasSubstr("not-an-image"));
  EXPECT_THAT(WriteTo("../../../../../../dev/null", {}).err, HasSubstr("not-a-disk"));
  Write(Path("n1.raw"), "something");
  EXPECT_THAT(WriteTo("n1.raw", {}).err, HasSubstr("needs-yes"));
  EXPECT_EQ(Read(Path("n1.raw")), "something");
  EXPECT_EQ(WriteTo("n1.raw", {"--yes"}).exit_code, 0);
}

TEST_F(ImageWrite, AConfigForAnotherOwnerIsRefusedBeforeAnythingIsWritten) {
  const std::string config = WriteConfig();
  ASSERT_EQ(Run({"init", Path("other"), "--cluster", "home", "--no-passphrase"}).exit_code, 0);
  const Ran ran = WriteTo("n1.raw", {"--config", config, "--trust", Path("other/trust.json")});
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_EQ(Read(Path("n1.raw")), "");
}

}  // namespace
}  // namespace basalt::client
