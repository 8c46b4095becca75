// Encrypted volumes, and STATE and DATA as they were made: what is told to noded-unlock, what is
// refused, and what is said of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "api/coded_status.h"
#include "google/protobuf/text_format.h"
#include "server/controllers/storage/disk_table.h"
#include "server/controllers/storage/passphrases.h"
#include "server/controllers/storage/storage_controller.h"
#include "tests/support/block/fake_block.h"
#include "tests/support/clock/fake_clock.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/vfs/fake_vfs.h"
#include "tests/unit/server/controllers/storage/fake_tools.h"

namespace basalt::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
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

const unlock::Token kSealed = {.type = unlock::kTpm2Token, .fields = {{"pcrs", "7+15"}}};

class EncryptionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(vfs_.MakeDirs("state").ok());
    ASSERT_TRUE(vfs_.MakeDirs("data").ok());
    vfs_.SetFreeBytes(8 * kGibibyte);
    block_ = std::make_shared<testing::FakeBlock>();
    block_->AddDisk({.device = "/dev/vda", .size = 4 * kGibibyte, .type = host::DiskType::kVirtio});
    ASSERT_TRUE(AddVolume(*block_, About("/dev/vda"), "STATE", kMebibyte, 256 * kMebibyte,
                          std::string(16, 's'), std::string(16, 'D'))
                    .ok());
    ASSERT_TRUE(AddVolume(*block_, About("/dev/vda"), "DATA", kGibibyte, 2 * kGibibyte,
                          std::string(16, 'd'), std::string(16, 'D'))
                    .ok());
    block_->AddDisk(
        {.device = "/dev/sda", .size = kGibibyte, .serial = "S5Y1", .type = host::DiskType::kSsd});
    block_->data_device = "/dev/vda2";
    MakeTools();
  }
  void MakeTools() {
    auto tools = std::make_unique<FakeTools>(*block_);
    tools_ = tools.get();
    next_tools_ = std::move(tools);
  }
  // STATE and DATA as a first boot made them: with the token, or in the clear.
  void Made(const unlock::Token* key) {
    for (const auto& [device, name] : {std::pair{"/dev/vda1", "STATE"}, {"/dev/vda2", "DATA"}}) {
      if (key != nullptr) tools_->Lock(device, name, {*key, {.type = unlock::kStateToken}});
    }
    Boot();
  }
  void MountOwn() {
    block_->mounts.push_back({.source = "/dev/vda1", .target = "/state", .type = "ext4"});
    if (data_locked_) return;
    block_->mounts.push_back({.source = "/dev/vda2", .target = "/data", .type = "ext4"});
  }
  void Boot() {
    controller_.reset();
    block_->Reboot();
    MountOwn();
    if (next_tools_ == nullptr) MakeTools();
    controller_ = MakeStorageController({.executor = executor_,
                                         .vfs = vfs_,
                                         .clock = clock_,
                                         .random = random_,
                                         .platform = platform_},
                                        {.block = block_, .tools = std::move(next_tools_)});
    controller_->Start();
    executor_.RunUntilIdle();
  }
  host::BlockDisk About(const std::string& device) {
    const auto disks = block_->Disks();
    for (const host::BlockDisk& disk : *disks) {
      if (disk.device == device) return disk;
    }
    return {};
  }
  absl::Status Execute(const std::string& storage) {
    const v1::MachineConfig config = Config(storage);
    absl::Status result = absl::UnknownError("it never ended");
    controller_->Execute(&config, [&](absl::Status status) { result = std::move(status); });
    executor_.RunUntilIdle();
    return result;
  }
  absl::StatusOr<engine::ControllerPlan> Plan(const std::string& from, const std::string& to) {
    const v1::MachineConfig before = Config(from);
    return controller_->Plan(&before, Config(to));
  }
  std::string Steps(const std::string& from, const std::string& to) {
    auto plan = Plan(from, to);
    if (!plan.ok()) return plan.status().ToString();
    std::string text;
    for (const engine::PlanStep& step : plan->steps) {
      absl::StrAppend(&text, step.description,
                      step.unimplemented.empty() ? "" : " - cannot: ", step.unimplemented, "\n");
    }
    return text;
  }
  std::map<std::string, v1::VolumeStatus> Volumes() {
    std::map<std::string, v1::VolumeStatus> out;
    for (const v1::Resource& resource : controller_->Resources()) {
      if (resource.kind() == "VolumeStatus") out[resource.name()] = resource.volume();
    }
    return out;
  }
  const engine::Condition* Condition(const std::string& type) {
    conditions_ = controller_->Observe();
    for (const engine::Condition& condition : conditions_) {
      if (condition.type == type) return &condition;
    }
    return nullptr;
  }

  testing::FakeClock clock_;
  testing::FakeRandom random_;
  testing::ManualExecutor executor_{clock_};
  testing::FakeVfs vfs_;
  FakePlatform platform_;
  std::shared_ptr<testing::FakeBlock> block_;
  FakeTools* tools_ = nullptr;
  std::unique_ptr<FakeTools> next_tools_;
  std::unique_ptr<StorageController> controller_;
  std::vector<engine::Condition> conditions_;
  bool data_locked_ = false;
};

constexpr char kVault[] =
    R"(volumes { name: "vault" disk { serial: "S5Y1" } encryption { key: KEY_SOURCE_TPM2 } })";

TEST_F(EncryptionTest, AnEncryptedVolumeIsMadeOpenedAgainAndNeverFormattedTwice) {
  Made(&kSealed);
  EXPECT_EQ(
      Steps("", kVault),
      "volume `vault`: make a partition of 1022 MiB on /dev/sda, encrypt it (tpm2), format it "
      "with ext4, mount it on /var/mnt/vault\n");
  absl::Status status = Execute(kVault);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(tools_->Ran(absl::StrCat(
      "noded-unlock format --device /dev/sda1 --name volume-vault ", "--key state --state-key ",
      vfs_.Absolute("state/disk-key"), " --make-state-key")));
  // Without the header, and off the mark.
  EXPECT_TRUE(tools_->Ran("-L vault /dev/mapper/volume-vault 257520"));
  v1::VolumeStatus vault = Volumes()["vault"];
  EXPECT_EQ(vault.state(), "mounted");
  EXPECT_EQ(vault.device(), "/dev/sda1");
  EXPECT_EQ(vault.encrypted(), "luks2");
  EXPECT_EQ(vault.key(), "state (tpm2 (PCR 7+15))");
  EXPECT_EQ(vault.keyslots(), 1);
  EXPECT_FALSE(vault.recovery());
  EXPECT_EQ(Steps(kVault, kVault), "");
  // The same once more does nothing.
  tools_->runs.clear();
  ASSERT_TRUE(Execute(kVault).ok());
  EXPECT_THAT(tools_->runs, IsEmpty());

  Boot();
  ASSERT_TRUE(Execute(kVault).ok());
  EXPECT_TRUE(tools_->Ran("noded-unlock open --device /dev/sda1 --name volume-vault"));
  EXPECT_TRUE(tools_->Ran("e2fsck -p /dev/mapper/volume-vault"));
  EXPECT_FALSE(tools_->Ran("mke2fs"));
  EXPECT_FALSE(tools_->Ran("noded-unlock format"));
  EXPECT_EQ(Volumes()["vault"].state(), "mounted");
}

TEST_F(EncryptionTest, WhatNoKeyOpensIsSaidAndLeftAlone) {
  Made(&kSealed);
  ASSERT_TRUE(Execute(kVault).ok());
  const std::string head = *block_->Read("/dev/sda1", 0, kMebibyte);
  Boot();
  tools_->codes["noded-unlock"] = unlock::kExitLocked;
  absl::Status status = Execute(kVault);
  EXPECT_EQ(api::Reason(status), "disk-locked");
  EXPECT_FALSE(tools_->Ran("mke2fs"));
  EXPECT_EQ(*block_->Read("/dev/sda1", 0, kMebibyte), head);
  EXPECT_EQ(Volumes()["vault"].state(), "locked");
  EXPECT_THAT(Volumes()["vault"].message(), HasSubstr("open /dev/sda1"));
  EXPECT_FALSE(Condition("VolumesMounted")->holds);
}

TEST_F(EncryptionTest, AKeyOnStateNeedsAStateThatIsWorthIt) {
  Made(nullptr);
  EXPECT_EQ(api::Reason(Plan("", kVault).status()), "state-in-the-clear");
  const char* by_passphrase =
      R"(volumes { name: "v" disk { serial: "S5Y1" } encryption { key: KEY_SOURCE_PASSPHRASE passphrase { plain: "correct horse battery" } } })";
  EXPECT_EQ(api::Reason(Plan("", by_passphrase).status()), "state-in-the-clear");
  const char* by_board =
      R"(volumes { name: "v" disk { serial: "S5Y1" } encryption { key: KEY_SOURCE_NODE } })";
  EXPECT_THAT(Steps("", by_board), HasSubstr("encrypt it (node)"));
  ASSERT_TRUE(Execute(by_board).ok());
  EXPECT_TRUE(tools_->Ran("--key node"));
  EXPECT_FALSE(tools_->Ran("--state-key"));
  EXPECT_EQ(Volumes()["v"].key(), "node");

  const unlock::Token node = {.type = unlock::kNodeToken};
  SetUp();
  Made(&node);
  EXPECT_THAT(Steps("", by_passphrase), HasSubstr("encrypt it (passphrase)"));
  absl::Status sealed = Plan("", kVault).status();
  EXPECT_EQ(api::Reason(sealed), "state-in-the-clear");
  EXPECT_THAT(std::string(sealed.message()), HasSubstr("not sealed in a TPM"));
}

TEST_F(EncryptionTest, AVolumeStaysWhatItWasMadeAs) {
  Made(&kSealed);
  constexpr char kPlain[] = R"(volumes { name: "vault" disk { serial: "S5Y1" } })";
  ASSERT_TRUE(Execute(kPlain).ok());
  absl::Status status = Plan(kPlain, kVault).status();
  EXPECT_EQ(api::Reason(status), "volume-key-differs");
  EXPECT_THAT(std::string(status.message()), HasSubstr("in the clear"));
  SetUp();
  Made(&kSealed);
  ASSERT_TRUE(Execute(kVault).ok());
  EXPECT_EQ(api::Reason(Plan(kVault, kPlain).status()), "volume-key-differs");
  EXPECT_EQ(api::Reason(Plan(kVault, R"(volumes { name: "vault" disk { serial: "S5Y1" }
                                             encryption { key: KEY_SOURCE_NODE } })")
                            .status()),
            "volume-key-differs");
}

TEST_F(EncryptionTest, ARemovedVolumeIsClosedAndItsPartitionGoes) {
  Made(&kSealed);
  ASSERT_TRUE(Execute(kVault).ok());
  ASSERT_TRUE(Execute("").ok());
  EXPECT_TRUE(tools_->Ran("noded-unlock close --name volume-vault"));
  EXPECT_TRUE(block_->mapped.empty());
  const v1::MachineConfig none;
  controller_->CollectGarbage({&none, &none});
  executor_.RunUntilIdle();
  EXPECT_TRUE(block_->TableOf("/dev/sda").empty());
}

TEST_F(EncryptionTest, StateAndDataAreComparedWithTheConfig) {
  const std::string tpm2 = "encryption { key: KEY_SOURCE_TPM2 }",
                    node = "encryption { key: KEY_SOURCE_NODE }";
  Made(&kSealed);
  EXPECT_EQ(Steps("", tpm2), "");
  absl::Status status = Plan("", node).status();
  EXPECT_EQ(api::Reason(status), "encryption-differs");
  EXPECT_THAT(std::string(status.message()), HasSubstr("tpm2 (PCR 7+15)"));
  EXPECT_THAT(api::Hint(status), HasSubstr("basalt/encryption"));
  EXPECT_EQ(Steps("", ""), "");
  SetUp();
  Made(nullptr);
  status = Plan("", tpm2).status();
  EXPECT_EQ(api::Reason(status), "encryption-differs");
  EXPECT_THAT(std::string(status.message()), HasSubstr("in the clear"));
}

TEST_F(EncryptionTest, TheRecoveryPassphraseIsChangedInPlaceAndNotTwice) {
  Made(&kSealed);
  auto with = [](const std::string& passphrase) {
    return absl::StrCat("encryption { key: KEY_SOURCE_TPM2 passphrase { plain: \"", passphrase,
                        "\" } }");
  };
  const std::string one = with("correct horse battery"), two = with("another passphrase");
  const std::string none = "encryption { key: KEY_SOURCE_TPM2 }";
  EXPECT_EQ(Steps("", one), "STATE and DATA: set the passphrase that opens it beside its key\n");
  ASSERT_TRUE(Execute(one).ok());
  EXPECT_THAT(tools_->secrets, ElementsAre("correct horse battery", "correct horse battery"));
  EXPECT_TRUE(tools_->Ran(absl::StrCat("passphrase --device /dev/vda1 --state-key ",
                                       vfs_.Absolute("state/disk-key"), " --passphrase-fd 3")));
  EXPECT_TRUE(tools_->Ran("passphrase --device /dev/vda2"));
  EXPECT_TRUE(Volumes()["STATE"].recovery());
  EXPECT_EQ(Volumes()["STATE"].keyslots(), 3);
  // Neither an argument nor a file of ours has it.
  for (const std::string& run : tools_->runs) EXPECT_THAT(run, Not(HasSubstr("horse")));
  EXPECT_THAT(*vfs_.Read("state/passphrases"), Not(HasSubstr("horse")));
  tools_->runs.clear();
  ASSERT_TRUE(Execute(one).ok());
  Boot();
  ASSERT_TRUE(Execute(one).ok());
  EXPECT_THAT(tools_->runs, IsEmpty());
  EXPECT_EQ(Steps(one, two), "STATE and DATA: set the passphrase that opens it beside its key\n");
  ASSERT_TRUE(Execute(two).ok());
  EXPECT_THAT(tools_->secrets, ElementsAre("another passphrase", "another passphrase"));
  EXPECT_EQ(Volumes()["DATA"].keyslots(), 3);
  EXPECT_EQ(Steps(two, none), "STATE and DATA: take the recovery passphrase away\n");
  ASSERT_TRUE(Execute(none).ok());
  EXPECT_FALSE(Volumes()["STATE"].recovery());
  // A config that says nothing of it leaves it.
  ASSERT_TRUE(Execute(one).ok());
  tools_->runs.clear();
  ASSERT_TRUE(Execute("").ok());
  EXPECT_THAT(tools_->runs, IsEmpty());
}

TEST_F(EncryptionTest, APassphraseThatCouldNotBeSetIsTriedAgain) {
  Made(&kSealed);
  const std::string one =
      R"(encryption { key: KEY_SOURCE_TPM2 passphrase { plain: "correct horse battery" } })";
  tools_->codes["noded-unlock"] = unlock::kExitFailed;
  EXPECT_EQ(api::Reason(Execute(one)), "tool-failed");
  tools_->codes.clear();
  ASSERT_TRUE(Execute(one).ok());
  EXPECT_TRUE(Volumes()["DATA"].recovery());
}

TEST_F(EncryptionTest, AVolumeOfAPassphraseIsMadeWithItAndItIsChangedLive) {
  Made(&kSealed);
  auto with = [](const std::string& passphrase) {
    return absl::StrCat(
        "volumes { name: \"v\" disk { serial: \"S5Y1\" } encryption { key: "
        "KEY_SOURCE_PASSPHRASE passphrase { plain: \"",
        passphrase, "\" } } }");
  };
  ASSERT_TRUE(Execute(with("correct horse battery")).ok());
  EXPECT_TRUE(tools_->Ran("--key passphrase"));
  EXPECT_THAT(tools_->secrets, ElementsAre("correct horse battery"));
  EXPECT_EQ(Volumes()["v"].keyslots(), 2);
  EXPECT_EQ(Steps(with("correct horse battery"), with("another passphrase")),
            "volume `v`: set the passphrase that opens it beside its key\n");
  ASSERT_TRUE(Execute(with("another passphrase")).ok());
  EXPECT_TRUE(tools_->Ran("passphrase --device /dev/sda1"));
  EXPECT_FALSE(tools_->Ran("close"));
  EXPECT_EQ(Volumes()["v"].keyslots(), 2);
}

TEST_F(EncryptionTest, DataThatIsLockedIsACondition) {
  Made(&kSealed);
  ASSERT_TRUE(Execute("").ok());
  ASSERT_NE(Condition("DisksUnlocked"), nullptr);
  EXPECT_TRUE(Condition("DisksUnlocked")->holds);
  data_locked_ = true;
  block_->data_device = "";
  Boot();
  ASSERT_TRUE(Execute("").ok());
  ASSERT_NE(Condition("DisksUnlocked"), nullptr);
  EXPECT_FALSE(Condition("DisksUnlocked")->holds);
  EXPECT_EQ(Condition("DisksUnlocked")->code, "disk-locked");
}

TEST(PassphrasesTest, ARecordThatIsDamagedOnlyCostsAnotherTry) {
  const Applied applied = ParseApplied("STATE aa bb\nDATA cc\n\nx\n y z\n");
  EXPECT_EQ(applied.size(), 1u);
  EXPECT_FALSE(IsApplied(applied, "STATE", "p"));
  EXPECT_FALSE(IsApplied(applied, "DATA", "p"));
  EXPECT_TRUE(IsApplied({{"DATA", DigestOf("salt", "p")}}, "DATA", "p"));
  EXPECT_FALSE(IsApplied({{"DATA", DigestOf("salt", "p")}}, "DATA", "q"));
}

}  // namespace
}  // namespace basalt::storage
