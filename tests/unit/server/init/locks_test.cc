// Encrypted STATE and DATA, as PID 1 has them: what is made of them, and that nothing that is
// locked is ever formatted.
#include "server/init/boot/locks.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <set>
#include <string>

#include "server/init/boot/volume.h"
#include "server/unlock/layout.h"
#include "tests/unit/server/init/fake_machine.h"

namespace basalt::init {
namespace {

constexpr size_t kSize = 40 << 20;

class LocksTest : public ::testing::Test {
 protected:
  void SetUp() override {
    machine_.AddPartition("vda1", "ESP", 1 << 20);
    machine_.AddPartition("vda2", "SLOT-A", 4096);
    machine_.AddPartition("vda4", "STATE", kSize);
    machine_.AddPartition("vda5", "DATA", kSize);
    machine_.BootFrom("vda2");
    machine_.files[unlock::kProgram] = "";
    machine_.run = [this](const std::string& line, Exited* exited) {
      if (line.find("mke2fs") != std::string::npos) MakeExt4(line);
      if (line.find("noded-unlock") != std::string::npos) exited->code = Unlock(line);
      return 0;
    };
  }
  void HasTpm() { machine_.files[kTpmDevice] = ""; }
  // noded-unlock with a memory: which devices it has locked, and whether something opens them.
  int Unlock(const std::string& line) {
    auto after = [&](const std::string& word) {
      const size_t at = line.find(word + " ");
      if (at == std::string::npos) return std::string();
      const size_t begin = at + word.size() + 1;
      return line.substr(begin, line.find(' ', begin) - begin);
    };
    const std::string device = after("--device"), name = after("--name");
    if (line.find(" format ") != std::string::npos) {
      if (make_code != 0) return make_code;
      machine_.files[device].replace(0, 6, unlock::kLuksMagic, 6);
      machine_.files["/dev/mapper/" + name] = std::string(kSize - unlock::kDataOffset, 0);
      if (line.find("--make-state-key") != std::string::npos) {
        machine_.files[after("--state-key")] = std::string(64, 'k');
      }
    }
    if (line.find(" open ") != std::string::npos) {
      const bool person = line.find("--passphrase-file") != std::string::npos;
      if (!person && open_code != 0) return open_code;
      if (person && machine_.files[unlock::kRecoveryFile] != "good") return unlock::kExitLocked;
      if (person) machine_.files.erase(unlock::kRecoveryFile);
      machine_.files.try_emplace("/dev/mapper/" + name, kSize - unlock::kDataOffset, 0);
    }
    return 0;
  }
  void MakeExt4(const std::string& line) {
    const std::string device =
        line.find("/dev/mapper/STATE") != std::string::npos  ? "/dev/mapper/STATE"
        : line.find("/dev/mapper/DATA") != std::string::npos ? "/dev/mapper/DATA"
        : line.find("vda4") != std::string::npos             ? "/dev/vda4"
                                                             : "/dev/vda5";
    machine_.files[device][1024 + 56] = 0x53;
    machine_.files[device][1024 + 57] = static_cast<char>(0xef);
  }
  VolumeReport OpenState(Locks& locks) {
    return OpenVolume(machine_, locks, "STATE", "/state", MS_NOEXEC, 0700);
  }
  VolumeReport OpenData(Locks& locks) {
    return OpenVolume(machine_, locks, "DATA", "/data", 0, 0755);
  }
  // The next boot.
  void Restart() {
    machine_.mounts.clear();
    machine_.done.clear();
    machine_.said.clear();
    machine_.files.erase(kNewStateKey);
  }
  bool Ran(const std::string& part) const {
    for (const std::string& line : machine_.done) {
      if (line.rfind("run ", 0) == 0 && line.find(part) != std::string::npos) return true;
    }
    return false;
  }

  FakeMachine machine_;
  int make_code = 0, open_code = 0;
};

TEST_F(LocksTest, WithATpmStateAndDataAreEncryptedUnasked) {
  HasTpm();
  Locks locks(machine_);
  VolumeReport report = OpenState(locks);
  EXPECT_EQ(report.state, VolumeState::kFormatted) << report.reason;
  EXPECT_STREQ(report.device, "/dev/mapper/STATE");
  EXPECT_EQ(machine_.MountOf("/state")->source, "/dev/mapper/STATE");
  EXPECT_TRUE(Ran("format --device /dev/vda4 --name STATE --key tpm2"));
  // The file system is as large as what is shown of the partition, and stays off the mark.
  EXPECT_TRUE(Ran("/dev/mapper/STATE " +
                  std::to_string((kSize - unlock::kDataOffset - kMarkDistance) / 4096)));
  // The key to change keys lies on STATE, and nowhere else.
  EXPECT_EQ(machine_.files[unlock::kStateKey], std::string(64, 'k'));
  EXPECT_EQ(machine_.files[kNewStateKey].find('k'), std::string::npos);
  EXPECT_EQ(machine_.files["/dev/vda4"].find(kFormatMark), std::string::npos);
  report = OpenData(locks);
  EXPECT_EQ(report.state, VolumeState::kFormatted);
  EXPECT_TRUE(Ran("format --device /dev/vda5 --name DATA --key tpm2 --state-key /state/disk-key"));
  EXPECT_EQ(locks.Close(), 0);
  EXPECT_TRUE(Ran("noded-unlock lock"));

  Restart();
  Locks next(machine_);
  EXPECT_EQ(OpenState(next).state, VolumeState::kMounted);
  EXPECT_EQ(OpenData(next).state, VolumeState::kMounted);
  EXPECT_FALSE(Ran("format"));
  EXPECT_FALSE(Ran("mke2fs"));
  EXPECT_TRUE(Ran("e2fsck -p /dev/mapper/STATE"));
  EXPECT_TRUE(Ran("open --device /dev/vda5 --name DATA --state-key /state/disk-key"));
  EXPECT_FALSE(Ran("--check-keys"));
}

TEST_F(LocksTest, WithoutATpmNothingIsEncryptedUnlessTheMediumAsks) {
  Locks locks(machine_);
  EXPECT_EQ(OpenState(locks).state, VolumeState::kFormatted);
  EXPECT_EQ(OpenData(locks).state, VolumeState::kFormatted);
  EXPECT_FALSE(Ran("noded-unlock"));
  EXPECT_EQ(locks.Close(), 0);
  EXPECT_FALSE(Ran("noded-unlock"));
  EXPECT_EQ(machine_.MountOf("/state")->source, "/dev/vda4");
}

TEST_F(LocksTest, TheMediumDecides) {
  HasTpm();
  struct Case {
    const char* text;
    const char* ran;
    bool encrypted;
  };
  for (const Case& c : {Case{"none\n", "mke2fs", false}, Case{"node\n", "--key node", true},
                        Case{"tpm2", "--key tpm2", true}}) {
    SetUp();
    machine_.files[kEncryptionFile] = c.text;
    Locks locks(machine_);
    EXPECT_EQ(OpenState(locks).state, VolumeState::kFormatted) << c.text;
    EXPECT_EQ(OpenData(locks).state, VolumeState::kFormatted) << c.text;
    EXPECT_TRUE(Ran(c.ran)) << c.text;
    EXPECT_EQ(Ran("noded-unlock"), c.encrypted) << c.text;
    Restart();
  }
  // The board's key needs none beside it.
  machine_.files.erase(unlock::kStateKey);
  SetUp();
  machine_.files[kEncryptionFile] = "node\n";
  Locks locks(machine_);
  OpenState(locks);
  OpenData(locks);
  EXPECT_FALSE(Ran("--make-state-key"));
  EXPECT_TRUE(Ran("--name DATA --key node"));
}

TEST_F(LocksTest, WhatIsAskedForIsNeverReplacedBySomethingWeaker) {
  machine_.files[kEncryptionFile] = "tpm2\n";
  make_code = unlock::kExitNoTpm;
  Locks locks(machine_);
  VolumeReport report = OpenState(locks);
  EXPECT_EQ(report.state, VolumeState::kFailed);
  EXPECT_NE(std::string(report.reason).find("there is none"), std::string::npos);
  EXPECT_FALSE(Ran("mke2fs"));
  // Nor is DATA made in the clear meanwhile.
  locks.WithoutState();
  EXPECT_EQ(OpenData(locks).state, VolumeState::kFailed);
  EXPECT_FALSE(Ran("mke2fs"));

  Restart();
  machine_.files[kEncryptionFile] = "tmp2\n";
  Locks again(machine_);
  EXPECT_EQ(OpenState(again).state, VolumeState::kFailed);
  machine_.files.erase(kEncryptionFile);
  machine_.Fail("mount", "/esp", EIO);
  EXPECT_EQ(OpenState(again).state, VolumeState::kFailed);
  EXPECT_FALSE(Ran("mke2fs"));
}

TEST_F(LocksTest, ATpmThatFailsUnaskedIsSaidAndTheNodeStarts) {
  HasTpm();
  make_code = unlock::kExitFailed;
  Locks locks(machine_);
  VolumeReport report = OpenState(locks);
  EXPECT_EQ(report.state, VolumeState::kFormatted);
  EXPECT_STREQ(report.device, "/dev/vda4");
  EXPECT_TRUE(machine_.Said("[not-encrypted]"));
}

TEST_F(LocksTest, WhatNoKeyOpensIsLeftAlone) {
  HasTpm();
  {
    Locks locks(machine_);
    OpenState(locks);
  }
  for (const auto& [code, state] :
       {std::pair<int, VolumeState>{unlock::kExitLocked, VolumeState::kLocked},
        {unlock::kExitDamaged, VolumeState::kDamaged},
        {unlock::kExitFailed, VolumeState::kFailed},
        {128 + 11, VolumeState::kFailed}}) {
    Restart();
    const std::string disk = machine_.files["/dev/vda4"];
    open_code = code;
    Locks locks(machine_);
    VolumeReport report = OpenState(locks);
    EXPECT_EQ(report.state, state) << code;
    EXPECT_FALSE(report.mounted());
    EXPECT_FALSE(Ran("mke2fs"));
    EXPECT_FALSE(Ran("format"));
    EXPECT_EQ(machine_.files["/dev/vda4"], disk);
    EXPECT_FALSE(machine_.IsMounted("/esp"));
  }
  Restart();
  open_code = unlock::kExitLocked;
  Locks locks(machine_);
  OpenState(locks);
  EXPECT_TRUE(machine_.Said("[disk-locked]"));
}

TEST_F(LocksTest, ThePassphraseOnTheEspOpensStateAndTheOtherKeysAreLookedAt) {
  HasTpm();
  {
    Locks locks(machine_);
    OpenState(locks);
    OpenData(locks);
  }
  Restart();
  machine_.files[unlock::kRecoveryFile] = "bad";
  open_code = unlock::kExitLocked;
  {
    Locks locks(machine_);
    EXPECT_EQ(OpenState(locks).state, VolumeState::kLocked);
  }
  Restart();
  machine_.files[unlock::kRecoveryFile] = "good";
  Locks locks(machine_);
  EXPECT_EQ(OpenState(locks).state, VolumeState::kMounted);
  EXPECT_FALSE(machine_.IsMounted("/esp"));
  EXPECT_FALSE(machine_.Exists(unlock::kRecoveryFile));
  open_code = 0;
  EXPECT_EQ(OpenData(locks).state, VolumeState::kMounted);
  EXPECT_TRUE(Ran("--name DATA --state-key /state/disk-key --check-keys"));
}

TEST_F(LocksTest, D2_APowerCutBetweenLockAndFirstMountFormatsAgain) {
  HasTpm();
  machine_.Fail("mount", "/state", EIO);
  {
    Locks locks(machine_);
    EXPECT_EQ(OpenState(locks).state, VolumeState::kFailed);
  }
  // LUKS2 is there, and the mark still: nobody wrote to it yet.
  machine_.failures.clear();
  Restart();
  Locks locks(machine_);
  EXPECT_EQ(OpenState(locks).state, VolumeState::kFormatted);
  EXPECT_TRUE(Ran("format"));
}

TEST_F(LocksTest, StateThatCannotKeepItsKeyIsNotUsed) {
  HasTpm();
  machine_.Fail("write", unlock::kStateKey, EIO);
  Locks locks(machine_);
  VolumeReport report = OpenState(locks);
  EXPECT_EQ(report.state, VolumeState::kFailed);
  EXPECT_FALSE(machine_.IsMounted("/state"));
  machine_.failures.clear();
  Restart();
  Locks again(machine_);
  EXPECT_EQ(OpenState(again).state, VolumeState::kFormatted);
}

TEST(LocksText, OnlyTheThreeWordsAreWords) {
  Encryption encryption;
  EXPECT_TRUE(ParseEncryption("tpm2\r\n", 6, &encryption));
  EXPECT_EQ(encryption, Encryption::kTpm2);
  for (const char* text : {"", "\n", "TPM2", "tpm2 ", "nodes", "no", "none\nnone"}) {
    EXPECT_FALSE(ParseEncryption(text, strlen(text), &encryption)) << text;
  }
}

}  // namespace
}  // namespace basalt::init
