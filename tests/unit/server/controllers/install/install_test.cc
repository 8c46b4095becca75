// An image put onto a disk: which, what is lost, and what a power cut leaves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "api/coded_status.h"
#include "images/builder/formats/verity.h"
#include "server/controllers/install/installer.h"
#include "server/controllers/storage/disk_table.h"
#include "server/engine/journal.h"
#include "server/gpt/format_mark.h"
#include "tests/support/block/fake_block.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt::install {
namespace {

using basalt::testing::FakeBlock;
using basalt::testing::FakeVfs;
using ::testing::HasSubstr;

constexpr uint64_t kGibibyte = 1024 * kMebibyte;
constexpr char kMediumSlot[] = "/dev/sdz2", kMediumEsp[] = "/dev/sdz1";

class InstallTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string root(40 * 4096, '\0');
    for (size_t i = 0; i < root.size(); ++i) root[i] = static_cast<char>(i * 7 + i / 4096);
    auto slot = image::AppendVerity(root, std::string(32, 's'));
    ASSERT_TRUE(slot.ok());
    slot_ = slot->bytes;
    medium_ = {.slot = kMediumSlot,
               .esp = kMediumEsp,
               .running_root = absl::StrCat(slot->root_hash.Hex(), ":", slot->data_blocks)};
    NewMachine();
  }
  // The medium, and an empty disk.
  void NewMachine() {
    block_ = FakeBlock();
    block_.AddDisk({.device = "/dev/sdz", .size = 100 * kMebibyte, .type = host::DiskType::kUsb});
    SeeMedium();
    ASSERT_TRUE(block_.Write(kMediumSlot, 0, slot_).ok());
    block_.AddDisk({.device = "/dev/vda",
                    .size = 6 * kGibibyte,
                    .serial = "V1",
                    .type = host::DiskType::kVirtio});
    for (FakeVfs* vfs : {&medium_files_, &esp_, &state_, &node_}) {
      for (const std::string& file : vfs->AllFiles()) vfs->Remove(file).IgnoreError();
    }
    Put(medium_files_, "EFI/BOOT/BOOTX64.EFI", "loader");
    Put(medium_files_, "EFI/Linux/noded_9.0.0.efi", "kernel");
    Put(medium_files_, "loader/loader.conf", "timeout 0\n");
    Put(medium_files_, "basalt/trust.json", "{}");
    Put(medium_files_, "basalt/installer", "Basalt\n");
    Put(medium_files_, "basalt/config.yaml", "not for the disk");
    Put(node_, "state/identity.key", "identity");
    Put(node_, "state/trust/chain.json", "chain");
    Put(node_, "state/random-seed", "seed");
    engine::stored::Record record;
    record.mutable_entered()->set_state(v1::APPLY_STATE_EXECUTING);
    record.mutable_entered()->set_digest(std::string(64, 'd'));
    record.mutable_entry()->set_digest(std::string(64, 'd'));
    Put(node_, "state/journal", engine::EncodeRecord(record));
  }
  // The kernel reads the tables that are on the disks; the medium's it knows without one.
  void Restart() {
    block_.Reboot();
    SeeMedium();
  }
  void SeeMedium() {
    ASSERT_TRUE(block_.AddPartition("/dev/sdz", 1, kMebibyte, 40 * kMebibyte).ok());
    ASSERT_TRUE(block_.AddPartition("/dev/sdz", 2, 50 * kMebibyte, 10 * kMebibyte).ok());
  }
  static void Put(FakeVfs& vfs, const std::string& path, const std::string& text) {
    for (size_t at = path.find('/'); at != std::string::npos; at = path.find('/', at + 1)) {
      ASSERT_TRUE(vfs.MakeDirs(path.substr(0, at)).ok());
    }
    ASSERT_TRUE(vfs.Replace(path, text).ok());
  }
  OpenFiles Files() {
    return [this](const std::string& device) -> absl::StatusOr<std::shared_ptr<host::Vfs>> {
      FakeVfs* files = device == kMediumEsp    ? &medium_files_
                       : device == "/dev/vda1" ? &esp_
                       : device == "/dev/vda4" ? &state_
                                               : nullptr;
      if (files == nullptr) return absl::NotFoundError(device);
      return std::shared_ptr<host::Vfs>(files, [](host::Vfs*) {});
    };
  }
  static v1::MachineConfig Config(bool wipe = false, int64_t generation = 7) {
    v1::MachineConfig config;
    config.mutable_metadata()->set_cluster("home");
    config.mutable_metadata()->set_name("n1");
    config.mutable_metadata()->set_epoch(1);
    config.mutable_metadata()->set_generation(generation);
    config.mutable_system()->mutable_install()->mutable_disk()->set_serial("V1");
    config.mutable_system()->mutable_install()->set_wipe(wipe);
    return config;
  }
  absl::StatusOr<InstallPlan> Plan(const v1::MachineConfig& config) {
    auto facts = storage::LookAt(block_, "/data", nullptr);
    if (!facts.ok()) return facts.status();
    return PlanInstall(config, *facts, ReadTableIds(block_, *facts), kMediumEsp);
  }
  std::string Refused(const v1::MachineConfig& config) {
    return api::Reason(Plan(config).status());
  }
  absl::Status Install(const v1::MachineConfig& config) {
    auto plan = Plan(config);
    if (!plan.ok()) return plan.status();
    std::string random(84, 'r');
    for (size_t i = 0; i < random.size(); ++i) random[i] = static_cast<char>(i);
    InstallJob job{.plan = *plan, .medium = medium_, .random = random};
    auto state = WriteDisk(block_, Files(), job, [](const std::string&, int64_t, int64_t) {});
    if (!state.ok()) return state.status();
    EXPECT_EQ(*state, "/dev/vda4");
    return FinishDisk(block_, Files(), job, node_);
  }

  FakeBlock block_;
  FakeVfs medium_files_, esp_, state_, node_;
  std::string slot_;
  MediumPlaces medium_;
};

TEST_F(InstallTest, TheDiskHasWhatTheMediumHasAndStarts) {
  auto plan = Plan(Config());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->text, HasSubstr("install onto /dev/vda (virtio, 6 GiB"));
  ASSERT_TRUE(Install(Config()).ok());
  Restart();
  auto table = block_.TableOf("/dev/vda");
  ASSERT_EQ(table.size(), 5u);
  const char* names[] = {"ESP", "SLOT-A", "SLOT-B", "STATE", "DATA"};
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(table[i].name, names[i]);
  EXPECT_EQ(table[4].start + table[4].size, 6 * kGibibyte - kMebibyte);
  EXPECT_EQ(block_.Read("/dev/vda2", 0, slot_.size()).value_or(""), slot_);
  EXPECT_EQ(esp_.Read("EFI/BOOT/BOOTX64.EFI").value_or(""), "loader");
  EXPECT_EQ(esp_.Read("EFI/Linux/noded_9.0.0.efi").value_or(""), "kernel");
  EXPECT_EQ(esp_.Read("basalt/trust.json").value_or(""), "{}");
  EXPECT_FALSE(esp_.Exists("basalt/installer"));
  EXPECT_FALSE(esp_.Exists("basalt/config.yaml"));
  // DATA is made by the first boot, whatever lay there.
  auto mark = block_.Read("/dev/vda5", table[4].size - gpt::kMarkDistance, 64);
  EXPECT_EQ(memcmp(mark->data(), gpt::kFormatMark, sizeof gpt::kFormatMark), 0);
}

TEST_F(InstallTest, TheNodeOnTheDiskIsTheOneThatInstalledItAndGoesOnWithTheDocument) {
  ASSERT_TRUE(Install(Config()).ok());
  EXPECT_EQ(state_.Read("identity.key").value_or(""), "identity");
  EXPECT_EQ(state_.Read("trust/chain.json").value_or(""), "chain");
  EXPECT_FALSE(state_.Exists("random-seed"));
  auto journal = engine::Journal::Open(state_, "journal");
  ASSERT_TRUE(journal.ok());
  EXPECT_EQ(journal->ledger().in_flight().state(), v1::APPLY_STATE_STAGED);
  EXPECT_EQ(journal->ledger().in_flight().digest(), std::string(64, 'd'));
  // The medium's own is as it was.
  EXPECT_EQ(engine::Journal::Open(node_, "state/journal")->ledger().in_flight().state(),
            v1::APPLY_STATE_EXECUTING);
}

TEST_F(InstallTest, TheSameDocumentIsInstalledOnceAndANewOneWithConsentAlone) {
  ASSERT_TRUE(Install(Config()).ok());
  Restart();
  EXPECT_EQ(Refused(Config()), "already-installed");
  EXPECT_EQ(Refused(Config(/*wipe=*/true)), "already-installed");  // no loop that wipes
  EXPECT_EQ(Refused(Config(false, 8)), "disk-in-use");
  auto plan = Plan(Config(true, 8));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->text, HasSubstr("which loses ESP, SLOT-A, SLOT-B, STATE, DATA"));
  EXPECT_THAT(WhereInstalled(*storage::LookAt(block_, "/data", nullptr), kMediumEsp),
              HasSubstr("a node is installed on /dev/vda"));
  EXPECT_TRUE(Install(Config(true, 8)).ok());
}

TEST_F(InstallTest, WhatIsNotMeantIsNotTouched) {
  v1::MachineConfig config = Config();
  config.mutable_system()->clear_install();
  EXPECT_EQ(Refused(config), "nothing-to-install");
  config = Config();
  config.mutable_system()->mutable_install()->mutable_disk()->set_serial("V2");
  EXPECT_EQ(Refused(config), "disk-not-found");
  config.mutable_system()->mutable_install()->mutable_disk()->clear_serial();
  config.mutable_system()->mutable_install()->mutable_disk()->set_path("/dev/sdz");
  EXPECT_EQ(Refused(config), "disk-of-the-medium");
  block_.AddDisk({.device = "/dev/vdb", .size = 6 * kGibibyte, .type = host::DiskType::kVirtio});
  config.mutable_system()->mutable_install()->mutable_disk()->clear_path();
  config.mutable_system()->mutable_install()->mutable_disk()->set_type(v1::DISK_TYPE_VIRTIO);
  EXPECT_EQ(Refused(config), "disk-ambiguous");
  ASSERT_TRUE(block_.Write("/dev/vda", 4096, "somebody's").ok());
  EXPECT_EQ(Refused(Config()), "disk-in-use");
  EXPECT_TRUE(Plan(Config(/*wipe=*/true)).ok());
}

TEST_F(InstallTest, U8_ADiskThatIsTooSmallIsRefusedBeforeAnyWrite) {
  block_.RemoveDisk("/dev/vda");
  block_.AddDisk({.device = "/dev/vda", .size = 3 * kGibibyte, .serial = "V1"});
  const size_t writes = block_.writes;
  EXPECT_EQ(api::Reason(Install(Config())), "disk-too-small");
  EXPECT_EQ(block_.writes, writes);
}

TEST_F(InstallTest, DataLeavesRoomForVolumesWhenTheConfigSaysSo) {
  v1::MachineConfig config = Config();
  config.mutable_storage()->mutable_data()->set_max_size("2Gi");
  ASSERT_TRUE(Install(config).ok());
  Restart();
  ASSERT_EQ(block_.TableOf("/dev/vda").size(), 5u);
  EXPECT_EQ(block_.TableOf("/dev/vda")[4].size, 2 * kGibibyte);
  EXPECT_EQ(state_.Read("data-limit").value_or(""), "2147483648\n");
}

TEST_F(InstallTest, AMediumThatIsDamagedMakesNoDiskThatStarts) {
  ASSERT_TRUE(block_.Write(kMediumSlot, 8192 + 17, "x").ok());
  EXPECT_EQ(api::Reason(Install(Config())), "slot-damaged");
  EXPECT_TRUE(block_.TableOf("/dev/vda").empty());
  // In the tree, where the root hash does not show it.
  ASSERT_TRUE(block_.Write(kMediumSlot, 0, slot_).ok());
  ASSERT_TRUE(block_.Write(kMediumSlot, slot_.size() - 8, "x").ok());
  EXPECT_EQ(api::Reason(Install(Config())), "slot-damaged");
}

TEST_F(InstallTest, U1_APowerCutAtAnyWriteIsMendedByInstallingAgain) {
  for (bool used : {false, true}) {
    size_t cuts = 0;
    for (size_t writes = 0;; ++writes) {
      NewMachine();
      if (used) {
        ASSERT_TRUE(block_.Write("/dev/vda", 4096, "somebody's").ok());
      }
      block_.writes_left = writes;
      const bool done = Install(Config(used)).ok();
      block_.writes_left = SIZE_MAX;
      Restart();
      if (done) break;
      ++cuts;
      // Either nothing starts from the disk, or it is whole.
      const bool table = !block_.TableOf("/dev/vda").empty();
      if (table) {
        EXPECT_TRUE(state_.Exists("journal")) << writes;
        EXPECT_EQ(Refused(Config(used)), "already-installed") << writes;
        continue;
      }
      absl::Status again = Install(Config(used));
      ASSERT_TRUE(again.ok()) << writes << again;
      Restart();
      EXPECT_EQ(block_.TableOf("/dev/vda").size(), 5u) << writes;
    }
    EXPECT_GT(cuts, 10u);
    std::cout << "U1 install: cuts " << cuts << ", skips 0\n";
  }
}

TEST(Fat32, HasWhatFirmwareLooksFor) {
  for (uint32_t sector : {512u, 4096u}) {
    const std::string fat = MakeFat32(512 * kMebibyte, sector, 7);
    EXPECT_EQ(fat.substr(510, 2), "\x55\xaa");
    EXPECT_EQ(fat.substr(82, 8), "FAT32   ");
    EXPECT_LT(fat.size(), 2 * kMebibyte);
  }
}

TEST(SlotSpec, IsAHashAndANumber) {
  const std::string hash(64, 'a');
  ASSERT_TRUE(ParseSlotSpec(hash + ":40").ok());
  // 40 blocks, the superblock, one block of hashes.
  EXPECT_EQ(ParseSlotSpec(hash + ":40")->size(), 42u * 4096);
  EXPECT_EQ(ParseSlotSpec(hash + ":200")->size(), (200u + 1 + 2 + 1) * 4096);
  for (const std::string& bad : {std::string(""), hash, hash + ":", hash + ":0", hash + ":1:2",
                                 "x" + hash.substr(1) + ":4", hash + ":99999999999"}) {
    EXPECT_FALSE(ParseSlotSpec(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace basalt::install
