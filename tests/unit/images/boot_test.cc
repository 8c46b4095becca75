// What the first program of a node decides: which root, which slot, which device.
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "images/boot/disc.h"
#include "images/boot/partition.h"
#include "images/boot/root_spec.h"
#include "images/boot/superblock.h"
#include "images/boot/tries.h"

namespace basalt::boot {
namespace {

const std::string kHash(64, 'a');

Text Of(const std::string& text) { return {text.data(), text.size()}; }
std::string String(Text text) { return std::string(text.data, text.size); }

bool Parses(const std::string& command_line) {
  RootSpec spec;
  return ParseRootSpec(Of(command_line), &spec);
}

RootSpec Spec(uint64_t blocks) {
  RootSpec spec{.hash = {}, .blocks = blocks};
  for (size_t i = 0; i < sizeof spec.hash; ++i) spec.hash[i] = static_cast<uint8_t>(i);
  return spec;
}

TEST(RootSpec, IsTheHashAndTheNumberOfBlocks) {
  RootSpec spec;
  ASSERT_TRUE(ParseRootSpec(Of("quiet noded.root=" + kHash + ":4295 panic=10\n"), &spec));
  EXPECT_EQ(spec.blocks, 4295u);
  EXPECT_EQ(spec.hash[0], 0xaa);
  EXPECT_EQ(spec.hash[31], 0xaa);
}

TEST(RootSpec, U9_TheCommandLineNamesExactlyOneRoot) {
  const std::string good = "noded.root=" + kHash + ":4295";
  EXPECT_TRUE(Parses(good));
  EXPECT_FALSE(Parses(""));
  EXPECT_FALSE(Parses("quiet"));
  EXPECT_FALSE(Parses(good + " " + good)) << "whoever appends one must not win";
  EXPECT_FALSE(Parses(good + " noded.root="));
  EXPECT_FALSE(Parses("xnoded.root=" + kHash + ":4295"));
  EXPECT_FALSE(Parses("\"noded.root=" + kHash + ":4295\""));
}

TEST(RootSpec, U9_NothingButLowerCaseHexAndAPlainNumber) {
  for (std::string value :
       {kHash, kHash + ":", kHash + ":0", kHash + ":1", kHash + ":04", kHash + ":-4",
        kHash + ":4 5", kHash + ":4x", kHash + ":268435457", kHash + ":99999999999999999999999",
        kHash.substr(1) + ":9", kHash + "a:9", std::string(64, 'A') + ":9",
        std::string(64, 'g') + ":9", std::string(":9")}) {
    bool two_words = value == kHash + ":4 5";  // a number, and a word that is nobody's
    EXPECT_EQ(Parses("noded.root=" + value), two_words) << value;
  }
  EXPECT_TRUE(Parses("noded.root=" + kHash + ":268435456"));
}

TEST(Superblock, MatchesTheRootThatItWasMadeFor) {
  RootSpec spec = Spec(300);
  uint8_t salt[32] = {1, 2, 3};
  Superblock s = MakeSuperblock(spec, salt, sizeof salt);
  EXPECT_TRUE(Matches(s, spec));
  EXPECT_EQ(memcmp(&s, "verity\0\0\1\0\0\0\1\0\0\0", 16), 0);
  RootSpec other = spec;
  other.hash[3] ^= 1;
  EXPECT_FALSE(Matches(s, other));
  other = spec;
  other.blocks = 301;
  EXPECT_FALSE(Matches(s, other)) << "the size comes from the command line";
}

TEST(Superblock, U4_AFlippedBitIsAnotherSuperblockOrChangesTheSaltAlone) {
  RootSpec spec = Spec(300);
  uint8_t salt[32] = {1, 2, 3};
  const Superblock good = MakeSuperblock(spec, salt, sizeof salt);
  for (size_t bit = 0; bit < 8 * sizeof good; ++bit) {
    Superblock s = good;
    reinterpret_cast<uint8_t*>(&s)[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    size_t at = bit / 8;
    // Padding is nobody's; another salt makes every hash wrong, which the kernel finds.
    bool harmless = at >= offsetof(Superblock, salt_size);
    if (!harmless) {
      EXPECT_FALSE(Matches(s, spec)) << bit;
    }
    if (Matches(s, spec)) {
      EXPECT_LE(s.salt_size, sizeof s.salt) << bit;
    }
  }
}

TEST(Superblock, TheTableNamesDataAndTreeInOnePartition) {
  RootSpec spec = Spec(300);
  uint8_t salt[2] = {0xab, 0xcd};
  char buffer[512];
  Writer w(buffer, sizeof buffer);
  ASSERT_TRUE(WriteVerityTable(MakeSuperblock(spec, salt, 2), spec, Literal("254:2"), &w));
  EXPECT_EQ(std::string(buffer),
            "1 254:2 254:2 4096 4096 300 301 sha256 "
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f abcd 1 "
            "panic_on_corruption");
  char small[64];
  Writer tight(small, sizeof small);
  EXPECT_FALSE(WriteVerityTable(MakeSuperblock(spec, salt, 2), spec, Literal("254:2"), &tight));
}

TEST(Partition, IsReadFromTheKernelsDescription) {
  std::string uevent =
      "MAJOR=254\nMINOR=2\nDEVNAME=vda2\nDEVTYPE=partition\nDISKSEQ=1\nPARTN=2\nPARTNAME=SLOT-A\n";
  Partition p;
  ASSERT_TRUE(ParsePartition(Of(uevent), &p));
  EXPECT_EQ(String(p.name), "vda2");
  EXPECT_EQ(String(p.major) + ":" + String(p.minor), "254:2");
  EXPECT_TRUE(IsSlot(p));
}

TEST(Partition, OnlyTheTwoSlotsAreSlots) {
  for (std::string name : {"SLOT-C", "slot-a", "SLOT-A ", "SLOT-AB", "ESP", "SLOT-"}) {
    std::string uevent = "MAJOR=8\nMINOR=1\nDEVNAME=sda1\nPARTNAME=" + name + "\n";
    Partition p;
    ASSERT_TRUE(ParsePartition(Of(uevent), &p));
    EXPECT_FALSE(IsSlot(p)) << name;
  }
}

TEST(Partition, OddDescriptionsAreNoPartitions) {
  for (std::string uevent : {"", "MAJOR=8\nMINOR=1\nDEVNAME=sda\n",
                             "MAJOR=8\nMINOR=1\nDEVNAME=../sda\nPARTNAME=SLOT-A\n",
                             "MAJOR=8\nMINOR=1\nDEVNAME=.\nPARTNAME=SLOT-A\n",
                             "MAJOR=8x\nMINOR=1\nDEVNAME=sda1\nPARTNAME=SLOT-A\n",
                             "MINOR=1\nDEVNAME=sda1\nPARTNAME=SLOT-A\n",
                             "MAJOR=9999999\nMINOR=1\nDEVNAME=a\nPARTNAME=SLOT-A\n"}) {
    Partition p;
    EXPECT_FALSE(ParsePartition(Of(uevent), &p)) << uevent;
  }
}

std::string Counted(const std::string& name) {
  char buffer[kLongestEntry];
  Writer w(buffer, sizeof buffer);
  return CountedName(Of(name), &w) ? buffer : "";
}

TEST(Tries, ABootIsCountedAsTheLoaderWouldHave) {
  EXPECT_EQ(Counted("noded_2+3.efi"), "noded_2+2-1.efi");
  EXPECT_EQ(Counted("noded_2+2-1.efi"), "noded_2+1-2.efi");
  EXPECT_EQ(Counted("noded_2+1-2.efi"), "noded_2+0-3.efi");
  EXPECT_EQ(Counted("noded_1.0+rc1+3.efi"), "noded_1.0+rc1+2-1.efi");
}

TEST(Tries, WhatIsNotOnTrialIsNotCounted) {
  for (std::string name : {"noded_2.efi", "noded_2+0-3.efi", "noded_2+.efi", "noded_2+3-.efi",
                           "noded_2+x.efi", "+3.efi", "noded_2+3", "noded_2+03.efi",
                           "noded_2+99999.efi", "", ".efi", "noded_2-3.efi"}) {
    EXPECT_EQ(Counted(name), "") << name;
  }
  EXPECT_EQ(Counted(std::string(kLongestEntry, 'a') + "+3.efi"), "") << "does not fit";
}

std::string Variable(const std::string& text) {
  std::string out(4, '\0');
  for (char c : text + std::string(1, '\0')) out += std::string{c, '\0'};
  return out;
}

TEST(Tries, AVariableNamesAFileOfTheDirectoryOfEntriesOrNothing) {
  char buffer[kLongestEntry];
  auto read = [&](const std::string& bytes) {
    Writer w(buffer, sizeof buffer);
    return EntryOfVariable(Of(bytes), &w);
  };
  ASSERT_TRUE(read(Variable("noded_2+3.efi")));
  EXPECT_STREQ(buffer, "noded_2+3.efi");
  for (const std::string& hostile :
       {std::string(), std::string(4, '\0'), Variable(""), Variable("../x.efi"),
        Variable("a/b.efi"), Variable("a\\b.efi"), Variable(".efi"), Variable("a b"),
        Variable("caf\xe9"), Variable("a") + Variable("b"), Variable("a").substr(0, 7),
        Variable("a").substr(0, 6), Variable(std::string(kLongestEntry, 'x'))}) {
    EXPECT_FALSE(read(hostile)) << hostile.size();
  }
}

TEST(Disc, IsOursOnlyWithAPartitionTable) {
  EXPECT_TRUE(IsTableHeader(Literal("EFI PART")));
  EXPECT_FALSE(IsTableHeader(Literal("EFI PAR")));
  EXPECT_FALSE(IsTableHeader({}));
}

}  // namespace
}  // namespace basalt::boot
