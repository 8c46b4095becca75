// File systems of media, against dosfstools, mtools and xorriso: what they write is read here, what
// is written here they find good.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "machineconfig/medium/fat.h"
#include "machineconfig/medium/iso9660.h"
#include "machineconfig/medium/partitions.h"
#include "tests/unit/machineconfig/medium/tools.h"

namespace basalt::medium {
namespace {

using ::testing::ElementsAre;
using testing::Get;
using testing::Put;
using testing::Scratch;
using testing::Sh;

std::string Long(size_t size) {
  std::string out;
  for (size_t i = 0; i < size; ++i) out.push_back(static_cast<char>('a' + i % 23));
  return out;
}

// `kind`: 12, 16 or 32; as large as that kind wants.
std::string MakeFat(const Scratch& dir, int kind, const std::string& label) {
  const std::string file = dir / absl::StrCat("fat", kind);
  Sh(absl::StrCat("truncate -s ", kind == 12 ? 2 : kind == 16 ? 32 : 64, "M ", file));
  Sh(absl::StrCat("mkfs.vfat -F ", kind, " -s 1 -n '", label, "' ", file));
  return file;
}

class EveryFat : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Kinds, EveryFat, ::testing::Values(12, 16, 32));

TEST_P(EveryFat, FilesThatOthersWroteAreRead) {
  Scratch dir;
  const std::string file = MakeFat(dir, GetParam(), "CIDATA");
  Put(dir / "user-data", Long(70000));
  Put(dir / "a name that is longer than eight and three.txt", "long");
  Sh(absl::StrCat("mcopy -i ", file, " ", dir / "user-data", " ::user-data"));
  Sh(absl::StrCat("mmd -i ", file, " ::openstack ::openstack/latest"));
  Sh(absl::StrCat("mcopy -i ", file, " '", dir / "a name that is longer than eight and three.txt",
                  "' ::openstack/latest/"));
  MemoryBytes bytes(Get(file));
  absl::StatusOr<Fat> fat = Fat::Open(bytes);
  ASSERT_TRUE(fat.ok()) << fat.status();
  EXPECT_EQ(fat->label(), "CIDATA");
  EXPECT_EQ(fat->ReadFile("user-data", 1 << 20).value_or(""), Long(70000));
  EXPECT_EQ(fat->ReadFile("USER-DATA", 1 << 20).value_or(""), Long(70000));
  EXPECT_EQ(fat->ReadFile("openstack/latest/a name that is longer than eight and three.txt", 10)
                .value_or(""),
            "long");
  EXPECT_TRUE(absl::IsNotFound(fat->ReadFile("openstack/latest/none", 10).status()));
  EXPECT_TRUE(absl::IsNotFound(fat->ReadFile("openstack", 10).status()));
  EXPECT_TRUE(absl::IsNotFound(fat->ReadFile("user-data/x", 10).status()));
  EXPECT_EQ(api::Reason(fat->ReadFile("user-data", 69999).status()), "file-too-large");
}

// mtools refuses these; mkfs.vfat makes them and Linux mounts them.
TEST(Fat, ASmallOneIsOfTheKindThatItWasMadeAs) {
  Scratch dir;
  const std::string file = dir / "small";
  Sh(absl::StrCat("truncate -s 2M ", file, " && mkfs.vfat -F 32 -n BASALT ", file));
  MemoryBytes bytes(Get(file));
  Fat fat = Fat::Open(bytes).value();
  EXPECT_EQ(fat.label(), "BASALT");
  ASSERT_TRUE(fat.WriteFile("config.json", "{}").ok());
  EXPECT_EQ(fat.ReadFile("config.json", 10).value_or(""), "{}");
  Put(dir / "out", bytes.data());
  Sh(absl::StrCat("fsck.vfat -n ", dir / "out"));
}

TEST(Fat, FilesThatAreWrittenOthersFindGood) {
  Scratch dir;
  const std::string file = MakeFat(dir, 32, "ESP");
  Sh(absl::StrCat("mmd -i ", file, " ::EFI"));
  MemoryBytes bytes(Get(file));
  Fat fat = Fat::Open(bytes).value();
  ASSERT_TRUE(fat.WriteFile("basalt/config.json", Long(5000)).ok());
  ASSERT_TRUE(fat.WriteFile("basalt/medium-id", "stick-7\n").ok());
  ASSERT_TRUE(fat.WriteFile("basalt/trust.json", "").ok());
  // More than a cluster of a directory holds, in the root and below.
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(fat.WriteFile(absl::StrCat("basalt/a-long-name-number-", i, ".txt"), "x").ok());
  }
  EXPECT_EQ(fat.ReadFile("basalt/config.json", 10000).value_or(""), Long(5000));
  Put(dir / "out", bytes.data());
  Sh(absl::StrCat("fsck.vfat -n ", dir / "out"));
  Sh(absl::StrCat("mcopy -i ", dir / "out", " ::basalt/config.json ", dir / "config"));
  EXPECT_EQ(Get(dir / "config"), Long(5000));
  Sh(absl::StrCat("mcopy -i ", dir / "out", " ::basalt/a-long-name-number-39.txt ", dir / "last"));
  EXPECT_EQ(Get(dir / "last"), "x");
}

TEST(Fat, AFileIsReplacedAndItsOldPlaceIsFree) {
  Scratch dir;
  MemoryBytes bytes(Get(MakeFat(dir, 32, "ESP")));
  Fat fat = Fat::Open(bytes).value();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(fat.WriteFile("basalt/config.json", Long(9000 + i)).ok());
  EXPECT_EQ(fat.ReadFile("basalt/config.json", 10000).value_or(""), Long(9004));
  EXPECT_EQ(fat.List("basalt").value().size(), 1u);
  Put(dir / "out", bytes.data());
  Sh(absl::StrCat("fsck.vfat -n ", dir / "out"));
}

TEST(Fat, AFullOneSaysSo) {
  Scratch dir;
  MemoryBytes bytes(Get(MakeFat(dir, 32, "ESP")));
  Fat fat = Fat::Open(bytes).value();
  EXPECT_EQ(api::Reason(fat.WriteFile("a", Long(70 << 20))), "medium-full");
  EXPECT_FALSE(fat.WriteFile("../a", "").ok());
  MemoryBytes old(Get(MakeFat(dir, 16, "ESP")));
  Fat fat16 = Fat::Open(old).value();
  EXPECT_EQ(api::Reason(fat16.WriteFile("a", "")), "not-fat32");
}

TEST(Fat, WhatIsNoneIsNotTakenForOne) {
  MemoryBytes zeros(std::string(4096, '\0')), tiny("x"), text(Long(100000));
  for (Bytes* bytes : std::initializer_list<Bytes*>{&zeros, &tiny, &text}) {
    EXPECT_EQ(api::Reason(Fat::Open(*bytes).status()), "not-fat");
    EXPECT_EQ(api::Reason(Iso9660::Open(*bytes).status()), "not-iso9660");
  }
}

class EveryDisc : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Names, EveryDisc,
                         ::testing::Values("-joliet on -rockridge on", "-joliet on -rockridge off",
                                           "-joliet off -rockridge on"));

TEST_P(EveryDisc, FilesAreReadByTheirLongNames) {
  Scratch dir;
  Put(dir / "in/user-data", Long(5000));
  Put(dir / "in/openstack/latest/user_data", "deep");
  Sh(absl::StrCat("xorriso -outdev ", dir / "disc", " ", GetParam(), " -volid cidata -map ",
                  dir / "in", " /"));
  MemoryBytes bytes(Get(dir / "disc"));
  absl::StatusOr<Iso9660> disc = Iso9660::Open(bytes);
  ASSERT_TRUE(disc.ok()) << disc.status();
  EXPECT_EQ(disc->label(), "cidata");
  EXPECT_EQ(disc->ReadFile("user-data", 10000).value_or(""), Long(5000));
  EXPECT_EQ(disc->ReadFile("openstack/latest/user_data", 10000).value_or(""), "deep");
  EXPECT_TRUE(absl::IsNotFound(disc->ReadFile("meta-data", 10).status()));
  EXPECT_EQ(api::Reason(disc->ReadFile("user-data", 10).status()), "file-too-large");
}

TEST(Partitions, AreThoseThatSfdiskMade) {
  Scratch dir;
  Put(dir / "script",
      "label: gpt\nstart=2048, size=4096, name=ESP\nstart=8192, size=2048, name=STATE\n");
  Sh(absl::StrCat("truncate -s 8M ", dir / "disk"));
  Sh(absl::StrCat("/sbin/sfdisk ", dir / "disk", " < ", dir / "script"));
  std::string image = Get(dir / "disk");
  MemoryBytes bytes(image);
  EXPECT_THAT(ReadPartitions(bytes).value(),
              ElementsAre(Partition{"ESP", 2048 * 512, 4096 * 512},
                          Partition{"STATE", 8192 * 512, 2048 * 512}));
  image[1024] ^= 1;  // an entry
  MemoryBytes damaged(image);
  EXPECT_EQ(api::Reason(ReadPartitions(damaged).status()), "no-partition-table");
}

TEST(Overlay, WhatIsWrittenStandsOverWhatStays) {
  MemoryBytes below(Long(10000));
  OverlayBytes over(below);
  ASSERT_TRUE(over.Write(4090, "0123456789").ok());
  ASSERT_TRUE(over.Write(9999, "!").ok());
  EXPECT_FALSE(over.Write(9999, "!!").ok());
  std::string want = Long(10000);
  want.replace(4090, 10, "0123456789").replace(9999, 1, "!");
  EXPECT_EQ(over.Read(0, 10000).value(), want);
  EXPECT_EQ(over.Read(4095, 2).value(), "56");
  EXPECT_EQ(over.blocks().size(), 3u);
  EXPECT_EQ(below.data(), Long(10000));
}

}  // namespace
}  // namespace basalt::medium
