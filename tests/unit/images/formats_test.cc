// The bytes that firmware, loader and kernel read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "images/boot/superblock.h"
#include "images/builder/formats/cpio.h"
#include "images/builder/formats/elf.h"
#include "images/builder/formats/gpt.h"
#include "images/builder/formats/iso.h"
#include "images/builder/formats/kernel.h"
#include "images/builder/formats/little_endian.h"
#include "images/builder/formats/uki.h"
#include "images/builder/formats/verity.h"

namespace basalt::image {
namespace {

using ::testing::HasSubstr;

std::string Blocks(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += std::string(boot::kBlockSize, static_cast<char>(i));
  return out;
}

TEST(Verity, TheRootHashIsThatOfVeritysetup) {
  // veritysetup format of the same 300 blocks with the salt "aa...a" (cryptsetup 2.6.1).
  absl::StatusOr<VeritySlot> slot = AppendVerity(Blocks(300), std::string(32, 'a'));
  ASSERT_TRUE(slot.ok());
  EXPECT_EQ(slot->root_hash.Hex(),
            "e60410fdc5c64a4b855b299f950277d1ea8334c6397a6be3ae967c40c699fbe2");
  EXPECT_EQ(slot->data_blocks, 300u);
  // The superblock, a root block, and three blocks of 128 hashes each.
  EXPECT_EQ(slot->bytes.size(), (300 + 1 + 1 + 3) * boot::kBlockSize);
}

TEST(Verity, TheSlotSaysWhichRootItHolds) {
  absl::StatusOr<VeritySlot> slot = AppendVerity(Blocks(2), "salt");
  ASSERT_TRUE(slot.ok());
  boot::RootSpec spec{.hash = {}, .blocks = 2};
  std::copy(slot->root_hash.bytes.begin(), slot->root_hash.bytes.end(), spec.hash);
  boot::Superblock superblock;
  memcpy(&superblock, slot->bytes.data() + 2 * boot::kBlockSize, sizeof superblock);
  EXPECT_TRUE(boot::Matches(superblock, spec));
}

TEST(Verity, U4_EveryBlockCounts) {
  std::string good = Blocks(140);
  Digest hash = AppendVerity(good, "salt")->root_hash;
  for (size_t block = 0; block < 140; ++block) {
    std::string bad = good;
    bad[block * boot::kBlockSize + block] ^= 1;
    EXPECT_NE(AppendVerity(bad, "salt")->root_hash, hash) << block;
  }
}

TEST(Verity, OddSizesAreRefused) {
  EXPECT_FALSE(AppendVerity(std::string(5000, 'x'), "salt").ok());
  EXPECT_FALSE(AppendVerity(Blocks(1), "salt").ok());
  EXPECT_FALSE(AppendVerity(Blocks(2), "").ok());
  EXPECT_FALSE(AppendVerity(Blocks(2), std::string(257, 's')).ok());
}

TEST(Cpio, IsAlwaysTheSame) {
  CpioWriter cpio;
  cpio.AddDirectory("dev");
  cpio.AddFile("init", 0755, "x");
  std::string bytes = cpio.Finish();
  EXPECT_EQ(bytes.substr(0, 110),
            "070701"
            "00000001"
            "000041ED"
            "00000000"
            "00000000"
            "00000002"
            "00000000"
            "00000000"
            "00000000"
            "00000000"
            "00000000"
            "00000000"
            "00000004"
            "00000000");
  EXPECT_THAT(bytes, HasSubstr("TRAILER!!!"));
  EXPECT_EQ(bytes.size() % 512, 0u);
}

Partition Part(const std::string& name, uint64_t first, uint64_t sectors) {
  return {.name = name, .id = GuidOf(name), .first_sector = first, .sectors = sectors};
}

TEST(Gpt, PrimaryAndBackupSayTheSame) {
  Partition esp = Part("ESP", 2048, 2048);
  esp.type = PartitionType::kEfiSystem;
  absl::StatusOr<PartitionTable> table =
      MakeGpt(16384, GuidOf("disk"), {esp, Part("SLOT-A", 4096, 8192)});
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(table->start.size(), 34 * kSectorSize);
  EXPECT_EQ(table->end.size(), 33 * kSectorSize);
  absl::string_view start = table->start, end = table->end;
  EXPECT_EQ(start.substr(1024), end.substr(0, 32 * kSectorSize)) << "entries";
  absl::string_view primary = start.substr(512), backup = end.substr(32 * kSectorSize);
  EXPECT_EQ(primary.substr(0, 8), "EFI PART");
  EXPECT_EQ(ReadNumber<uint64_t>(primary, 24), 1u);
  EXPECT_EQ(ReadNumber<uint64_t>(primary, 32), 16383u);
  EXPECT_EQ(ReadNumber<uint64_t>(backup, 24), 16383u);
  EXPECT_EQ(ReadNumber<uint64_t>(backup, 72), 16351u) << "where its entries are";
  EXPECT_EQ(ReadNumber<uint32_t>(primary, 88), ReadNumber<uint32_t>(backup, 88)) << "their sum";
  EXPECT_EQ(ReadNumber<uint16_t>(start, 510), 0xaa55);
}

TEST(Gpt, PartitionsNeitherOverlapNorLeaveTheDisk) {
  auto made = [](std::vector<Partition> parts) {
    return MakeGpt(16384, GuidOf("disk"), parts).ok();
  };
  EXPECT_TRUE(made({Part("A", 34, 16384 - 34 - 33)}));
  EXPECT_FALSE(made({Part("A", 34, 16384 - 34 - 32)}));
  EXPECT_FALSE(made({Part("A", 33, 10)}));
  EXPECT_FALSE(made({Part("A", 2048, 2048), Part("B", 4095, 10)}));
  EXPECT_FALSE(made({Part("A", 2048, 0)}));
  EXPECT_FALSE(made({Part("", 2048, 8)}));
  EXPECT_FALSE(made({Part(std::string(37, 'x'), 2048, 8)}));
}

TEST(Gpt, APartitionInTheMbrLeavesTheFirstEntryToTheTable) {
  Partition esp = Part("ESP", 2048, 4096);
  absl::StatusOr<PartitionTable> table = MakeGpt(16384, GuidOf("disk"), {esp});
  ASSERT_TRUE(table.ok());
  std::string before = table->start.substr(512);
  AddToMbr(*table, esp);
  absl::string_view mbr = table->start;
  EXPECT_EQ(mbr[446 + 4], '\xee');
  EXPECT_EQ(ReadNumber<uint32_t>(mbr, 446 + 8), 1u);
  EXPECT_EQ(ReadNumber<uint32_t>(mbr, 446 + 12), 0xffffffffu) << "holds on a disk that grew";
  EXPECT_EQ(mbr[462 + 4], '\x0c');
  EXPECT_EQ(ReadNumber<uint32_t>(mbr, 462 + 8), 2048u);
  EXPECT_EQ(ReadNumber<uint32_t>(mbr, 462 + 12), 4096u);
  EXPECT_EQ(ReadNumber<uint16_t>(mbr, 510), 0xaa55);
  EXPECT_EQ(table->start.substr(512), before);
}

IsoSpec Disc() {
  return {.volume = "BASALT",
          .size = 8 << 20,
          .esp = 1 << 20,
          .files = {{"SLOT.IMG", 4 << 20, 5000}, {"ESP.IMG", 1 << 20, 2 << 20}},
          .readme = "read me",
          .time = absl::FromUnixSeconds(1700000000)};
}

TEST(Iso, FirmwareFindsTheBootPartition) {
  absl::StatusOr<std::string> iso = MakeIso(Disc());
  ASSERT_TRUE(iso.ok()) << iso.status();
  absl::string_view volume = *iso, boot = volume.substr(2048), catalog = volume.substr(3 * 2048);
  EXPECT_EQ(volume.substr(0, 7), absl::string_view("\1CD001\1", 7));
  EXPECT_EQ(ReadNumber<uint32_t>(volume, 80), 4096u) << "blocks of 2 KiB";
  EXPECT_EQ(boot.substr(0, 30), absl::string_view("\0CD001\1EL TORITO SPECIFICATION", 30));
  EXPECT_EQ(ReadNumber<uint32_t>(boot, 71), 19u) << "the catalog";
  uint16_t sum = 0;
  for (uint64_t i = 0; i < 32; i += 2) {
    sum = static_cast<uint16_t>(sum + ReadNumber<uint16_t>(catalog, i));
  }
  EXPECT_EQ(sum, 0);
  EXPECT_EQ(catalog[1], '\xef') << "for EFI";
  EXPECT_EQ(catalog[32], '\x88');
  EXPECT_EQ(ReadNumber<uint32_t>(catalog, 40), (1u << 20) / 2048);
}

TEST(Iso, EndsBeforeTheFirstPartitionAndIsTheSameTwice) {
  absl::StatusOr<std::string> first = MakeIso(Disc()), second = MakeIso(Disc());
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, *second);
  EXPECT_GE(kIsoAt, 34 * kSectorSize) << "behind the table";
  EXPECT_LE(kIsoAt + first->size(), 1u << 20);
}

TEST(Iso, OddNamesAndPlacesAreRefused) {
  auto made = [](auto change) {
    IsoSpec spec = Disc();
    change(spec);
    return MakeIso(spec).ok();
  };
  EXPECT_FALSE(made([](IsoSpec& s) { s.files[0].name = "slot.img"; }));
  EXPECT_FALSE(made([](IsoSpec& s) { s.files[0].name = "TOOLONGNAME.IMG"; }));
  EXPECT_FALSE(made([](IsoSpec& s) { s.files[0].name = "A.B.C"; }));
  EXPECT_FALSE(made([](IsoSpec& s) { s.files[0].offset += 512; }));
  EXPECT_FALSE(made([](IsoSpec& s) { s.files[0].offset = 16 * 2048; }));
  EXPECT_FALSE(made([](IsoSpec& s) { s.files[0].size = 8 << 20; }));
  EXPECT_FALSE(made([](IsoSpec& s) { s.esp = 1000; }));
  EXPECT_FALSE(made([](IsoSpec& s) { s.size += 512; }));
  EXPECT_FALSE(made([](IsoSpec& s) { s.readme = std::string(3000, 'x'); }));
}

TEST(Kernel, TellsItsReleaseOnBothMachines) {
  std::string amd64(0x400, '\0');
  amd64.replace(0x202, 4, "HdrS");
  WriteNumber<uint16_t>(amd64, 0x20e, 0x100);
  amd64.replace(0x300, 30, "6.1.0-56-amd64 (builder) #1 SM");
  EXPECT_EQ(KernelRelease(amd64).value_or(""), "6.1.0-56-amd64");
  std::string arm64(0x40, '\0');
  arm64.replace(0x38, 4, "ARMd");
  EXPECT_FALSE(KernelRelease(arm64).ok());
  arm64 += std::string("Linux version %s\0", 17) + "Linux version 6.1.0-56-arm64 (builder)";
  EXPECT_EQ(KernelRelease(arm64).value_or(""), "6.1.0-56-arm64");
  EXPECT_FALSE(KernelRelease("").ok());
  EXPECT_FALSE(KernelRelease(amd64.substr(0, 0x300)).ok());
}

// The least that is a PE32+ program with one section and room for `room` more.
std::string Stub(int room) {
  std::string s(0x400 + 0x200, '\0');
  s[0] = 'M';
  s[1] = 'Z';
  WriteNumber<uint32_t>(s, 0x3c, 0x80);
  s.replace(0x80, 4, std::string("PE\0\0", 4));
  WriteNumber<uint16_t>(s, 0x80 + 6, 1);
  WriteNumber<uint32_t>(s, 0x80 + 8, 1234567);  // a build time
  WriteNumber<uint16_t>(s, 0x80 + 20, 240);
  WriteNumber<uint16_t>(s, 0x80 + 24, 0x20b);
  WriteNumber<uint32_t>(s, 0x80 + 24 + 32, 0x200);
  WriteNumber<uint32_t>(s, 0x80 + 24 + 36, 0x200);
  WriteNumber<uint32_t>(s, 0x80 + 24 + 60,
                        static_cast<uint32_t>(0x80 + 24 + 240 + 40 * (1 + room)));
  WriteNumber<uint32_t>(s, 0x80 + 24 + 64, 99);
  size_t section = 0x80 + 24 + 240;
  s.replace(section, 5, ".text");
  WriteNumber<uint32_t>(s, section + 8, 0x180);
  WriteNumber<uint32_t>(s, section + 12, 0x1000);
  WriteNumber<uint32_t>(s, section + 16, 0x200);
  WriteNumber<uint32_t>(s, section + 20, 0x400);
  return s;
}

const UkiParts kParts{.os_release = "NAME=Basalt\n",
                      .command_line = "quiet",
                      .kernel_version = "6.1",
                      .kernel = std::string(5000, 'k'),
                      .initramfs = std::string(300, 'i')};

TEST(Uki, HoldsEveryPartWhereTheStubLooksForIt) {
  absl::StatusOr<std::string> uki = MakeUki(Stub(5), kParts);
  ASSERT_TRUE(uki.ok()) << uki.status();
  EXPECT_EQ(*UkiSection(*uki, ".cmdline"), "quiet");
  EXPECT_EQ(*UkiSection(*uki, ".osrel"), "NAME=Basalt\n");
  EXPECT_EQ(*UkiSection(*uki, ".uname"), "6.1");
  EXPECT_EQ(*UkiSection(*uki, ".linux"), kParts.kernel);
  EXPECT_EQ(*UkiSection(*uki, ".initrd"), kParts.initramfs);
  EXPECT_FALSE(UkiSection(*uki, ".none").ok());
}

TEST(Uki, U10_CarriesNoTimeOfItsBuild) {
  absl::StatusOr<std::string> uki = MakeUki(Stub(5), kParts);
  ASSERT_TRUE(uki.ok());
  EXPECT_EQ(ReadNumber<uint32_t>(*uki, 0x80 + 8), 0u);
  EXPECT_EQ(ReadNumber<uint32_t>(*uki, 0x80 + 24 + 64), 0u);
}

TEST(Uki, SectionsStartOnPagesAndDoNotOverlap) {
  absl::StatusOr<std::string> uki = MakeUki(Stub(5), kParts);
  ASSERT_TRUE(uki.ok());
  uint64_t end = 0x1000 + 0x180;
  for (uint64_t i = 1; i < 6; ++i) {
    uint64_t at = 0x80 + 24 + 240 + i * 40, address = ReadNumber<uint32_t>(*uki, at + 12);
    EXPECT_EQ(address % 4096, 0u);
    EXPECT_GE(address, end);
    end = address + ReadNumber<uint32_t>(*uki, at + 8);
  }
  EXPECT_GE(ReadNumber<uint32_t>(*uki, 0x80 + 24 + 56), end) << "size of the program in memory";
}

TEST(Uki, AStubWithoutRoomOrThatIsNoneIsRefused) {
  EXPECT_FALSE(MakeUki(Stub(4), kParts).ok());
  EXPECT_FALSE(MakeUki("", kParts).ok());
  EXPECT_FALSE(MakeUki("MZ", kParts).ok());
  std::string cut = Stub(5).substr(0, 0x500);
  EXPECT_FALSE(MakeUki(cut, kParts).ok()) << "a section that leaves the file";
}

TEST(Elf, ReadsTheProgramThatRunsThisTest) {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  absl::StatusOr<ElfFacts> elf = ReadElf(bytes.str());
  ASSERT_TRUE(elf.ok());
  EXPECT_TRUE(elf->program);
  EXPECT_FALSE(elf->fixed_address);
  EXPECT_TRUE(elf->relro);
  EXPECT_TRUE(elf->bind_now);
  EXPECT_FALSE(elf->executable_stack);
  EXPECT_THAT(elf->interpreter, HasSubstr("ld-linux"));
  EXPECT_THAT(elf->needed, ::testing::Contains("libc.so.6"));
}

TEST(Elf, WhatIsCutIsNeverReadBeyondItsEnd) {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  std::string head(8192, '\0');
  file.read(head.data(), 8192);
  for (size_t size = 0; size < head.size(); size += 7)
    (void)ReadElf(absl::string_view(head).substr(0, size));
  EXPECT_FALSE(ReadElf("").ok());
  EXPECT_FALSE(ReadElf("\177ELF").ok());
}

TEST(Elf, U10_TheBuildIdIsOfWhatIsLeftAfterStripping) {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  std::stringstream stream;
  stream << file.rdbuf();
  const std::string original = stream.str();
  std::string once = original;
  RenewBuildId(once);
  EXPECT_NE(once, original);
  EXPECT_EQ(once.size(), original.size());
  std::string twice = once;
  RenewBuildId(twice);
  EXPECT_EQ(twice, once) << "the old id does not go into the new one";
  std::string changed = original;
  changed.back() ^= 1;
  RenewBuildId(changed);
  changed.back() ^= 1;
  EXPECT_NE(changed, once);
  std::string text = "no program";
  RenewBuildId(text);
  EXPECT_EQ(text, "no program");
}

TEST(Elf, ASignatureIsAtTheVeryEndOfAModule) {
  EXPECT_TRUE(HasModuleSignature("...~Module signature appended~\n"));
  EXPECT_FALSE(HasModuleSignature("...~Module signature appended~"));
  EXPECT_FALSE(HasModuleSignature(""));
}

}  // namespace
}  // namespace basalt::image
