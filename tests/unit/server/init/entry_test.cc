// Blessing a boot: what the loader's variables and the entries themselves may say.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "server/init/boot/boot_entry.h"
#include "tests/unit/server/init/fake_machine.h"

namespace basalt::init {
namespace {

constexpr char kHash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
constexpr char kOther[] = "f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
constexpr char kGuid[] = "-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

std::string Variable(const std::string& text, bool end = true) {
  std::string out("\6\0\0\0", 4);
  for (char c : text) out += std::string{c, '\0'};
  return end ? out + std::string(2, '\0') : out;
}

void Put(std::string& text, size_t at, uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i)
    text[at + static_cast<size_t>(i)] = static_cast<char>(value >> 8 * i);
}

// The least of a PE program with a command line in it.
std::string Uki(const std::string& line, size_t offset = 1024) {
  std::string out(offset, '\0');
  out.replace(0, 2, "MZ");
  Put(out, 60, 128, 4);
  out.replace(128, 4, std::string("PE\0\0", 4));
  Put(out, 128 + 6, 2, 2);     // sections
  Put(out, 128 + 20, 240, 2);  // optional header
  size_t table = 128 + 24 + 240;
  out.replace(table, 5, ".osrel", 5);
  out.replace(table + 40, 8, ".cmdline");
  Put(out, table + 40 + 8, static_cast<uint32_t>(line.size()), 4);
  Put(out, table + 40 + 16, 512, 4);
  Put(out, table + 40 + 20, static_cast<uint32_t>(offset), 4);
  return out + line + std::string(512 - line.size(), '\0');
}

std::string Line(const char* hash) {
  return std::string("console=ttyS0 noded.root=") + hash + ":4321 panic=10";
}

TEST(EntryText, AVariableIsTextThatEndsOnce) {
  char text[kEntryNameSize];
  auto read = [&](const std::string& bytes) {
    return VariableText(bytes.data(), bytes.size(), text, sizeof text);
  };
  ASSERT_TRUE(read(Variable("noded_2.efi")));
  EXPECT_STREQ(text, "noded_2.efi");
  for (const std::string& hostile :
       {std::string(), std::string("\6\0\0", 3), std::string("\6\0\0\0", 4), Variable(""),
        Variable("a", false), Variable("a") + std::string(2, '\0'), Variable("a") + Variable("b"),
        Variable("a\nb"), Variable("caf\xe9"), Variable(std::string(kEntryNameSize, 'x')),
        std::string("\6\0\0\0\x61\xd8\0\0", 8), Variable(std::string(60000, 'x'))}) {
    EXPECT_FALSE(read(hostile)) << hostile.size();
  }
  EXPECT_TRUE(read(Variable(std::string(kEntryNameSize - 1, 'x'))));
}

TEST(EntryText, APathIsOfOneFileInTheDirectoryOfEntries) {
  char name[kEntryNameSize];
  ASSERT_TRUE(EntryOfPath("\\EFI\\Linux\\noded_2+2-1.efi", name));
  EXPECT_STREQ(name, "noded_2+2-1.efi");
  EXPECT_TRUE(EntryOfPath("\\efi\\linux\\noded_2+2-1.EFI", name));
  for (const char* hostile :
       {"", "noded_2+2-1.efi", "\\EFI\\Linux\\", "\\EFI\\BOOT\\BOOTX64.EFI",
        "\\EFI\\Linux\\..\\BOOT\\BOOTX64.EFI", "\\EFI\\Linux\\a/b.efi", "\\EFI\\Linux\\.efi",
        "\\EFI\\Linux\\..efi", "\\EFI\\Linux\\noded 2.efi", "\\EFI\\Linux\\noded_2",
        "/EFI/Linux/a.efi", "\\EFI\\Linux\\%n.efi", "\\EFI\\Linux\\\\a.efi"}) {
    EXPECT_FALSE(EntryOfPath(hostile, name)) << hostile;
  }
  std::string longest = "\\EFI\\Linux\\" + std::string(kEntryNameSize - 5, 'a') + ".efi";
  EXPECT_TRUE(EntryOfPath(longest.c_str(), name));
  longest.insert(12, "a");
  EXPECT_FALSE(EntryOfPath(longest.c_str(), name));
}

TEST(EntryText, TriesStandRightBeforeTheSuffix) {
  struct Case {
    const char* name;
    bool good;
    const char* stem;
    bool counted;
    int left, done;
  };
  for (const Case& c :
       {Case{"noded_2+3.efi", true, "noded_2", true, 3, 0},
        Case{"noded_2+2-1.efi", true, "noded_2", true, 2, 1},
        Case{"noded_2+0-3.EFI", true, "noded_2", true, 0, 3},
        Case{"noded_2.efi", true, "noded_2", false, 0, 0},
        Case{"noded_1.2+dfsg.efi", true, "noded_1.2+dfsg", false, 0, 0},
        Case{"noded_1+b1+2-1.efi", true, "noded_1+b1", true, 2, 1},
        Case{"noded_2+.efi", true, "noded_2+", false, 0, 0},
        Case{"noded_2+2-.efi", true, "noded_2+2-", false, 0, 0},
        Case{"noded_2+99999.efi", true, "noded_2+99999", false, 0, 0},
        Case{"+3.efi", true, "+3", false, 0, 0}, Case{".efi", false, "", false, 0, 0},
        Case{"noded_2+3.efi.bak", false, "", false, 0, 0}}) {
    EntryName entry;
    ASSERT_EQ(ParseEntryName(c.name, &entry), c.good) << c.name;
    if (!c.good) continue;
    EXPECT_STREQ(entry.stem, c.stem) << c.name;
    EXPECT_EQ(entry.counted, c.counted) << c.name;
    EXPECT_EQ(entry.left, c.left) << c.name;
    EXPECT_EQ(entry.done, c.done) << c.name;
  }
}

TEST(EntryText, TheRootOfACommandLineIsOneAndWhole) {
  char root[kRootSize];
  auto read = [&](const std::string& line) {
    return RootOfCommandLine(line.data(), line.size(), root);
  };
  ASSERT_TRUE(read(Line(kHash)));
  EXPECT_EQ(std::string(root), std::string(kHash) + ":4321");
  EXPECT_TRUE(read(Line(kHash) + std::string("\n\0\0", 3)));
  EXPECT_TRUE(read(Line(kHash) + " " + Line(kHash)));
  std::string key = "noded.root=";
  for (const std::string& hostile :
       {std::string(), std::string("quiet"), key, key + "abc:1", key + kHash, key + kHash + ":",
        key + kHash + ":1x", "x" + key + kHash + ":1", Line(kHash) + " " + Line(kOther),
        key + std::string(64, 'G') + ":1", key + kHash + ":" + std::string(64, '1')}) {
    EXPECT_FALSE(read(hostile)) << hostile;
  }
}

TEST(EntryText, P8_ASectionIsFoundOrNotWhateverIsCutOrFlipped) {
  std::string uki = Uki(Line(kHash));
  Section section;
  ASSERT_TRUE(FindSection(uki.data(), uki.size(), ".cmdline", &section));
  EXPECT_EQ(uki.substr(section.offset, section.size), Line(kHash));
  EXPECT_FALSE(FindSection(uki.data(), uki.size(), ".linux", &section));
  EXPECT_FALSE(FindSection(uki.data(), uki.size(), ".toolongname", &section));
  for (size_t size = 0; size < 470; ++size) {
    std::unique_ptr<char[]> exact(new char[size]);  // one byte more is seen by a sanitizer
    memcpy(exact.get(), uki.data(), size);
    FindSection(exact.get(), size, ".cmdline", &section);
    for (int bit = 0; size > 0 && bit < 8; ++bit) {
      exact[size - 1] = static_cast<char>(uki[size - 1] ^ (1 << bit));
      FindSection(exact.get(), size, ".cmdline", &section);
    }
  }
}

TEST(BootEntry, ALoaderIsBelievedOnlyOfTheEntryThatItSelected) {
  char file[kEntryNameSize];
  const char* counted = "\\EFI\\Linux\\noded_2+2-1.efi";
  EXPECT_EQ(Judge(nullptr, "noded_2.efi", file), EntryState::kUncounted);
  EXPECT_EQ(Judge(counted, "noded_2+3.efi", file), EntryState::kTrial);
  EXPECT_EQ(Judge(counted, "noded_2+2-1.efi", file), EntryState::kTrial);
  EXPECT_EQ(Judge(counted, "NODED_2+3.efi", file), EntryState::kTrial);
  EXPECT_STREQ(file, "noded_2+2-1.efi");
  EXPECT_EQ(Judge(counted, "noded_1.efi", file), EntryState::kStale);  // it was refused at load
  EXPECT_EQ(Judge(counted, "noded_22+3.efi", file), EntryState::kStale);
  EXPECT_EQ(Judge(counted, nullptr, file), EntryState::kStale);
  EXPECT_EQ(Judge(counted, "", file), EntryState::kStale);
  EXPECT_EQ(Judge("\\EFI\\Linux\\noded_2.efi", "noded_2.efi", file), EntryState::kStale);
  EXPECT_EQ(Judge("\\EFI\\BOOT\\a+1.efi", "a+1.efi", file), EntryState::kStale);
}

class BootEntryTest : public ::testing::Test {
 protected:
  static constexpr char kFrom[] = "/esp/EFI/Linux/noded_2+2-1.efi";
  static constexpr char kTo[] = "/esp/EFI/Linux/noded_2.efi";

  void SetUp() override {
    machine_.AddPartition("vda1", "ESP", 4096);
    machine_.AddPartition("vda2", "SLOT-A", 4096);
    machine_.BootFrom("vda2");
    machine_.files["/proc/cmdline"] = Line(kHash) + "\n";
    Set("LoaderBootCountPath", "\\EFI\\Linux\\noded_2+2-1.efi");
    Set("LoaderEntrySelected", "noded_2+3.efi");
    machine_.files[kFrom] = Uki(Line(kHash));
  }
  void Set(const std::string& name, const std::string& text) {
    machine_.files["/sys/firmware/efi/efivars/" + name + kGuid] = Variable(text);
  }
  void Unset(const std::string& name) {
    machine_.files.erase("/sys/firmware/efi/efivars/" + name + kGuid);
  }

  FakeMachine machine_;
  BootEntry entry_{machine_};
};

TEST_F(BootEntryTest, ATrialThatIsGoodIsRenamedOnce) {
  entry_.Look();
  EXPECT_EQ(entry_.state(), EntryState::kTrial);
  EXPECT_EQ(entry_.Bless(), 0);
  EXPECT_EQ(entry_.state(), EntryState::kGood);
  EXPECT_TRUE(machine_.files.contains(kTo));
  EXPECT_FALSE(machine_.files.contains(kFrom));
  EXPECT_FALSE(machine_.IsMounted("/esp"));
  size_t done = machine_.done.size();
  EXPECT_EQ(entry_.Bless(), 0);
  EXPECT_EQ(machine_.done.size(), done);  // nothing is touched again
}

TEST_F(BootEntryTest, NothingIsCountedNothingIsTouched) {
  Unset("LoaderBootCountPath");
  Set("LoaderEntrySelected", "noded_2.efi");
  entry_.Look();
  EXPECT_EQ(entry_.state(), EntryState::kUncounted);
  EXPECT_EQ(entry_.Bless(), 0);
  EXPECT_TRUE(machine_.done.empty());
}

// U-Boot refuses the loader's rename; the first program has counted instead.
TEST_F(BootEntryTest, U2_ATrialBelowALoaderThatCannotCountIsOneAllTheSame) {
  Unset("LoaderBootCountPath");
  machine_.files["/esp/EFI/Linux/noded_1.efi"] = Uki(Line(kOther));
  entry_.Look();
  EXPECT_EQ(entry_.state(), EntryState::kTrial);
  EXPECT_FALSE(machine_.IsMounted("/esp"));
  EXPECT_TRUE(machine_.files.contains(kFrom)) << "seeing it changes nothing";
  EXPECT_EQ(entry_.Bless(), 0);
  EXPECT_TRUE(machine_.files.contains(kTo));
  EXPECT_FALSE(machine_.files.contains(kFrom));
}

TEST_F(BootEntryTest, BelowALoaderThatCannotCountAnotherRootIsLeftAlone) {
  Unset("LoaderBootCountPath");
  machine_.files[kFrom] = Uki(Line(kOther));
  entry_.Look();
  EXPECT_EQ(entry_.Bless(), ESTALE);
  EXPECT_TRUE(machine_.files.contains(kFrom));
}

TEST_F(BootEntryTest, AnEntryThatIsGoodByNowIsNoTrialBelowALoaderThatCannotCount) {
  Unset("LoaderBootCountPath");
  machine_.files[kTo] = machine_.files[kFrom];
  machine_.files.erase(kFrom);
  entry_.Look();
  EXPECT_EQ(entry_.state(), EntryState::kUncounted);
  EXPECT_EQ(entry_.Bless(), 0);
}

TEST_F(BootEntryTest, AnEspThatCannotBeReadIsNoTrialAndIsSaid) {
  Unset("LoaderBootCountPath");
  machine_.Fail("mount", "/esp", EIO);
  entry_.Look();
  EXPECT_EQ(entry_.state(), EntryState::kUncounted);
  EXPECT_TRUE(machine_.Said("cannot see whether it is on trial"));
}

TEST_F(BootEntryTest, AStaleVariableNeverBlessesTheEntryThatFailed) {
  Set("LoaderEntrySelected", "noded_1.efi");
  entry_.Look();
  EXPECT_EQ(entry_.Bless(), ESTALE);
  EXPECT_TRUE(machine_.files.contains(kFrom));
  EXPECT_TRUE(machine_.done.empty());
}

TEST_F(BootEntryTest, AnEntryOfAnotherRootIsLeftAloneWhateverTheVariablesSay) {
  for (const std::string& other : {Uki(Line(kOther)), Uki("quiet"), std::string("MZ"),
                                   std::string(), Uki(Line(kHash), 4096)}) {
    machine_.files[kFrom] = other;
    BootEntry entry(machine_);
    entry.Look();
    bool ours = other.size() > 4096;  // a command line anywhere in the file is found
    EXPECT_EQ(entry.Bless(), ours ? 0 : ESTALE);
    EXPECT_FALSE(machine_.IsMounted("/esp"));
    if (!ours) {
      EXPECT_EQ(entry.Bless(), ESTALE);
    }
  }
}

TEST_F(BootEntryTest, WithoutAVerifiedRootNothingIsGood) {
  machine_.files["/proc/cmdline"] = "root=/dev/vda2 quiet\n";
  entry_.Look();
  EXPECT_EQ(entry_.Bless(), ESTALE);
  EXPECT_TRUE(machine_.files.contains(kFrom));
}

TEST_F(BootEntryTest, ARenameThatWasCutShortIsSeenAsDone) {
  machine_.files[kTo] = machine_.files[kFrom];
  machine_.files.erase(kFrom);
  entry_.Look();
  EXPECT_EQ(entry_.Bless(), 0);
  EXPECT_EQ(entry_.state(), EntryState::kGood);
}

// On FAT a rename first makes the new name with no content, then takes the old one away.
TEST_F(BootEntryTest, U1_WhateverACutLeavesOfItTheCountedEntryIsThereUntilTheGoodOneIsWhole) {
  const std::string kernel = machine_.files[kFrom], copy = std::string(kTo) + ".tmp";
  struct Left {
    const char* what;
    std::map<std::string, std::string> files;
  };
  for (const Left& left :
       {Left{"a part of the copy", {{kFrom, kernel}, {copy, kernel.substr(0, 9)}}},
        Left{"the copy", {{kFrom, kernel}, {copy, kernel}}},
        Left{"a name without content", {{kFrom, kernel}, {kTo, ""}}},
        Left{"both", {{kFrom, kernel}, {kTo, kernel}}}}) {
    SCOPED_TRACE(left.what);
    for (const std::string& path : {std::string(kFrom), std::string(kTo), copy}) {
      machine_.files.erase(path);
    }
    machine_.files.insert(left.files.begin(), left.files.end());
    BootEntry entry(machine_);
    entry.Look();
    EXPECT_EQ(entry.Bless(), 0);
    EXPECT_EQ(machine_.files[kTo], kernel);
    EXPECT_FALSE(machine_.files.contains(kFrom));
    EXPECT_FALSE(machine_.files.contains(copy));
  }
  // The counted one goes last.
  machine_.files.erase(kTo);
  machine_.files[kFrom] = kernel;
  machine_.done.clear();
  BootEntry entry(machine_);
  entry.Look();
  EXPECT_EQ(entry.Bless(), 0);
  EXPECT_LT(machine_.Find("rename " + copy), machine_.Find(std::string("remove ") + kFrom));
}

TEST_F(BootEntryTest, AGoodEntryIsNeverOverwritten) {
  machine_.files[kTo] = "another";
  entry_.Look();
  EXPECT_EQ(entry_.Bless(), EEXIST);
  EXPECT_EQ(machine_.files[kTo], "another");
  EXPECT_TRUE(machine_.files.contains(kFrom));
}

TEST_F(BootEntryTest, ADiskErrorIsToldAndTriedAgain) {
  entry_.Look();
  machine_.Fail("copy", kFrom, ENOSPC);
  EXPECT_EQ(entry_.Bless(), ENOSPC);
  EXPECT_EQ(entry_.state(), EntryState::kTrial);
  EXPECT_FALSE(machine_.IsMounted("/esp"));
  machine_.failures.clear();
  machine_.Fail("mount", "/esp", EIO);
  EXPECT_EQ(entry_.Bless(), EIO);
  machine_.failures.clear();
  EXPECT_EQ(entry_.Bless(), 0);
  EXPECT_EQ(entry_.error(), 0);
}

TEST_F(BootEntryTest, AMediumWithAnotherEspIsNotOurs) {
  machine_.AddPartition("sda1", "ESP", 4096, "8:0\n");
  entry_.Look();
  EXPECT_EQ(entry_.Bless(), 0);
  EXPECT_EQ(machine_.done[static_cast<size_t>(machine_.Find("mount"))], "mount /dev/vda1 /esp");
}

TEST_F(BootEntryTest, AContainerHasNoLoader) {
  machine_.owns_kernel = false;
  entry_.Look();
  EXPECT_EQ(entry_.state(), EntryState::kUncounted);
}

}  // namespace
}  // namespace basalt::init
