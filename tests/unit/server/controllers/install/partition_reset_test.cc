// Marks of a reset on STATE and DATA, and what is laid down on the boot partition.
#include "server/controllers/install/partition_reset.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "api/coded_status.h"
#include "server/controllers/install/disk_wipe.h"
#include "server/controllers/storage/disk_table.h"
#include "server/gpt/gpt.h"
#include "server/gpt/wipe_order.h"
#include "tests/support/block/fake_block.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt::install {
namespace {

using basalt::testing::FakeBlock;
using basalt::testing::FakeVfs;
using engine::ResetSpec;
using engine::WipeMethod;
using engine::WipeSpec;

constexpr uint64_t kMebibyte = 1 << 20;
constexpr char kEsp[] = "/dev/vda1", kState[] = "/dev/vda2", kData[] = "/dev/vda3";

class DiskIo : public gpt::Io {
 public:
  DiskIo(FakeBlock& block, std::string disk) : block_(block), disk_(std::move(disk)) {}
  int Read(uint64_t offset, void* data, size_t size) override {
    auto bytes = block_.Read(disk_, offset, size);
    if (bytes.ok()) memcpy(data, bytes->data(), size);
    return bytes.ok() ? 0 : EIO;
  }
  int Write(uint64_t offset, const void* data, size_t size) override {
    return block_.Write(disk_, offset, {static_cast<const char*>(data), size}).ok() ? 0 : EIO;
  }

 private:
  FakeBlock& block_;
  std::string disk_;
};

class DisksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Partition("/dev/vda", 200, {{"ESP", 40}, {"STATE", 40}, {"DATA", 100}});
    Partition("/dev/sdb", 200, {{"longhorn", 150}}, "S64");
    block.MakeExt4("/dev/sdb1", 1000);
    block.data_device = kData;
  }
  void Partition(const std::string& disk, uint64_t mebibytes,
                 const std::vector<std::pair<const char*, uint64_t>>& parts,
                 const std::string& serial = "") {
    block.AddDisk({.device = disk, .size = mebibytes * kMebibyte, .serial = serial});
    auto table = std::make_unique<gpt::Table>();
    const uint8_t id[16] = {1};
    ASSERT_EQ(gpt::MakeTable({512, mebibytes * kMebibyte / 512}, id, table.get()), 0);
    uint64_t at = 1;
    for (size_t i = 0; i < parts.size(); ++i) {
      gpt::Partition& p = table->partition[i];
      memcpy(p.type, gpt::kLinuxData, sizeof p.type);
      p.id[0] = static_cast<uint8_t>(i + 1);
      p.first = at * kMebibyte / 512;
      at += parts[i].second;
      p.last = at * kMebibyte / 512 - 1;
      gpt::SetName(&p, parts[i].first);
    }
    DiskIo io(block, disk);
    ASSERT_EQ(gpt::WriteTable(io, *table), 0);
    block.Reboot();
  }
  OpenFiles Files() {
    return [this](const std::string& device) -> absl::StatusOr<std::shared_ptr<host::Vfs>> {
      EXPECT_EQ(device, kEsp);
      return std::shared_ptr<host::Vfs>(&esp, [](host::Vfs*) {});
    };
  }
  bool Marked(const std::string& device, uint64_t mebibytes) {
    auto bytes = block.Read(device, mebibytes * kMebibyte - gpt::kMarkDistance, 64);
    return memcmp(bytes->data(), gpt::kFormatMark, sizeof gpt::kFormatMark) == 0;
  }
  int Ordered(const std::string& device, uint64_t mebibytes) {
    auto bytes = block.Read(device, mebibytes * kMebibyte - gpt::kWipeDistance, 64);
    gpt::WipeOrder order;
    memcpy(&order, bytes->data(), sizeof order);
    return memcmp(order.magic, gpt::kWipeMagic, sizeof order.magic) == 0 ? order.method : -1;
  }
  absl::Status Mark(const ResetSpec& spec, const engine::Carried& carried = {"TRUST", "FLOOR"}) {
    return MarkPartitions(block, Files(), kEsp, spec, carried, "RECORD");
  }
  absl::StatusOr<WipeTarget> Find(const WipeSpec& spec) {
    return FindWipe(spec, storage::LookAt(block, "/data", nullptr).value(), kEsp);
  }
  WipeSpec Disk(const std::string& serial, WipeMethod method = WipeMethod::kFast) {
    WipeSpec spec{.method = method};
    spec.disk.set_serial(serial);
    return spec;
  }

  FakeBlock block;
  FakeVfs esp;
};

TEST_F(DisksTest, WhatIsOrderedIsMarkedAndNothingElse) {
  ASSERT_TRUE(Mark({.data = true, .method = WipeMethod::kZero}).ok());
  EXPECT_TRUE(Marked(kData, 100));
  EXPECT_EQ(Ordered(kData, 100), static_cast<int>(gpt::WipeMethod::kZero));
  EXPECT_FALSE(Marked(kState, 40));
  EXPECT_FALSE(esp.Exists("basalt/carried/trust.json"));
  // Another order takes the place of the one before.
  ASSERT_TRUE(Mark({.state = true, .data = true}).ok());
  EXPECT_EQ(Ordered(kData, 100), -1);
  EXPECT_TRUE(Marked(kState, 40));
  EXPECT_EQ(esp.Read("basalt/carried/trust.json").value_or(""), "TRUST");
  EXPECT_EQ(esp.Read("basalt/carried/floor").value_or(""), "FLOOR");
  EXPECT_EQ(esp.Read("basalt/carried/image").value_or(""), "RECORD");
}

TEST_F(DisksTest, TrustThatIsForgottenIsNotLeftFromBefore) {
  ASSERT_TRUE(Mark({.state = true, .data = true}).ok());
  ASSERT_TRUE(Mark({.state = true, .data = true, .forget_trust = true}, {}).ok());
  for (const char* name : {"trust.json", "floor", "image"}) {
    EXPECT_FALSE(esp.Exists(std::string("basalt/carried/") + name)) << name;
  }
}

TEST_F(DisksTest, StateIsMarkedLastSoThatItsJournalSaysWhatIsLeft) {
  const ResetSpec spec{.state = true, .data = true, .method = WipeMethod::kZero};
  size_t cuts = 0;
  for (size_t writes = 0;; ++writes) {
    block = FakeBlock();
    esp.CutPower();
    SetUp();
    block.writes_left = writes;
    const bool done = Mark(spec).ok();
    block.writes_left = SIZE_MAX;
    if (done) break;
    ++cuts;
    EXPECT_TRUE(esp.Exists("basalt/carried/trust.json")) << writes;
    EXPECT_FALSE(Marked(kState, 40)) << writes;
    // A mark is never there without its order.
    EXPECT_TRUE(!Marked(kData, 100) || Ordered(kData, 100) == 1) << writes;
    ASSERT_TRUE(Mark(spec).ok());
    EXPECT_TRUE(Marked(kState, 40) && Marked(kData, 100));
  }
  EXPECT_EQ(cuts, 4u);
}

TEST_F(DisksTest, ABootPartitionThatTakesNothingLeavesEverythingAsItIs) {
  esp.FailAllWrites(absl::ResourceExhaustedError("no space"));
  EXPECT_FALSE(Mark({.state = true, .data = true}).ok());
  EXPECT_FALSE(Marked(kState, 40) || Marked(kData, 100));
}

TEST_F(DisksTest, AMethodThatTheDiskDoesNotHaveIsRefused) {
  auto check = [&](WipeMethod method) {
    return api::Reason(CheckPartitions(block, kEsp, {.state = true, .method = method}));
  };
  EXPECT_EQ(check(WipeMethod::kFast), "");
  EXPECT_EQ(check(WipeMethod::kZero), "");
  EXPECT_EQ(check(WipeMethod::kDiscard), "wipe-unsupported");
  EXPECT_EQ(check(WipeMethod::kCryptoErase), "not-encrypted");
  ASSERT_TRUE(block.Write(kState, 0, "LUKS\xba\xbe").ok());
  EXPECT_EQ(check(WipeMethod::kCryptoErase), "");
  EXPECT_EQ(api::Reason(CheckPartitions(block, "/dev/sda1", {.state = true})), "no-partition");
}

TEST_F(DisksTest, WhatWasCarriedBecomesAPartOfAFreshState) {
  FakeVfs vfs;
  ASSERT_TRUE(vfs.MakeDirs("run/carried").ok());
  ASSERT_TRUE(vfs.Replace("run/carried/floor", "1 7 - 0\n").ok());
  ASSERT_TRUE(vfs.Replace("run/carried/image", "RECORD").ok());
  ASSERT_TRUE(TakeCarried(vfs).ok());
  EXPECT_EQ(vfs.Read("state/carried-floor").value_or(""), "1 7 - 0\n");
  EXPECT_EQ(vfs.Read("state/image/record").value_or(""), "RECORD");
  ASSERT_TRUE(vfs.Replace("state/image/record", "NEWER").ok());
  ASSERT_TRUE(TakeCarried(vfs).ok());
  EXPECT_EQ(vfs.Read("state/image/record").value_or(""), "NEWER");
}

TEST_F(DisksTest, AWipeIsOfOneDiskAndNeverOfTheNodesOwn) {
  auto own = Disk("");
  own.disk.set_path("/dev/vda");
  EXPECT_EQ(api::Reason(Find(own).status()), "disk-of-the-image");
  EXPECT_EQ(api::Reason(Find(Disk("S65")).status()), "disk-not-found");
  auto target = Find(Disk("S64"));
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_NE(target->what.find("which holds longhorn (ext4)"), std::string::npos) << target->what;
  block.mounts.push_back({.source = "/dev/sdb1", .target = "/var/mnt/longhorn", .type = "ext4"});
  EXPECT_EQ(api::Reason(Find(Disk("S64")).status()), "disk-in-use");
  EXPECT_EQ(api::Reason(Find({.volume = "longhorn"}).status()), "volume-mounted");
  EXPECT_EQ(api::Reason(Find({.volume = "DATA"}).status()), "volume-not-found");
  EXPECT_EQ(api::Reason(Find(Disk("S64", WipeMethod::kDiscard)).status()), "disk-in-use");
}

TEST_F(DisksTest, AWipedDiskIsBlankForWhoeverLooks) {
  for (WipeMethod method : {WipeMethod::kFast, WipeMethod::kZero}) {
    block = FakeBlock();
    SetUp();
    ASSERT_TRUE(block.Write("/dev/sdb", 100 * kMebibyte, "secret").ok());
    auto target = Find(Disk("S64", method));
    ASSERT_TRUE(target.ok()) << target.status();
    int percent = 0;
    auto done = DoWipe(block, *target, method, [&](int p) { percent = p; });
    ASSERT_TRUE(done.ok()) << done.status();
    EXPECT_EQ(percent, 100);
    auto facts = storage::LookAt(block, "/data", nullptr);
    EXPECT_TRUE(facts->Disk("/dev/sdb")->blank);
    const bool left = block.Read("/dev/sdb", 100 * kMebibyte, 6).value_or("") == "secret";
    EXPECT_EQ(left, method == WipeMethod::kFast) << *done;
    EXPECT_EQ(done->find("read back") != std::string::npos, left) << *done;
  }
}

TEST_F(DisksTest, AVolumeIsWipedWithinItsPartition) {
  auto target = Find({.volume = "longhorn"});
  ASSERT_TRUE(target.ok()) << target.status();
  ASSERT_TRUE(DoWipe(block, *target, WipeMethod::kFast, [](int) {}).ok());
  auto facts = storage::LookAt(block, "/data", nullptr);
  ASSERT_EQ(facts->Disk("/dev/sdb")->partitions.size(), 1u);
  EXPECT_EQ(facts->Disk("/dev/sdb")->partitions[0].content, storage::Content::kBlank);
}

TEST_F(DisksTest, APowerCutInAWipeIsMendedByDoingItAgain) {
  for (WipeMethod method : {WipeMethod::kFast, WipeMethod::kZero}) {
    size_t cuts = 0;
    for (size_t writes = 0;; ++writes) {
      block = FakeBlock();
      SetUp();
      auto target = Find(Disk("S64", method));
      ASSERT_TRUE(target.ok());
      block.writes_left = writes;
      const bool done = DoWipe(block, *target, method, [](int) {}).ok();
      block.writes_left = SIZE_MAX;
      if (done) break;
      ++cuts;
      block.Reboot();
      target = Find(Disk("S64", method));
      ASSERT_TRUE(target.ok()) << writes << target.status();
      ASSERT_TRUE(DoWipe(block, *target, method, [](int) {}).ok()) << writes;
      EXPECT_TRUE(storage::LookAt(block, "/data", nullptr)->Disk("/dev/sdb")->blank) << writes;
    }
    EXPECT_GE(cuts, 5u);
  }
}

TEST_F(DisksTest, KeysAreDestroyedOnlyWhereThereAreSome) {
  auto target = Find({.volume = "longhorn", .method = WipeMethod::kCryptoErase});
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(api::Reason(DoWipe(block, *target, WipeMethod::kCryptoErase, [](int) {}).status()),
            "not-encrypted");
  ASSERT_TRUE(block.Write("/dev/sdb1", 0, "LUKS\xba\xbe").ok());
  ASSERT_TRUE(block.Write("/dev/sdb1", 12 * kMebibyte, "key").ok());
  EXPECT_TRUE(DoWipe(block, *target, WipeMethod::kCryptoErase, [](int) {}).ok());
  EXPECT_EQ(block.Read("/dev/sdb1", 12 * kMebibyte, 3).value_or(""), std::string(3, '\0'));
}

}  // namespace
}  // namespace basalt::install
