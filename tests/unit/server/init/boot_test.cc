// The boot as a whole: which step comes when, and that none of them stops the others.
#include "server/init/boot/boot.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <string>
#include <vector>

#include "server/init/boot/clock_floor.h"
#include "server/init/boot/links.h"
#include "server/init/boot/modules.h"
#include "server/init/boot/mounts.h"
#include "server/init/boot/places.h"
#include "server/init/boot/seed.h"
#include "server/init/boot/sysctls.h"
#include "tests/unit/server/init/image_disk.h"

namespace basalt::init {
namespace {

class BootTest : public ::testing::Test {
 protected:
  void SetUp() override {
    WriteImage(machine_, {{"ESP", 1}, {"SLOT-A", 1}, {"SLOT-B", 1}, {"STATE", 17}, {"DATA", 17}},
               64);
    machine_.files[kModuleList] = "/lib/modules/a.ko\n/lib/modules/b.ko\n";
    machine_.files[kImageFile] = R"({"version":"1","buildTime":1700000000})";
    machine_.files["/sys/fs/cgroup/cgroup.controllers"] = "cpuset cpu io memory pids\n";
    machine_.files["/sys/class/net/eth0/type"] = "1\n";
    machine_.files["/sys/class/net/eth0/device/x"] = "";
    machine_.files["/sys/class/net/lo/type"] = "772\n";
    machine_.files["/sys/class/net/cni0/type"] = "1\n";
    machine_.files["/esp/basalt/trust.json"] = "{}";
    machine_.directories = {"/var", "/etc/rancher", "/state", "/data"};
    machine_.directories.insert("/sys/dev/block/254:0/slaves/vda2");
  }
  BootReport Run() {
    Watchdog watchdog(machine_);
    return Boot(machine_, watchdog);
  }

  FakeMachine machine_;
};

TEST_F(BootTest, AnInstallMediumKeepsStateAndDataInMemory) {
  FakeMachine medium;
  std::swap(medium.directories, machine_.directories);
  medium.AddPartition("loop0p1", "ESP", 4096);
  medium.AddPartition("loop0p2", "SLOT-A", 4096);
  medium.BootFrom("loop0p2");
  medium.files["/esp/basalt/installer"] = "Basalt 1\n";
  medium.files["/esp/basalt/trust.json"] = "{}";
  medium.directories.insert("/state");
  Watchdog watchdog(medium);
  BootReport report = Boot(medium, watchdog);
  EXPECT_TRUE(report.installer);
  EXPECT_TRUE(report.state.mounted() && report.data.mounted());
  EXPECT_EQ(medium.MountOf("/state")->type, "tmpfs");
  EXPECT_EQ(medium.MountOf("/data")->type, "tmpfs");
  EXPECT_NE(medium.MountOf("/state")->flags & MS_NOEXEC, 0u);
  EXPECT_TRUE(medium.files.contains("/run/trust.json"));
  EXPECT_EQ(medium.Find("run /usr/sbin/mke2fs"), -1);
  EXPECT_FALSE(medium.IsMounted("/esp"));
}

TEST_F(BootTest, ADiskWithAStateIsANodeWhateverItsEspSays) {
  machine_.files["/esp/basalt/installer"] = "Basalt 1\n";
  BootReport report = Run();
  EXPECT_FALSE(report.installer);
  EXPECT_EQ(machine_.MountOf("/state")->type, "ext4");
}

TEST_F(BootTest, AModuleThatMissesSymbolsOfAnAbsentDriverIsForAnotherMachine) {
  machine_.files["/lib/modules/b.ko"] = "x";
  machine_.Fail("module", "/lib/modules/a.ko", ENODEV);
  machine_.Fail("module", "/lib/modules/b.ko", ENOENT);
  EXPECT_EQ(Run().failed_steps, 0);
  machine_.files.erase("/lib/modules/b.ko");
  EXPECT_EQ(Run().failed_steps, 1) << "a file that is not there is a fault of the image";
}

TEST_F(BootTest, TheStepsComeInTheOrderThatTheyNeed) {
  BootReport report = Run();
  EXPECT_EQ(report.failed_steps, 0) << machine_.said.back();
  EXPECT_TRUE(report.owns_kernel);
  std::vector<std::string> order = {"mount proc /proc",
                                    "mount devtmpfs /dev",
                                    "mount cgroup2 /sys/fs/cgroup",
                                    "write /proc/sys/kernel/kptr_restrict",
                                    "module /lib/modules/a.ko",
                                    "module /lib/modules/b.ko",
                                    "watchdog",
                                    "mount efivarfs",
                                    "write /sys/fs/cgroup/cgroup.subtree_control",
                                    "mount /dev/vda4 /state",
                                    "resize /dev/vda5",
                                    "mount /dev/vda5 /data",
                                    "mount /state/rancher /etc/rancher",
                                    "mount /data/var /var",
                                    "replace /state/random-seed",
                                    "replace /state/machine-id",
                                    "copy /esp/basalt/trust.json /run/trust.json",
                                    "link lo",
                                    "link eth0",
                                    "mount  /"};
  long last = -1;
  for (const std::string& step : order) {
    long at = machine_.Find(step);
    EXPECT_GT(at, last) << step;
    last = at;
  }
  EXPECT_FALSE(machine_.IsMounted("/esp"));
  EXPECT_EQ(machine_.Find("link cni0"), -1);  // K3s made it, not the machine
  EXPECT_EQ(machine_.MountOf("/data")->flags & MS_NOEXEC, 0u);
  EXPECT_NE(machine_.MountOf("/state")->flags & MS_NOEXEC, 0u);
  for (const char* place : {"/run", "/tmp", "/dev/shm"}) {
    EXPECT_EQ(machine_.MountOf(place)->flags, MS_NOSUID | MS_NODEV) << place;
  }
  EXPECT_EQ(machine_.files["/proc/sys/net/ipv6/conf/eth0/accept_ra"], "2");
}

TEST_F(BootTest, I7_WhateverFailsTheRestIsDoneAndTheFailureSaid) {
  struct Fault {
    const char* what;
    const char* path;
  };
  for (const Fault& f :
       {Fault{"mount", "/proc"}, Fault{"mount", "/dev"}, Fault{"mount", "/dev/pts"},
        Fault{"mount", "/run"}, Fault{"mount", "/sys/fs/cgroup"}, Fault{"mount", "/state"},
        Fault{"mount", "/data"}, Fault{"mount", "/var"}, Fault{"mount", "/"},
        Fault{"read", kModuleList}, Fault{"module", "/lib/modules/a.ko"},
        Fault{"read", "/sys/fs/cgroup/cgroup.controllers"}, Fault{"write", kSeedFile},
        Fault{"link", "lo"}, Fault{"link", "eth0"}, Fault{"read", "/dev/vda4"},
        Fault{"write", "/proc/sys/kernel/sysrq"}}) {
    SCOPED_TRACE(std::string(f.what) + " " + f.path);
    machine_ = FakeMachine();
    SetUp();
    machine_.Fail(f.what, f.path, EIO);
    BootReport report = Run();
    EXPECT_GE(report.failed_steps, 1);
    EXPECT_TRUE(machine_.Said("errno 5]"));
    // The last step of all was reached, unless it is the one that failed.
    if (std::string(f.path) != "/") {
      EXPECT_GE(machine_.Find("mount  /"), 0);
    }
    EXPECT_GE(machine_.Find("module /lib/modules/b.ko"),
              f.path == std::string(kModuleList) ? -1 : 0);
  }
}

TEST_F(BootTest, ABootWithoutStateGoesOnAndSaysWhy) {
  machine_.files["/dev/vda"][machine_.slices["/dev/vda4"].start + 100] = 'x';
  BootReport report = Run();
  EXPECT_EQ(report.state.state, VolumeState::kForeign);
  // Whether it is to be encrypted is as STATE is.
  EXPECT_EQ(report.data.state, VolumeState::kFailed);
  EXPECT_EQ(machine_.Find("run /usr/sbin/mke2fs"), -1);
  EXPECT_NE(std::string(report.state.reason), "");
  EXPECT_EQ(machine_.Find("mount /state/rancher"), -1);
  EXPECT_EQ(machine_.Find("replace"), -1);
  EXPECT_EQ(machine_.Find("run /usr/sbin/mke2fs -q -F -t ext4 -b 4096 -m 1 -L STATE"), -1);
}

TEST_F(BootTest, AContainerTouchesNothingOfItsHost) {
  machine_.owns_kernel = false;
  machine_.wall = 0;
  BootReport report = Run();
  EXPECT_FALSE(report.owns_kernel);
  EXPECT_EQ(report.failed_steps, 0);
  for (const char* never :
       {"write", "module", "watchdog", "run", "mount sysfs", "mount devtmpfs", "mount cgroup2",
        "mount efivarfs", "mount bpf", "credit", "mix", "link eth0", "replace"}) {
    EXPECT_EQ(machine_.Find(never), -1) << never;
  }
  EXPECT_EQ(machine_.wall, 0);
  EXPECT_GE(machine_.Find("mount proc /proc"), 0);
  EXPECT_GE(machine_.Find("mount /data/var /var"), 0);
  machine_ = FakeMachine();
  machine_.owns_kernel = false;
  EXPECT_EQ(Run().state.state, VolumeState::kMissing);
}

TEST_F(BootTest, WhatTheInitramfsMountedStays) {
  for (const char* target : {"/proc", "/sys", "/dev"}) {
    machine_.mounts.push_back({"", target, "", "", 0});
  }
  Run();
  EXPECT_EQ(machine_.Find("mount proc"), -1);
  EXPECT_EQ(machine_.Find("mount sysfs"), -1);
  EXPECT_EQ(machine_.Find("mount devtmpfs"), -1);
}

TEST(Mounts, AnOptionThatAnOldKernelRefusesIsLeftOut) {
  FakeMachine machine;
  machine.Fail("mount", "/sys/fs/cgroup", EINVAL);
  EXPECT_EQ(MountEarly(machine), 1);
  machine = FakeMachine();
  machine.Fail("mount", "/sys/kernel/security", ENOENT);
  machine.Fail("mount", "/sys/firmware/efi/efivars", ENODEV);
  EXPECT_EQ(MountLate(machine), 0);
  EXPECT_TRUE(machine.said.empty());  // not every machine has EFI
}

TEST(Mounts, EachControllerIsAskedForAlone) {
  FakeMachine machine;
  machine.files["/sys/fs/cgroup/cgroup.controllers"] = "cpu memory misc\n";
  EXPECT_EQ(EnableControllers(machine), 0);
  EXPECT_EQ(machine.done.size(), 3u);
  EXPECT_EQ(machine.files["/sys/fs/cgroup/cgroup.subtree_control"], "+misc");
}

TEST(Modules, P8_AListIsReadWhateverIsInIt) {
  std::string text = "\n# comment\n/a.ko\r\nrelative.ko\n/b.ko \n" + std::string(300, '/') + "\n/" +
                     std::string(1, '\0') + ".ko\n/c.ko";
  char path[256];
  size_t at = 0;
  int bad = 0;
  std::string all;
  while (NextModule(text.data(), text.size(), &at, path, sizeof path, &bad) != nullptr) {
    all += std::string(path) + " ";
  }
  EXPECT_EQ(all, "/a.ko /b.ko /c.ko ");
  EXPECT_EQ(bad, 3);
  FakeMachine machine;
  machine.files["list"] = text;
  machine.Fail("module", "/b.ko", ENOEXEC);
  machine.Fail("module", "/a.ko", EEXIST);
  EXPECT_EQ(LoadModules(machine, "list"), 2);
  EXPECT_TRUE(machine.Said("b.ko: Exec format error [module-failed, errno 8]"));
  EXPECT_GE(machine.Find("module /c.ko"), 0);
  machine.Fail("module", "/b.ko", ENODEV);  // a driver of what this machine does not have
  machine.files["list"] = "/b.ko\n/c.ko\n";
  EXPECT_EQ(LoadModules(machine, "list"), 0);
  EXPECT_TRUE(machine.Said("1 loaded, 1 for other machines, 0 failed [ok]"));
}

TEST(Modules, OneThatBuildsOnADriverForOtherMachinesIsForThemToo) {
  FakeMachine machine;
  machine.any_file = false;
  machine.files["list"] = "/hv_vmbus.ko\n/hv_netvsc.ko\n/gone.ko\n";
  machine.files["/hv_netvsc.ko"] = "ELF";
  machine.Fail("module", "/hv_vmbus.ko", ENODEV);
  machine.Fail("module", "/hv_netvsc.ko", ENOENT);  // its symbols are in the one before
  machine.Fail("module", "/gone.ko", ENOENT);       // a file that is not there is a fault
  EXPECT_EQ(LoadModules(machine, "list"), 1);
  EXPECT_TRUE(machine.Said("0 loaded, 2 for other machines, 1 failed"));
}

TEST(Sysctls, WhatAKernelDoesNotHaveIsNoFailure) {
  FakeMachine machine;
  machine.any_file = false;
  machine.files["/proc/sys/kernel/sysrq"] = "1";
  machine.files["/proc/sys/kernel/panic"] = "0";
  machine.Fail("write", "/proc/sys/kernel/panic", EPERM);
  EXPECT_EQ(SetBaseline(machine), 1);
  EXPECT_EQ(machine.files["/proc/sys/kernel/sysrq"], "0");
  // A path of a file as core_pattern would be unlinked before each dump: never one.
  for (const Sysctl& s : kBaseline) {
    EXPECT_EQ(std::string(s.path).find(".."), std::string::npos);
    if (std::string(s.path) == "kernel/core_pattern") {
      EXPECT_EQ(s.value[0], '|');
    }
  }
}

TEST_F(BootTest, ANodeThatHasTrustNeverLooksAtTheMedium) {
  machine_.directories.insert("/state/trust");
  EXPECT_EQ(Run().failed_steps, 0);
  EXPECT_EQ(machine_.Find("copy /esp"), -1);
  EXPECT_FALSE(machine_.files.contains(kTrustSeed));
}

TEST_F(BootTest, TrustOnTheMediumMayBeMissingOrTooLarge) {
  machine_.files["/esp/basalt/trust.json"] = std::string((4 << 20) + 1, 'x');
  EXPECT_EQ(Run().failed_steps, 1);
  EXPECT_TRUE(machine_.Said("[no-trust, errno 27]"));
  EXPECT_FALSE(machine_.IsMounted("/esp"));
}

TEST_F(BootTest, TheMachineIdIsMadeOnce) {
  Run();
  std::string id = machine_.files[kMachineIdFile];
  EXPECT_EQ(id.size(), 33u);
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), 32u);
  machine_.random = 77;
  EXPECT_EQ(TakeMachineId(machine_), 0);
  EXPECT_EQ(machine_.files[kMachineIdFile], id);
  EXPECT_EQ(machine_.files["/run/etc/machine-id"], id);
}

TEST(ClockFloor, T1_TheClockIsNeverBeforeTheBuildAndNeverGoesBack) {
  FakeMachine machine;
  machine.files[kImageFile] = R"({"version": "1", "buildTime": "2026-11-25T12:00:00Z"})";
  machine.wall = 86400;
  EXPECT_TRUE(RaiseClock(machine));
  EXPECT_EQ(machine.wall, 1795608000);
  machine.wall = 1795608001;
  EXPECT_FALSE(RaiseClock(machine));
  EXPECT_EQ(machine.wall, 1795608001);
  machine.files.erase(kImageFile);
  machine.wall = 5;
  EXPECT_FALSE(RaiseClock(machine));
  EXPECT_EQ(machine.wall, 5);
}

TEST(ClockFloor, P8_BuildTimesGoodAndHostile) {
  auto read = [](const std::string& text) { return BuildTime(text.data(), text.size()); };
  EXPECT_EQ(read(R"({"buildTime":0})"), 0);
  EXPECT_EQ(read(R"({"buildTime" :	 1795608000 , "x": 1})"), 1795608000);
  EXPECT_EQ(read(R"({"buildTime":"1970-01-01T00:00:00Z"})"), 0);
  EXPECT_EQ(read(R"({"buildTime":"2000-02-29T23:59:59Z"})"), 951868799);
  EXPECT_EQ(read(R"({"buildTime":"2038-01-19T03:14:08Z"})"), 2147483648);
  EXPECT_EQ(read(R"({"buildTime":"2106-02-07T06:28:16Z"})"), 4294967296);
  for (const char* bad :
       {"", "{}", R"({"buildTime")", R"({"buildTime":)", R"({"buildTime":})", R"({"buildTime":-1})",
        R"({"buildTime":99999999999999999999})", R"({"buildTime":"")",
        R"({"buildTime":"2026-11-25")", R"({"buildTime":"2026-13-25T12:00:00Z"})",
        R"({"buildTime":"2026-11-25T12:00:00+01:00"})", R"({"buildTime":"2026-11-25T24:00:00Z"})",
        R"({"buildTime"::1})", R"({"builtTime":1})"}) {
    EXPECT_EQ(read(bad), -1) << bad;
  }
  std::string whole = R"({"buildTime":"2026-11-25T12:00:00Z"})";
  for (size_t size = 0; size < whole.size(); ++size) read(whole.substr(0, size));
}

TEST(Seed, IsReplacedBeforeItCounts) {
  FakeMachine machine;
  EXPECT_EQ(TakeSeed(machine), 0);  // the first boot: there is none
  EXPECT_EQ(machine.done, std::vector<std::string>{"replace /state/random-seed"});
  std::string first = machine.files[kSeedFile];
  EXPECT_EQ(first.size(), kSeedSize);
  machine.done.clear();
  EXPECT_EQ(TakeSeed(machine), 0);
  EXPECT_EQ(machine.done,
            (std::vector<std::string>{"mix", "replace /state/random-seed", "credit"}));
  EXPECT_NE(machine.files[kSeedFile], first);
}

TEST(Seed, OneThatCouldBeReadTwiceIsMixedInButNotCredited) {
  FakeMachine machine;
  machine.files[kSeedFile] = std::string(kSeedSize, 's');
  machine.Fail("write", kSeedFile, EROFS);
  EXPECT_EQ(TakeSeed(machine), EROFS);
  EXPECT_EQ(machine.done, std::vector<std::string>{"mix"});
  machine = FakeMachine();
  machine.files[kSeedFile] = "short";
  EXPECT_EQ(TakeSeed(machine), 0);
  EXPECT_EQ(machine.Find("credit"), -1);
}

}  // namespace
}  // namespace basalt::init
