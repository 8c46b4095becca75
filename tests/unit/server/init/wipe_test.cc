// What a reset leaves to the next boot: a partition is wiped before it is formatted.
#include "server/init/boot/wipe.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "server/init/boot/locks.h"
#include "server/init/boot/volume.h"
#include "tests/unit/server/init/fake_machine.h"

namespace basalt::init {
namespace {

constexpr size_t kSize = 20 << 20;
constexpr size_t kMarkAt = kSize - kMarkDistance;
constexpr char kDevice[] = "/dev/vda4";

// A reset's order: the block behind the mark, then the mark.
class WipeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    machine_.AddPartition("vda2", "SLOT-A", 4096);
    machine_.AddPartition("vda4", "STATE", kSize);
    machine_.BootFrom("vda2");
    machine_.run = [this](const std::string& line, Exited* exited) {
      if (line.find("mke2fs") != std::string::npos && format_code == 0) MakeExt4();
      exited->code = line.find("mke2fs") != std::string::npos ? format_code : 0;
      return 0;
    };
  }
  void MakeExt4() {
    Disk()[1024 + 56] = 0x53;
    Disk()[1024 + 57] = static_cast<char>(0xef);
  }
  std::string& Disk() { return machine_.files[kDevice]; }
  VolumeReport Open() {
    Locks locks(machine_);
    return OpenVolume(machine_, locks, "STATE", "/state", MS_NOEXEC, 0700);
  }
  bool Formatted() const { return machine_.Find("run /usr/sbin/mke2fs") >= 0; }

  static constexpr size_t kOrderAt = kSize - gpt::kWipeDistance;
  void Order(gpt::WipeMethod method) {
    gpt::WipeOrder order = {};
    memcpy(order.magic, gpt::kWipeMagic, sizeof order.magic);
    order.method = static_cast<uint8_t>(method);
    Disk().replace(kOrderAt, sizeof order, reinterpret_cast<const char*>(&order), sizeof order);
  }
  void Mark() { Disk().replace(kMarkAt, sizeof kFormatMark, kFormatMark, sizeof kFormatMark); }
  void Use() {
    MakeExt4();
    Disk()[5000000] = 's';  // a secret
  }
  bool SecretLeft() { return Disk()[5000000] == 's'; }

  FakeMachine machine_;
  int format_code = 0;
};

TEST_F(WipeTest, AnOrderIsObeyedBeforeTheFormatAndOnce) {
  struct Case {
    gpt::WipeMethod method;
    const char* done;
    const char* said;
  };
  for (const Case& c :
       {Case{gpt::WipeMethod::kZero, "erase zero", "zero"},
        Case{gpt::WipeMethod::kDiscard, "erase secure-discard", "secure-discard"}}) {
    Use();
    Order(c.method);
    Mark();
    machine_.done.clear();
    machine_.mounts.clear();
    EXPECT_EQ(Open().state, VolumeState::kFormatted);
    EXPECT_FALSE(SecretLeft());
    EXPECT_GE(machine_.Find(c.done), 0);
    EXPECT_LT(machine_.Find(c.done), machine_.Find("run /usr/sbin/mke2fs"));
    EXPECT_EQ(machine_.files["/run/wiped/STATE"].rfind(std::string(c.said) + " 20905984 ", 0), 0u)
        << machine_.files["/run/wiped/STATE"];
    EXPECT_EQ(WipeOrderOf(machine_, kDevice, kSize), gpt::WipeMethod::kNone);
    machine_.mounts.clear();
    machine_.done.clear();
    EXPECT_EQ(Open().state, VolumeState::kMounted);
    EXPECT_EQ(machine_.Find("erase"), -1);
  }
}

TEST_F(WipeTest, WithoutTheMarkAnOrderIsNothing) {
  Use();
  Order(gpt::WipeMethod::kZero);
  EXPECT_EQ(Open().state, VolumeState::kMounted);
  EXPECT_TRUE(SecretLeft());
}

TEST_F(WipeTest, ADiskThatForgetsNothingIsOverwritten) {
  Use();
  Order(gpt::WipeMethod::kDiscard);
  Mark();
  machine_.Fail("erase", "secure-discard", EOPNOTSUPP);
  machine_.Fail("erase", "discard", EOPNOTSUPP);
  EXPECT_EQ(Open().state, VolumeState::kFormatted);
  EXPECT_FALSE(SecretLeft());
  EXPECT_TRUE(machine_.Said("[discard-failed"));
  EXPECT_EQ(machine_.files["/run/wiped/STATE"].rfind("zero ", 0), 0u);
}

TEST_F(WipeTest, TheKeysOfAnEncryptedPartitionGoAndTheRestMayStay) {
  Use();
  Disk().replace(0, 6, "LUKS\xba\xbe");
  Order(gpt::WipeMethod::kCrypto);
  Mark();
  format_code = 1;
  EXPECT_EQ(Open().state, VolumeState::kFailed);
  for (size_t i = 0; i < gpt::kCryptoHeader; ++i) ASSERT_EQ(Disk()[i], 0) << i;
  EXPECT_EQ(machine_.files["/run/wiped/STATE"].rfind("crypto-erase 16777216 ", 0), 0u);
}

TEST_F(WipeTest, APowerCutAtAnyWriteLeavesItToBeDoneAndTheNextBootDoesIt) {
  for (gpt::WipeMethod method :
       {gpt::WipeMethod::kZero, gpt::WipeMethod::kDiscard, gpt::WipeMethod::kCrypto}) {
    size_t cuts = 0;
    for (size_t writes = 0;; ++writes) {
      machine_.mounts.clear();
      machine_.files[kDevice] = std::string(kSize, 0);
      Use();
      Disk()[70000] = 's';  // within what holds keys
      Order(method);
      Mark();
      machine_.writes_left = writes;
      const bool done = Open().state == VolumeState::kFormatted;
      machine_.writes_left = SIZE_MAX;
      if (done) break;
      ++cuts;
      machine_.mounts.clear();
      machine_.done.clear();
      ASSERT_EQ(Open().state, VolumeState::kFormatted) << writes;
      ASSERT_EQ(Disk()[70000], 0) << writes;
      if (method != gpt::WipeMethod::kCrypto) {
        ASSERT_FALSE(SecretLeft()) << writes;
      }
      machine_.mounts.clear();
      EXPECT_EQ(Open().state, VolumeState::kMounted);
    }
    EXPECT_GE(cuts, 4u);
  }
}

TEST_F(WipeTest, ADiskThatFailsStaysMarkedAndIsTold) {
  Use();
  Order(gpt::WipeMethod::kZero);
  Mark();
  machine_.Fail("erase", "zero", EIO);
  VolumeReport report = Open();
  EXPECT_EQ(report.state, VolumeState::kFailed);
  EXPECT_EQ(report.error, EIO);
  EXPECT_TRUE(machine_.Said("[wipe-failed, errno 5]"));
  EXPECT_FALSE(Formatted());
  machine_.failures.clear();
  EXPECT_EQ(Open().state, VolumeState::kFormatted);
  EXPECT_FALSE(SecretLeft());
}

TEST_F(WipeTest, ALongWipePetsTheWatchdogAndSaysHowFarItIs) {
  constexpr size_t kLarge = 260 << 20;
  machine_.AddPartition("vda4", "STATE", kLarge);
  gpt::WipeOrder order = {};
  memcpy(order.magic, gpt::kWipeMagic, sizeof order.magic);
  order.method = static_cast<uint8_t>(gpt::WipeMethod::kZero);
  Disk().replace(kLarge - gpt::kWipeDistance, sizeof order, reinterpret_cast<const char*>(&order),
                 sizeof order);
  Disk().replace(kLarge - kMarkDistance, sizeof kFormatMark, kFormatMark, sizeof kFormatMark);
  machine_.erase_ns = 11000000000;
  EXPECT_EQ(Open().state, VolumeState::kFormatted);
  EXPECT_GE(machine_.pets.size(), 5u);
  EXPECT_TRUE(machine_.Said("wiping /dev/vda4: 64 of 259 MiB"));
}

}  // namespace
}  // namespace basalt::init
