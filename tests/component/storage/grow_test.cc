// DATA grown on a real block device, by the real tools, with sfdisk and e2fsck as the judges.
#include "server/init/boot/grow.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "images/builder/formats/gpt.h"
#include "server/init/boot/locks.h"
#include "server/init/boot/partitions.h"
#include "server/init/boot/real_machine.h"
#include "server/init/boot/volume.h"
#include "tests/support/loop/loop_disk.h"

namespace basalt::init {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;

// Linux, but for the names of partitions: a kernel that was told of them one by one knows none.
class LoopMachine : public RealMachine {
 public:
  LoopMachine(std::string disk, std::string name)
      : disk_(std::move(disk)), name_(std::move(name)) {}
  long Read(const char* path, uint64_t offset, void* data, size_t size) override {
    long n = RealMachine::Read(path, offset, data, size);
    const std::string uevent = "/sys/class/block/" + disk_ + "p2/uevent";
    if (path != uevent || n < 0) return n;
    const std::string line = "PARTNAME=" + name_ + "\n";
    memcpy(static_cast<char*>(data) + n, line.data(), line.size());
    return n + static_cast<long>(line.size());
  }
  // Not the disk that this machine was booted from.
  int DeviceOf(const char*, unsigned*, unsigned*) override { return ENODEV; }
  void Say(const char* text) override { said += std::string(text) + "\n"; }

  std::string said;

 private:
  std::string disk_, name_;
};

int RunTool(const std::string& command) { return WEXITSTATUS(system(command.c_str())); }

// The kernel asks for it when a mounted file system is resized.
bool MayResizeMounted() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("CapEff:", 0) == 0) {
      return (strtoull(line.c_str() + 7, nullptr, 16) >> CAP_SYS_RESOURCE & 1) != 0;
    }
  }
  return false;
}

// Unmounts whatever happens, or the device would stay.
struct Mounted {
  ~Mounted() {
    umount2(path.c_str(), MNT_DETACH);
    rmdir(path.c_str());
  }
  std::string path;
};

std::string Output(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  for (int c = getc(pipe); c != EOF; c = getc(pipe)) text.push_back(static_cast<char>(c));
  pclose(pipe);
  return text;
}

TEST(GrowOnADevice, FirstBootAndALargerDisk) {
  if (access("/usr/sbin/sfdisk", X_OK) != 0 || access("/usr/sbin/resize2fs", X_OK) != 0) {
    GTEST_SKIP() << "no sfdisk or resize2fs";
  }
  std::string why;
  auto disk = testing::LoopDisk::Make(96 * kMebibyte, &why);
  if (disk == nullptr || !testing::OwnMounts()) GTEST_SKIP() << why;
  // An image of 40 MiB on a disk of 96, which was used before.
  auto table = image::MakeGpt(
      40 * kMebibyte / 512, image::GuidOf("disk"),
      {{.name = "STATE", .id = image::GuidOf("1"), .first_sector = 2048, .sectors = 2048},
       {.name = "DATA", .id = image::GuidOf("2"), .first_sector = 4096, .sectors = 37 * 2048}});
  ASSERT_TRUE(table.ok());
  {
    std::fstream file(disk->file(), std::ios::in | std::ios::out | std::ios::binary);
    file << table->start;
    file.seekp(static_cast<std::streamoff>(40 * kMebibyte - table->end.size()));
    file << table->end << std::string(56 * kMebibyte, 'x');
  }
  ASSERT_TRUE(disk->AddPartition(1, kMebibyte, kMebibyte));
  ASSERT_TRUE(disk->AddPartition(2, 2 * kMebibyte, 37 * kMebibyte));
  LoopMachine machine(disk->name(), "DATA");
  std::string target = "/tmp/basalt-grow-XXXXXX";
  ASSERT_NE(mkdtemp(target.data()), nullptr);
  Mounted mounted{target};
  const std::string device = disk->device() + "p2";

  ASSERT_EQ(GrowPartition(machine, "DATA", UINT64_MAX), 0) << machine.said;
  Locks locks(machine);
  VolumeReport volume = OpenVolume(machine, locks, "DATA", target.c_str(), 0, 0755);
  ASSERT_EQ(volume.state, VolumeState::kFormatted) << machine.said;
  auto grow = [&] {
    Partition p;
    EXPECT_EQ(FindPartition(machine, "DATA", &p), 0);
    return GrowFileSystem(machine, "DATA", volume.device, p.size);
  };
  EXPECT_EQ(grow(), 0);
  struct statvfs info = {};
  ASSERT_EQ(statvfs(target.c_str(), &info), 0);
  EXPECT_GT(info.f_blocks * info.f_frsize, 80 * kMebibyte);
  EXPECT_NE(Output("/usr/sbin/sfdisk --verify " + disk->device()).find("No errors detected"),
            std::string::npos);
  EXPECT_NE(Output("/usr/sbin/sfdisk --dump " + disk->device()).find("size=      190464"),
            std::string::npos)
      << Output("/usr/sbin/sfdisk --dump " + disk->device());

  // The disk grows while it is in use, as at the next boot of a virtual machine.
  std::ofstream(target + "/file") << std::string(3 * kMebibyte, 'd');
  disk->Enlarge(400 * kMebibyte);
  machine.said.clear();
  ASSERT_EQ(GrowPartition(machine, "DATA", UINT64_MAX), 0) << machine.said;
  if (!MayResizeMounted()) {
    std::printf("no CAP_SYS_RESOURCE: the file system is unmounted for its growth\n");
    ASSERT_EQ(umount(target.c_str()), 0);
    EXPECT_EQ(RunTool("/usr/sbin/e2fsck -fp " + device + " >/dev/null 2>&1"), 0);
  }
  ASSERT_EQ(grow(), 0) << machine.said;
  if (!MayResizeMounted()) {
    ASSERT_EQ(mount(device.c_str(), target.c_str(), "ext4", 0, nullptr), 0);
  }
  ASSERT_EQ(statvfs(target.c_str(), &info), 0);
  EXPECT_GT(info.f_blocks * info.f_frsize, 350 * kMebibyte) << machine.said;
  EXPECT_NE(Output("/usr/sbin/sfdisk --verify " + disk->device()).find("No errors detected"),
            std::string::npos);
  ASSERT_EQ(umount(target.c_str()), 0);
  EXPECT_EQ(RunTool("/usr/sbin/e2fsck -fn " + device + " >/dev/null 2>&1"), 0);
  // And mounted again it is what it was.
  char content[65536];
  machine.said.clear();
  EXPECT_EQ(Inspect(machine, device.c_str(), 397 * kMebibyte), static_cast<int>(Content::kExt4));
  EXPECT_EQ(machine.Read(device.c_str(), 397 * kMebibyte - sizeof content, content, sizeof content),
            static_cast<long>(sizeof content));
  EXPECT_EQ(std::string(content, sizeof content).find(kFormatMark), std::string::npos);
  // Nothing to do any more.
  ASSERT_EQ(GrowPartition(machine, "DATA", UINT64_MAX), 0);
  ASSERT_EQ(grow(), 0);
  EXPECT_EQ(machine.said, "");
}

// Root in an ordinary pod: every right but this one.
bool DropSysResource() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  data[0].effective &= ~(1U << CAP_SYS_RESOURCE);
  return syscall(SYS_capset, &header, data) == 0;
}

// Bytes that fit into one more file.
uint64_t Fill(const std::string& path) {
  FILE* file = fopen(path.c_str(), "w");
  if (file == nullptr) return 0;
  const std::string piece(64 << 10, 'x');
  uint64_t size = 0;
  while (fwrite(piece.data(), 1, piece.size(), file) == piece.size()) size += piece.size();
  fclose(file);
  return size;
}

TEST(DataOnADevice, PodsThatFillItLeaveTheReserve) {
  if (access("/usr/sbin/mke2fs", X_OK) != 0) GTEST_SKIP() << "no mke2fs";
  std::string why;
  auto disk = testing::LoopDisk::Make(96 * kMebibyte, &why);
  if (disk == nullptr || !testing::OwnMounts()) GTEST_SKIP() << why;
  ASSERT_TRUE(disk->AddPartition(2, 2 * kMebibyte, 90 * kMebibyte));
  LoopMachine machine(disk->name(), "DATA");
  std::string target = "/tmp/basalt-reserve-XXXXXX";
  ASSERT_NE(mkdtemp(target.data()), nullptr);
  Mounted mounted{target};
  Locks locks(machine);
  ASSERT_EQ(OpenVolume(machine, locks, "DATA", target.c_str(), 0, 0755).state,
            VolumeState::kFormatted)
      << machine.said;
  const bool may = MayResizeMounted();
  std::thread pod([&] {  // capabilities are a thread's
    ASSERT_TRUE(DropSysResource());
    EXPECT_GT(Fill(target + "/pod"), 32 * kMebibyte);
    EXPECT_LT(Fill(target + "/again"), kMebibyte);
  });
  pod.join();
  struct statvfs info = {};
  ASSERT_EQ(statvfs(target.c_str(), &info), 0);
  EXPECT_GT(info.f_bfree * info.f_frsize, 16 * kMebibyte);
  EXPECT_LT(info.f_bavail * info.f_frsize, kMebibyte);
  if (!may) GTEST_SKIP() << "the rest wants CAP_SYS_RESOURCE";
  EXPECT_GT(Fill(target + "/node"), 15 * kMebibyte);
}

}  // namespace
}  // namespace basalt::init
