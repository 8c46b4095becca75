// The storage controller over disks in memory: what it does, and what it never does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "api/coded_status.h"
#include "google/protobuf/text_format.h"
#include "server/controllers/storage/disk_table.h"
#include "server/controllers/storage/storage_controller.h"
#include "server/controllers/storage/volume_record.h"
#include "server/gpt/format_mark.h"
#include "tests/support/block/fake_block.h"
#include "tests/support/clock/fake_clock.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/vfs/fake_vfs.h"
#include "tests/unit/server/controllers/storage/fake_tools.h"

namespace basalt::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kGibibyte = 1024 * kMebibyte;

class FakePlatform : public host::Platform {
 public:
  FakePlatform() { hardware_.memory_total = kGibibyte; }
  std::string name() const override { return "metal"; }
  const host::NodePaths& paths() const override { return paths_; }
  const host::Hardware& hardware() const override { return hardware_; }
  std::string k3s_address() const override { return "127.0.0.1"; }
  bool k3s_confined() const override { return false; }
  bool owns_namespaces() const override { return true; }
  std::string Unimplemented(const std::string&) const override { return ""; }
  absl::Status Reboot() override { return absl::OkStatus(); }

 private:
  host::NodePaths paths_;
  host::Hardware hardware_;
};

v1::MachineConfig Config(const std::string& storage) {
  v1::MachineConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(storage, config.mutable_storage()))
      << storage;
  return config;
}

class StorageControllerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(vfs_.MakeDirs("state").ok());
    ASSERT_TRUE(vfs_.MakeDirs("data").ok());
    vfs_.SetFreeBytes(8 * kGibibyte);
    block_ = std::make_shared<testing::FakeBlock>();
    block_->AddDisk({.device = "/dev/vda", .size = 4 * kGibibyte, .type = host::DiskType::kVirtio});
    // DATA takes a half of the disk of the image.
    ASSERT_TRUE(AddVolume(*block_, About("/dev/vda"), "DATA", kMebibyte, 2 * kGibibyte,
                          std::string(16, 'd'), std::string(16, 'D'))
                    .ok());
    block_->Reboot();
    block_->data_device = "/dev/vda1";
    block_->MakeExt4("/dev/vda1", 500000);
    block_->mounts.push_back({.source = "/dev/vda1", .target = "/data", .type = "ext4"});
    block_->AddDisk({.device = "/dev/sda",
                     .size = kGibibyte,
                     .model = "Samsung SSD 870 EVO 1TB",
                     .serial = "S5Y1",
                     .ids = {"ata-Samsung_SSD_870_EVO_1TB_S5Y1"},
                     .type = host::DiskType::kSsd});
    Restart();
  }
  // A new noded on the same machine.
  void Restart() {
    auto tools = std::make_unique<FakeTools>(*block_);
    tools_ = tools.get();
    controller_ = MakeStorageController({.executor = executor_,
                                         .vfs = vfs_,
                                         .clock = clock_,
                                         .random = random_,
                                         .platform = platform_},
                                        {.block = block_, .tools = std::move(tools)});
    controller_->Start();
    executor_.RunUntilIdle();
  }
  // The power comes back.
  void Reboot() {
    controller_.reset();
    block_->Reboot();
    block_->mounts.push_back({.source = "/dev/vda1", .target = "/data", .type = "ext4"});
    Restart();
  }
  host::BlockDisk About(const std::string& device) {
    const auto disks = block_->Disks();
    for (const host::BlockDisk& disk : *disks) {
      if (disk.device == device) return disk;
    }
    return {};
  }
  absl::Status Execute(const v1::MachineConfig* config) {
    absl::Status result = absl::UnknownError("it never ended");
    controller_->Execute(config, [&](absl::Status status) { result = std::move(status); });
    executor_.RunUntilIdle();
    return result;
  }
  absl::Status Execute(const std::string& storage) {
    const v1::MachineConfig config = Config(storage);
    return Execute(&config);
  }
  absl::StatusOr<engine::ControllerPlan> Plan(const std::string& from, const std::string& to) {
    const v1::MachineConfig before = Config(from);
    return controller_->Plan(&before, Config(to));
  }
  std::string Steps(const std::string& from, const std::string& to) {
    auto plan = Plan(from, to);
    EXPECT_TRUE(plan.ok()) << plan.status();
    std::string text;
    for (const engine::PlanStep& step : plan->steps) {
      absl::StrAppend(&text, step.description,
                      step.unimplemented.empty() ? "" : " - cannot: ", step.unimplemented, "\n");
    }
    return text;
  }
  void CollectGarbage(const std::string& committed, const std::string& previous) {
    const v1::MachineConfig a = Config(committed), b = Config(previous);
    controller_->CollectGarbage({&a, &b});
    executor_.RunUntilIdle();
  }
  const host::BlockMount* MountAt(const std::string& target) {
    for (const host::BlockMount& mount : block_->mounts) {
      if (mount.target == target) return &mount;
    }
    return nullptr;
  }
  std::string Names(const std::string& disk) {
    std::string names;
    for (const auto& p : block_->TableOf(disk)) absl::StrAppend(&names, p.name, " ");
    return names;
  }

  testing::FakeClock clock_;
  testing::FakeRandom random_;
  testing::ManualExecutor executor_{clock_};
  testing::FakeVfs vfs_;
  FakePlatform platform_;
  std::shared_ptr<testing::FakeBlock> block_;
  FakeTools* tools_ = nullptr;
  std::unique_ptr<StorageController> controller_;
};

constexpr char kBackup[] = R"(volumes { name: "backup" disk { serial: "S5Y1" } })";

TEST_F(StorageControllerTest, AVolumeOnAnEmptyDiskIsMadeFormattedAndMounted) {
  EXPECT_EQ(
      Steps("", kBackup),
      "volume `backup`: make a partition of 1022 MiB on /dev/sda, format it with ext4, mount it "
      "on /var/mnt/backup\n");
  ASSERT_TRUE(Execute(kBackup).ok());
  ASSERT_NE(MountAt("/var/mnt/backup"), nullptr);
  EXPECT_EQ(MountAt("/var/mnt/backup")->source, "/dev/sda1");
  EXPECT_TRUE(MountAt("/var/mnt/backup")->no_exec);
  EXPECT_EQ(Names("/dev/sda"), "backup ");
  // The file system is kept away from the mark, which is gone.
  EXPECT_TRUE(tools_->Ran("mke2fs -q -F -t ext4 -b 4096 -m 0 -L backup /dev/sda1 261616"));
  EXPECT_THAT(*block_->Read("/dev/sda1", 1022 * kMebibyte - gpt::kMarkDistance, 64),
              Not(HasSubstr("formatted")));
  ASSERT_EQ(controller_->Observe().size(), 1u);
  EXPECT_TRUE(controller_->Observe()[0].holds);
  // The same once more does nothing at all.
  tools_->runs.clear();
  block_->writes = 0;
  EXPECT_EQ(Steps(kBackup, kBackup), "");
  ASSERT_TRUE(Execute(kBackup).ok());
  Restart();
  ASSERT_TRUE(Execute(kBackup).ok());
  EXPECT_EQ(block_->writes, 0u);
  EXPECT_TRUE(tools_->runs.empty());
}

TEST_F(StorageControllerTest, AfterARestartOfTheMachineItIsCheckedAndMountedNeverFormatted) {
  ASSERT_TRUE(Execute(kBackup).ok());
  Reboot();
  EXPECT_EQ(MountAt("/var/mnt/backup"), nullptr);
  ASSERT_TRUE(Execute(kBackup).ok());
  EXPECT_NE(MountAt("/var/mnt/backup"), nullptr);
  EXPECT_TRUE(tools_->Ran("e2fsck -p /dev/sda1"));
  EXPECT_FALSE(tools_->Ran("mke2fs"));
  Reboot();
  tools_->codes["e2fsck"] = 4;
  absl::Status status = Execute(kBackup);
  EXPECT_EQ(api::Reason(status), "tool-failed");
  EXPECT_THAT(std::string(status.message()), HasSubstr("it says why"));
  EXPECT_EQ(MountAt("/var/mnt/backup"), nullptr);
  EXPECT_FALSE(tools_->Ran("mke2fs"));
  ASSERT_FALSE(controller_->Observe().empty());
  EXPECT_EQ(controller_->Observe()[0].code, "volume-not-mounted");
}

TEST_F(StorageControllerTest, ADiskThatHoldsSomethingIsNeverWrittenTo) {
  // One byte, wherever something keeps its signature; or a partition that is not ours.
  for (uint64_t place :
       {uint64_t{0}, uint64_t{510}, uint64_t{32769}, 64 * kMebibyte, kGibibyte - 1}) {
    block_->AddDisk({.device = "/dev/sda", .size = kGibibyte, .serial = "S5Y1"});
    ASSERT_TRUE(block_->Write("/dev/sda", place, "x").ok());
    Restart();
    block_->writes = 0;
    EXPECT_EQ(api::Reason(Plan("", kBackup).status()), "disk-in-use") << place;
    EXPECT_EQ(api::Reason(Execute(kBackup)), "disk-in-use") << place;
    EXPECT_EQ(block_->writes, 0u);
    block_->RemoveDisk("/dev/sda");
  }
  block_->AddDisk({.device = "/dev/sda", .size = kGibibyte, .serial = "S5Y1"});
  ASSERT_TRUE(AddVolume(*block_, About("/dev/sda"), "windows", kMebibyte, 100 * kMebibyte,
                        std::string(16, 'w'), std::string(16, 'W'))
                  .ok());
  ASSERT_TRUE(block_->Write("/dev/sda", kMebibyte, "NTFS").ok());
  Reboot();
  block_->writes = 0;
  absl::Status status = Execute(kBackup);
  EXPECT_EQ(api::Reason(status), "disk-in-use");
  EXPECT_THAT(std::string(status.message()), HasSubstr("/dev/sda1 windows"));
  EXPECT_EQ(block_->writes, 0u);
  EXPECT_TRUE(tools_->runs.empty());
}

TEST_F(StorageControllerTest, APartitionOfThatNameIsTakenOverWithWhatItHolds) {
  ASSERT_TRUE(AddVolume(*block_, About("/dev/sda"), "backup", kMebibyte, 200 * kMebibyte,
                        std::string(16, 'b'), std::string(16, 'B'))
                  .ok());
  block_->MakeExt4("/dev/sda1", 50000);
  ASSERT_TRUE(RemoveMark(*block_, "/dev/sda1", 200 * kMebibyte).ok());
  Reboot();
  EXPECT_THAT(Steps("", R"(volumes { name: "backup" disk { serial: "S5Y1" } max_size: "200Mi" })"),
              HasSubstr("what it holds stays"));
  ASSERT_TRUE(
      Execute(R"(volumes { name: "backup" disk { serial: "S5Y1" } max_size: "200Mi" })").ok());
  EXPECT_FALSE(tools_->Ran("mke2fs"));
  EXPECT_NE(MountAt("/var/mnt/backup"), nullptr);
  // With something else on it, it is left alone.
  Reboot();
  ASSERT_TRUE(block_->Write("/dev/sda1", 0, std::string(2048, 'x')).ok());
  Restart();
  EXPECT_EQ(api::Reason(Execute(kBackup)), "volume-foreign");
}

TEST_F(StorageControllerTest, D1_APowerCutAtEachWriteIsMendedByTheNextBoot) {
  for (size_t cut = 0;; ++cut) {
    SCOPED_TRACE(cut);
    ASSERT_LT(cut, 30u);
    block_->RemoveDisk("/dev/sda");
    block_->AddDisk({.device = "/dev/sda", .size = kGibibyte, .serial = "S5Y1"});
    ASSERT_TRUE(vfs_.Remove(kRecordPath).ok());
    Reboot();
    block_->writes_left = cut;
    const bool done = Execute(kBackup).ok();
    Reboot();
    ASSERT_TRUE(Execute(kBackup).ok());
    EXPECT_EQ(Names("/dev/sda"), "backup ");
    ASSERT_NE(MountAt("/var/mnt/backup"), nullptr);
    // What was kept on it from here on is there after the next restart.
    tools_->runs.clear();
    Reboot();
    ASSERT_TRUE(Execute(kBackup).ok());
    EXPECT_FALSE(tools_->Ran("mke2fs"));
    EXPECT_EQ(Names("/dev/vda"), "DATA ");
    bool both_copies = false;
    gpt::Table table;
    EXPECT_TRUE(ReadTable(*block_, About("/dev/sda"), &table, &both_copies).ok());
    EXPECT_TRUE(both_copies);
    if (done) break;
  }
}

TEST_F(StorageControllerTest, ARemovedVolumeGoesWhenNoKeptConfigNamesIt) {
  const std::string two =
      std::string(R"(volumes { name: "first" disk { serial: "S5Y1" } max_size: "200Mi" })") +
      R"( volumes { name: "second" disk { serial: "S5Y1" } max_size: "300Mi" })";
  const std::string one = R"(volumes { name: "second" disk { serial: "S5Y1" } max_size: "300Mi" })";
  ASSERT_TRUE(Execute(two).ok());
  EXPECT_EQ(Names("/dev/sda"), "first second ");
  EXPECT_THAT(Steps(two, one), HasSubstr("volume `first`: unmount it"));
  ASSERT_TRUE(Execute(one).ok());
  EXPECT_EQ(MountAt("/var/mnt/first"), nullptr);
  // The config before may come back.
  CollectGarbage(one, two);
  EXPECT_EQ(Names("/dev/sda"), "first second ");
  ASSERT_TRUE(Execute(two).ok());
  EXPECT_NE(MountAt("/var/mnt/first"), nullptr);
  ASSERT_TRUE(Execute(one).ok());
  int changes = 0;
  controller_->SetOnChange([&] { ++changes; });
  CollectGarbage(one, one);
  EXPECT_EQ(Names("/dev/sda"), "second ");
  EXPECT_EQ(changes, 1);  // of the resources
  EXPECT_NE(MountAt("/var/mnt/second"), nullptr);
  EXPECT_EQ(LoadRecord(vfs_).size(), 1u);
}

TEST_F(StorageControllerTest, NothingIsRemovedThatThisNodeNeverHad) {
  ASSERT_TRUE(Execute(kBackup).ok());
  ASSERT_TRUE(vfs_.Remove(kRecordPath).ok());
  Reboot();
  ASSERT_TRUE(Execute("").ok());
  CollectGarbage("", "");
  EXPECT_EQ(Names("/dev/sda"), "backup ");
}

TEST_F(StorageControllerTest, AVolumeInUseIsToldAndStays) {
  ASSERT_TRUE(Execute(kBackup).ok());
  block_->busy.insert("/var/mnt/backup");
  absl::Status moved =
      Execute(R"(volumes { name: "backup" disk { serial: "S5Y1" } path: "/var/lib/x" })");
  EXPECT_EQ(api::Reason(moved), "volume-busy");
  EXPECT_NE(MountAt("/var/mnt/backup"), nullptr);
  // Not asked for any more: the apply does not fail, the condition does.
  ASSERT_TRUE(Execute("").ok());
  ASSERT_EQ(controller_->Observe().size(), 1u);
  EXPECT_FALSE(controller_->Observe()[0].holds);
  EXPECT_THAT(controller_->Observe()[0].message, HasSubstr("still in use on /var/mnt/backup"));
  block_->busy.clear();
  ASSERT_TRUE(Execute("").ok());
  EXPECT_TRUE(controller_->Observe().empty());
}

TEST_F(StorageControllerTest, OtherOptionsMountItAnew) {
  ASSERT_TRUE(Execute(kBackup).ok());
  const std::string exec = R"(volumes { name: "backup" disk { serial: "S5Y1" } exec: true })";
  EXPECT_THAT(Steps(kBackup, exec), HasSubstr("anew"));
  ASSERT_TRUE(Execute(exec).ok());
  EXPECT_FALSE(MountAt("/var/mnt/backup")->no_exec);
  EXPECT_EQ(block_->mounts.size(), 2u);
}

TEST_F(StorageControllerTest, AnotherDiskIsANewVolumeAndTheOldOneGoesLater) {
  block_->AddDisk({.device = "/dev/sdb", .size = kGibibyte, .serial = "NEW"});
  Restart();
  const std::string other = R"(volumes { name: "backup" disk { serial: "NEW" } })";
  ASSERT_TRUE(Execute(kBackup).ok());
  EXPECT_THAT(Steps(kBackup, other), HasSubstr("make a partition of 1022 MiB on /dev/sdb"));
  ASSERT_TRUE(Execute(other).ok());
  EXPECT_EQ(MountAt("/var/mnt/backup")->source, "/dev/sdb1");
  EXPECT_EQ(block_->mounts.size(), 2u);
  CollectGarbage(other, kBackup);
  EXPECT_EQ(Names("/dev/sda"), "backup ");
  // Back again, and there again.
  ASSERT_TRUE(Execute(kBackup).ok());
  EXPECT_EQ(MountAt("/var/mnt/backup")->source, "/dev/sda1");
  ASSERT_TRUE(Execute(other).ok());
  CollectGarbage(other, other);
  EXPECT_EQ(Names("/dev/sda"), "");
  EXPECT_EQ(Names("/dev/sdb"), "backup ");
  // What is mounted there and is no volume stays.
  block_->mounts.push_back({.source = "/dev/vda1", .target = "/var/lib/y", .type = "ext4"});
  EXPECT_EQ(
      api::Reason(Execute(R"(volumes { name: "y" path: "/var/lib/y" disk { serial: "S5Y1" } })")),
      "target-in-use");
}

TEST_F(StorageControllerTest, TheDiskOfTheImageTakesVolumesBehindDATA) {
  const std::string config =
      R"(volumes { name: "longhorn" path: "/var/lib/longhorn" max_size: "1Gi" })";
  ASSERT_TRUE(Execute(config).ok());
  EXPECT_EQ(Names("/dev/vda"), "DATA longhorn ");
  EXPECT_EQ(block_->TableOf("/dev/vda")[1].size, kGibibyte);
  // Raising it makes it grow, partition and file system.
  const std::string more =
      R"(volumes { name: "longhorn" path: "/var/lib/longhorn" max_size: "1536Mi" })";
  EXPECT_EQ(Steps(config, more), "volume `longhorn`: grow from 1 GiB to 1536 MiB\n");
  ASSERT_TRUE(Execute(more).ok());
  EXPECT_EQ(block_->TableOf("/dev/vda")[1].size, 1536 * kMebibyte);
  EXPECT_TRUE(tools_->Ran("resize2fs /dev/vda2 393200"));
  EXPECT_NE(MountAt("/var/lib/longhorn"), nullptr);
  // Lowering does nothing.
  tools_->runs.clear();
  block_->writes = 0;
  EXPECT_EQ(Steps(more, config), "");
  ASSERT_TRUE(Execute(config).ok());
  EXPECT_EQ(block_->writes, 0u);
}

TEST_F(StorageControllerTest, WithoutRoomThePlanSaysWhere) {
  absl::Status status = Plan("", R"(volumes { name: "big" min_size: "3Gi" })").status();
  EXPECT_EQ(api::Reason(status), "no-room");
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("has 2046 MiB left, and 3 GiB are asked for"));
  EXPECT_THAT(api::Hint(status), HasSubstr("--data-limit"));
}

TEST_F(StorageControllerTest, ASelectorMeansExactlyOneDisk) {
  block_->AddDisk(
      {.device = "/dev/sdb", .size = kGibibyte, .serial = "S5Y2", .type = host::DiskType::kSsd});
  Restart();
  absl::Status several = Plan("", R"(volumes { name: "x" disk { type: DISK_TYPE_SSD } })").status();
  EXPECT_EQ(api::Reason(several), "disk-ambiguous");
  EXPECT_THAT(std::string(several.message()), HasSubstr("/dev/sdb (ssd, 1 GiB, S5Y2)"));
  absl::Status none = Plan("", R"(volumes { name: "x" disk { serial: "S5" } })").status();
  EXPECT_EQ(api::Reason(none), "disk-not-found");
  EXPECT_THAT(api::Hint(none), HasSubstr("Samsung SSD 870 EVO 1TB, S5Y1"));
  for (const char* good :
       {R"(id: "ata-Samsung_SSD_870_EVO_1TB_S5Y1")", R"(model: "Samsung*EVO*")",
        R"(path: "/dev/sda")",
        R"(type: DISK_TYPE_SSD serial: "S5Y1" min_size: "1Gi" max_size: "1Gi")"}) {
    EXPECT_TRUE(Plan("", absl::StrCat(R"(volumes { name: "x" disk { )", good, " } }")).ok())
        << good;
  }
  // All that is said has to be so.
  for (const char* bad :
       {R"(serial: "S5Y1" type: DISK_TYPE_HDD)", R"(model: "Samsung")",
        R"(serial: "S5Y1" min_size: "2Gi")", R"(serial: "S5Y1" max_size: "1G")"}) {
    EXPECT_EQ(
        api::Reason(Plan("", absl::StrCat(R"(volumes { name: "x" disk { )", bad, " } }")).status()),
        "disk-not-found")
        << bad;
  }
}

TEST_F(StorageControllerTest, ADiskThatComesLateAfterTheStartIsAwaited) {
  ASSERT_TRUE(Execute(kBackup).ok());
  block_->RemoveDisk("/dev/sda");
  clock_.Reboot();
  Reboot();
  absl::Status result = absl::UnknownError("waits");
  const v1::MachineConfig config = Config(kBackup);
  controller_->Execute(&config, [&](absl::Status status) { result = std::move(status); });
  executor_.Advance(absl::Seconds(10));
  EXPECT_EQ(result.message(), "waits");
  block_->AddDisk({.device = "/dev/sda", .size = kGibibyte, .serial = "S5Y1"});
  executor_.Advance(absl::Seconds(2));
  EXPECT_TRUE(result.ok()) << result;
  // Later it is an error at once.
  block_->RemoveDisk("/dev/sda");
  clock_.Advance(absl::Minutes(2));
  EXPECT_EQ(api::Reason(Execute(kBackup)), "disk-not-found");
}

TEST_F(StorageControllerTest, WhatIsNotThereYetIsRefusedNotPretended) {
  EXPECT_THAT(
      Steps("", R"(volumes { name: "x" disk { serial: "S5Y1" } filesystem: FILESYSTEM_XFS })"),
      HasSubstr("no tools for xfs"));
}

TEST_F(StorageControllerTest, DataIsComparedWithTheConfig) {
  EXPECT_EQ(api::Reason(Plan("", R"(data { disk { serial: "S5Y1" } })").status()),
            "data-elsewhere");
  EXPECT_EQ(api::Reason(Plan("", R"(data { min_size: "3Gi" })").status()), "too-small");
  EXPECT_EQ(
      Steps("", R"(data { disk { type: DISK_TYPE_VIRTIO } min_size: "2Gi" max_size: "3Gi" })"),
      "DATA grows to at most 3 GiB\n");
  ASSERT_TRUE(Execute(R"(data { max_size: "3Gi" })").ok());
  EXPECT_EQ(vfs_.Read("state/data-limit").value_or(""), "3221225472\n");
  auto plan = Plan("", R"(data { max_size: "1Gi" })");
  ASSERT_TRUE(plan.ok());
  ASSERT_EQ(plan->warnings.size(), 1u);
  EXPECT_THAT(plan->warnings[0], HasSubstr("DATA has 2 GiB already and does not shrink"));
  ASSERT_TRUE(Execute("").ok());
  EXPECT_FALSE(vfs_.Exists("state/data-limit"));
}

TEST_F(StorageControllerTest, SwapFileAndZramComeAndGo) {
  const std::string file = vfs_.Absolute("data/swap/file");
  const std::string both = R"(swap { size: "256Mi" swappiness: 10 } zram { percent: 50 })";
  EXPECT_EQ(Steps("", both),
            "swap: make and use a file of 256 MiB on DATA\n"
            "zram: swap up to 511 MiB into memory, compressed with zstd\n"
            "swap: vm.swappiness 10\n");
  ASSERT_TRUE(Execute(both).ok());
  EXPECT_EQ(block_->swaps[file], -1);
  EXPECT_EQ(block_->swaps["/dev/zram0"], 100);
  EXPECT_EQ(block_->zram.second, "zstd");
  EXPECT_EQ(block_->swappiness, 10);
  ASSERT_EQ(controller_->Observe().size(), 1u);
  EXPECT_EQ(controller_->Observe()[0].type, "SwapActive");
  EXPECT_TRUE(controller_->Observe()[0].holds);
  EXPECT_EQ(Steps(both, both), "");
  // A larger file takes the place of the other; lz4 is another device.
  const std::string other = R"(swap { size: "512Mi" } zram { size: "128Mi" algorithm: "lz4" })";
  ASSERT_TRUE(Execute(other).ok());
  EXPECT_EQ(block_->swap_files[file], 512 * kMebibyte);
  EXPECT_EQ(block_->zram, (std::pair<uint64_t, std::string>{128 * kMebibyte, "lz4"}));
  ASSERT_TRUE(Execute(R"(swap { size: "512Mi" } zram { size: "128Mi" algorithm: "zstd" })").ok());
  EXPECT_EQ(block_->zram.second, "zstd");
  ASSERT_TRUE(Execute("").ok());
  EXPECT_TRUE(block_->swaps.empty());
  EXPECT_EQ(block_->zram.first, 0u);
  EXPECT_TRUE(controller_->Observe().empty());
  // Neither more than DATA has, nor on a kernel that cannot.
  vfs_.SetFreeBytes(600 * kMebibyte);
  EXPECT_EQ(api::Reason(Plan("", R"(swap { size: "512Mi" })").status()), "no-room");
  block_->has_zram = false;
  EXPECT_EQ(api::Reason(Execute(R"(zram { percent: 50 })")), "no-zram");
  EXPECT_EQ(controller_->Observe()[0].code, "swap-not-active");
}

TEST_F(StorageControllerTest, DriftIsSeenAndASleepingDiskIsNotWoken) {
  ASSERT_TRUE(Execute(kBackup).ok());
  int changes = 0;
  controller_->SetOnChange([&] { ++changes; });
  block_->reads = 0;
  block_->writes = 0;
  executor_.Advance(absl::Minutes(10));
  EXPECT_EQ(block_->reads, 0u);
  EXPECT_EQ(block_->writes, 0u);
  EXPECT_EQ(changes, 0);
  ASSERT_TRUE(block_->Unmount("/var/mnt/backup").ok());
  executor_.Advance(absl::Minutes(2));
  EXPECT_EQ(changes, 1);
  EXPECT_FALSE(controller_->Observe()[0].holds);
  EXPECT_THAT(controller_->Observe()[0].message, HasSubstr("backup is not mounted"));
  ASSERT_TRUE(Execute(kBackup).ok());
  for (host::BlockMount& mount : block_->mounts) mount.read_only = mount.target != "/data";
  executor_.Advance(absl::Minutes(2));
  EXPECT_THAT(controller_->Observe()[0].message, HasSubstr("read-only"));
}

TEST_F(StorageControllerTest, FlashIsToldNowAndThenWhatIsFree) {
  ASSERT_TRUE(Execute(kBackup).ok());
  executor_.Advance(absl::Hours(2));
  EXPECT_EQ(block_->trimmed, (std::vector<std::string>{vfs_.Absolute("data"), "/var/mnt/backup"}));
  executor_.Advance(absl::Hours(24 * 7));
  EXPECT_EQ(block_->trimmed.size(), 4u);
}

TEST_F(StorageControllerTest, DisksAndVolumesAreResources) {
  ASSERT_TRUE(Execute(kBackup).ok());
  std::map<std::string, v1::Resource> resources;
  for (v1::Resource& resource : controller_->Resources()) {
    resources[absl::StrCat(resource.kind(), "/", resource.name())] = resource;
  }
  ASSERT_EQ(resources.size(), 4u);
  EXPECT_EQ(resources["VolumeStatus/DATA"].volume().state(), "mounted");
  EXPECT_EQ(resources["VolumeStatus/DATA"].volume().encrypted(), "");
  EXPECT_EQ(resources["Disk/vda"].disk().holds(), "system");
  EXPECT_EQ(resources["Disk/sda"].disk().holds(), "partitions");
  EXPECT_EQ(resources["Disk/sda"].disk().type(), "ssd");
  EXPECT_TRUE(resources["Disk/sda"].disk().partitions(0).volume());
  EXPECT_EQ(resources["Disk/sda"].disk().partitions(0).holds(), "ext4");
  EXPECT_EQ(resources["VolumeStatus/backup"].volume().state(), "mounted");
  EXPECT_EQ(resources["VolumeStatus/backup"].volume().device(), "/dev/sda1");
}

TEST_F(StorageControllerTest, AResetLeavesVolumesWithWhatTheyHold) {
  ASSERT_TRUE(
      Execute(std::string(kBackup) + R"( swap { size: "64Mi" } data { max_size: "3Gi" })").ok());
  ASSERT_TRUE(Execute(nullptr).ok());
  EXPECT_EQ(MountAt("/var/mnt/backup"), nullptr);
  absl::Status erased = absl::UnknownError("");
  controller_->Erase([&](absl::Status status) { erased = status; });
  executor_.RunUntilIdle();
  EXPECT_TRUE(erased.ok());
  EXPECT_FALSE(vfs_.Exists("state/data-limit"));
  EXPECT_EQ(Names("/dev/sda"), "backup ");
  ASSERT_TRUE(Execute(kBackup).ok());
  EXPECT_NE(MountAt("/var/mnt/backup"), nullptr);
}

TEST_F(StorageControllerTest, ADiskThatDoesNotAnswerKeepsNobodyFromStarting) {
  executor_.pool_full = true;
  Restart();
  EXPECT_EQ(api::Reason(Plan("", kBackup).status()), "disks-not-read");
  const v1::MachineConfig none;
  EXPECT_TRUE(controller_->Plan(nullptr, none).ok());
  executor_.pool_full = false;
  executor_.Advance(absl::Seconds(1));
  EXPECT_TRUE(Plan("", kBackup).ok());
}

TEST_F(StorageControllerTest, TheNewestConfigurationWins) {
  absl::Status first = absl::UnknownError("");
  const v1::MachineConfig config = Config(kBackup);
  controller_->Execute(&config, [&](absl::Status status) { first = std::move(status); });
  ASSERT_TRUE(Execute("").ok());
  EXPECT_EQ(first.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Names("/dev/sda"), "");
}

TEST(VolumeRecordText, P8_IsReadBackWhateverIsInIt) {
  const VolumeRecord record = {{std::string(32, 'a'), "one"}, {std::string(32, '0'), "two"}};
  EXPECT_EQ(ParseRecord(ToText(record)), record);
  for (const char* bad :
       {"", "\n", "x", "aaaa one\n", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA one\n",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa a b\n"}) {
    EXPECT_TRUE(ParseRecord(bad).empty()) << bad;
  }
}

}  // namespace
}  // namespace basalt::storage
