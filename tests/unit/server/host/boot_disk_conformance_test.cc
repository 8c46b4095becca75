// What the fake boot disk and the real one both promise. The real one has sparse files for slots
// and a directory for the boot partition.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>

#include "api/coded_status.h"
#include "server/host/boot_disk.h"
#include "tests/support/boot_disk/fake_boot_disk.h"

namespace basalt::host {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

constexpr uint64_t kSlotSize = 64 << 10;

struct Subject {
  std::unique_ptr<BootDisk> disk;
  std::string directory;  // of the real one
};

Subject Fake() {
  auto disk = std::make_unique<testing::FakeBootDisk>(kSlotSize, 1 << 20);
  disk->Run(BootSlot::kA, "root");
  return {std::move(disk), ""};
}

Subject Real() {
  char pattern[] = "/tmp/basalt-boot-disk-XXXXXX";
  const std::string at = mkdtemp(pattern);
  fs::create_directories(at + "/EFI/Linux");
  for (const char* slot : {"/a", "/b"}) {
    std::ofstream(at + slot);
    fs::resize_file(at + slot, kSlotSize);
  }
  return {OpenBootDisk({.slot_a = at + "/a",
                        .slot_b = at + "/b",
                        .esp = at,
                        .running_root = "root",
                        .running = BootSlot::kA}),
          at};
}

class BootDiskTest : public ::testing::TestWithParam<std::function<Subject()>> {
 protected:
  BootDiskTest() : subject_(GetParam()()), disk_(*subject_.disk) {}
  ~BootDiskTest() override {
    if (!subject_.directory.empty()) fs::remove_all(subject_.directory);
  }
  std::unique_ptr<BootFiles> Files() { return *disk_.OpenFiles(BootDisk::Open::kChange); }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const std::vector<BootFile> files = *Files()->List();
    for (const BootFile& file : files) names.push_back(file.name);
    return names;
  }
  Subject subject_;
  BootDisk& disk_;
};

TEST_P(BootDiskTest, TheOtherSlotKeepsWhatIsWritten) {
  EXPECT_EQ(*disk_.SlotSize(BootSlot::kB), kSlotSize);
  ASSERT_TRUE(disk_.WriteSlot(BootSlot::kB, 4096, "some bytes").ok());
  ASSERT_TRUE(disk_.SyncSlot(BootSlot::kB).ok());
  EXPECT_EQ(*disk_.ReadSlot(BootSlot::kB, 4096, 10), "some bytes");
  EXPECT_EQ(*disk_.ReadSlot(BootSlot::kB, kSlotSize - 2, 10), std::string(2, '\0'));
  EXPECT_EQ(*disk_.ReadSlot(BootSlot::kB, kSlotSize + 9, 10), "");
}

TEST_P(BootDiskTest, TheRunningSlotIsNeverWritten) {
  EXPECT_EQ(api::Reason(disk_.WriteSlot(BootSlot::kA, 0, "x")), "slot-in-use");
  EXPECT_EQ(api::Reason(disk_.SyncSlot(BootSlot::kA)), "slot-in-use");
  EXPECT_EQ(*disk_.ReadSlot(BootSlot::kA, 0, 1), std::string(1, '\0'));
}

TEST_P(BootDiskTest, NothingIsWrittenBeyondTheEndOfASlot) {
  EXPECT_TRUE(absl::IsOutOfRange(disk_.WriteSlot(BootSlot::kB, kSlotSize - 1, "xy")));
  EXPECT_TRUE(absl::IsOutOfRange(disk_.WriteSlot(BootSlot::kB, ~uint64_t{0}, "x")));
  EXPECT_EQ(*disk_.ReadSlot(BootSlot::kB, kSlotSize - 1, 1), std::string(1, '\0'));
}

TEST_P(BootDiskTest, FilesGrowAreListedAndRead) {
  std::unique_ptr<BootFiles> files = Files();
  EXPECT_TRUE(files->List()->empty());
  ASSERT_TRUE(files->Append("noded_1.efi", "first ").ok());
  ASSERT_TRUE(files->Append("noded_1.efi", "second").ok());
  ASSERT_TRUE(files->Sync("noded_1.efi").ok());
  EXPECT_THAT(*files->List(), ElementsAre(BootFile{"noded_1.efi", 12}));
  EXPECT_EQ(*files->Read("noded_1.efi", 6, 100), "second");
  EXPECT_EQ(*files->Read("noded_1.efi", 99, 100), "");
  EXPECT_TRUE(absl::IsNotFound(files->Read("noded_2.efi", 0, 1).status()));
  EXPECT_TRUE(absl::IsNotFound(files->Sync("noded_2.efi")));
  EXPECT_GT(*files->FreeBytes(), 0u);
}

TEST_P(BootDiskTest, ARenameReplacesNothing) {
  std::unique_ptr<BootFiles> files = Files();
  ASSERT_TRUE(files->Append("one.efi", "1").ok());
  ASSERT_TRUE(files->Append("two.efi", "2").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(files->Rename("one.efi", "two.efi")));
  EXPECT_TRUE(absl::IsNotFound(files->Rename("three.efi", "four.efi")));
  EXPECT_TRUE(files->Rename("one.efi", "three.efi").ok());
  EXPECT_THAT(Names(), ElementsAre("three.efi", "two.efi"));
  EXPECT_EQ(*files->Read("two.efi", 0, 9), "2");
}

TEST_P(BootDiskTest, U1_ARenameGoesOnFromWhatAPowerCutLeftOfIt) {
  std::unique_ptr<BootFiles> files = Files();
  const std::string kernel(300 << 10, 'k');  // more than a piece
  ASSERT_TRUE(files->Append("one.efi", kernel).ok());
  ASSERT_TRUE(files->Append("two.efi", "").ok());          // the new name, with nothing in it
  ASSERT_TRUE(files->Append("two.efi.tmp", "kkkk").ok());  // a part of the copy
  EXPECT_TRUE(files->Rename("one.efi", "two.efi").ok());
  EXPECT_THAT(*files->List(), ElementsAre(BootFile{"two.efi", 300 << 10}));
  ASSERT_TRUE(files->Append("one.efi", kernel).ok());  // the old one is not gone yet
  EXPECT_TRUE(files->Rename("one.efi", "two.efi").ok());
  EXPECT_THAT(*files->List(), ElementsAre(BootFile{"two.efi", 300 << 10}));
  EXPECT_EQ(files->Read("two.efi", 0, 1 << 20)->compare(kernel), 0);
}

TEST_P(BootDiskTest, AnUnfinishedFileIsRenamedWithoutRoomForACopy) {
  std::unique_ptr<BootFiles> files = Files();
  ASSERT_TRUE(files->Append("one.efi.tmp", "1").ok());
  EXPECT_TRUE(files->Rename("one.efi.tmp", "one.efi").ok());
  EXPECT_THAT(*files->List(), ElementsAre(BootFile{"one.efi", 1}));
}

TEST_P(BootDiskTest, WhatIsNotThereIsRemovedAlready) {
  std::unique_ptr<BootFiles> files = Files();
  ASSERT_TRUE(files->Append("one.efi", "1").ok());
  EXPECT_TRUE(files->Remove("one.efi").ok());
  EXPECT_TRUE(files->Remove("one.efi").ok());
  EXPECT_TRUE(Names().empty());
}

TEST_P(BootDiskTest, P5_NamesThatLeaveTheDirectoryAreRefused) {
  std::unique_ptr<BootFiles> files = Files();
  for (const std::string& name :
       std::vector<std::string>{"../a", "", ".", "..", "/etc/passwd", ".hidden", "a/b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(files->Append(name, "x"))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(files->Read(name, 0, 1).status())) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(files->Remove(name))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(files->Rename(name, "b.efi"))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(files->Rename("b.efi", name))) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(, BootDiskTest, ::testing::Values(Fake, Real),
                         [](const auto& info) { return info.index == 0 ? "Fake" : "Real"; });

// A tree as /proc and /sys show it.
class FindBootDiskTest : public ::testing::Test {
 protected:
  FindBootDiskTest() {
    char pattern[] = "/tmp/basalt-find-XXXXXX";
    root_ = mkdtemp(pattern);
    Write("/proc/cmdline", "quiet noded.root=ab:12 panic=10\n");
    Partition("vda", 1, "ESP");
    Partition("vda", 2, "SLOT-A");
    Partition("vda", 3, "SLOT-B");
    Partition("vdb", 2, "SLOT-A");  // another machine's disk
    Partition("vdb", 3, "SLOT-B");
    fs::create_directories(root_ + "/sys/dev/block/254:0/slaves");
    fs::create_directory_symlink(root_ + "/sys/block/vda/vda3",
                                 root_ + "/sys/dev/block/254:0/slaves/vda3");
  }
  ~FindBootDiskTest() override { fs::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void Partition(const std::string& disk, int number, const std::string& label) {
    const std::string name = disk + std::to_string(number);
    const std::string at = "/sys/block/" + disk + "/" + name;
    Write(at + "/uevent",
          "MAJOR=252\nDEVNAME=" + name + "\nDEVTYPE=partition\nPARTNAME=" + label + "\n");
    Write(at + "/partition", std::to_string(number));
  }
  std::string Why() { return std::string(FindBootDisk(root_, 254, 0).status().message()); }
  std::string root_;
};

TEST_F(FindBootDiskTest, TheSlotBelowTheRootAndItsNeighbours) {
  absl::StatusOr<BootDiskPlaces> places = FindBootDisk(root_, 254, 0);
  ASSERT_TRUE(places.ok()) << places.status();
  EXPECT_EQ(places->running, BootSlot::kB);
  EXPECT_EQ(places->running_root, "ab:12");
  EXPECT_EQ(places->slot_a, root_ + "/dev/vda2");
  EXPECT_EQ(places->slot_b, root_ + "/dev/vda3");
  EXPECT_EQ(places->esp, root_ + "/dev/vda1");
}

TEST_F(FindBootDiskTest, ASystemThatWasNotBootedFromASlotHasNone) {
  EXPECT_EQ(api::Reason(FindBootDisk(root_, 8, 1).status()), "no-boot-slots");
  Write("/proc/cmdline", "quiet\n");
  EXPECT_THAT(Why(), ::testing::HasSubstr("names no root"));
  Write("/proc/cmdline", "noded.root=ab:12 noded.root=cd:12");
  EXPECT_THAT(Why(), ::testing::HasSubstr("two roots"));
}

TEST_F(FindBootDiskTest, TwoPartitionsOfOneNameAreNone) {
  Partition("vda", 4, "SLOT-A");
  EXPECT_THAT(Why(), ::testing::HasSubstr("2 partitions SLOT-A"));
}

}  // namespace
}  // namespace basalt::host
