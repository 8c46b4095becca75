// Volumes on a real block device by the real tools: made, checked, found again, removed. sfdisk and
// e2fsck judge.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"
#include "server/controllers/storage/storage_controller.h"
#include "server/host/block.h"
#include "tests/support/clock/fake_clock.h"
#include "tests/support/executor/manual_executor.h"
#include "tests/support/loop/loop_disk.h"
#include "tests/support/vfs/fake_vfs.h"

namespace basalt::storage {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;

// The kernel's disks, of which the loop device is the only one.
class LoopBlock : public host::BlockDevices {
 public:
  explicit LoopBlock(testing::LoopDisk& disk, uint64_t size) {
    about_ = {.device = disk.device(), .size = size, .serial = "loop"};
  }
  absl::StatusOr<std::vector<host::BlockDisk>> Disks() override {
    return std::vector<host::BlockDisk>{about_};
  }
  absl::StatusOr<std::string> DeviceOf(const std::string& path) override {
    return absl::NotFoundError(path);
  }
  absl::StatusOr<std::string> Read(const std::string& device, uint64_t offset,
                                   size_t size) override {
    return real_->Read(device, offset, size);
  }
  absl::Status Write(const std::string& device, uint64_t offset, absl::string_view data) override {
    return real_->Write(device, offset, data);
  }
  absl::Status Erase(const std::string& device, host::Erasure how, uint64_t offset,
                     uint64_t size) override {
    return real_->Erase(device, how, offset, size);
  }
  absl::Status AddPartition(const std::string& disk, int number, uint64_t start,
                            uint64_t size) override {
    return real_->AddPartition(disk, number, start, size);
  }
  absl::Status ResizePartition(const std::string& disk, int number, uint64_t start,
                               uint64_t size) override {
    return real_->ResizePartition(disk, number, start, size);
  }
  absl::Status RemovePartition(const std::string& disk, int number) override {
    return real_->RemovePartition(disk, number);
  }
  absl::StatusOr<std::vector<host::BlockMount>> Mounts() override { return real_->Mounts(); }
  absl::Status Mount(const host::MountRequest& request) override { return real_->Mount(request); }
  absl::Status Unmount(const std::string& target) override { return real_->Unmount(target); }
  absl::StatusOr<host::Space> SpaceOf(const std::string& path) override {
    return real_->SpaceOf(path);
  }
  absl::StatusOr<uint64_t> Trim(const std::string& target) override { return real_->Trim(target); }
  absl::StatusOr<std::vector<host::SwapArea>> Swaps() override {
    return std::vector<host::SwapArea>{};
  }
  absl::Status SwapOn(const std::string& path, int) override { return absl::NotFoundError(path); }
  absl::Status SwapOff(const std::string& path) override { return absl::NotFoundError(path); }
  absl::Status MakeSwapFile(const std::string& path, uint64_t) override {
    return absl::NotFoundError(path);
  }
  absl::StatusOr<std::string> SetZram(uint64_t, const std::string&) override {
    return absl::NotFoundError("zram");
  }
  absl::Status SetSwappiness(int) override { return absl::OkStatus(); }

 private:
  std::unique_ptr<host::BlockDevices> real_ = host::MakeBlockDevices();
  host::BlockDisk about_;
};

class ShellTools : public Tools {
 public:
  void Run(std::vector<std::string> argv, std::string, absl::Duration, Done done) override {
    runs += absl::StrJoin(argv, " ") + "\n";
    const std::string command = absl::StrCat(absl::StrJoin(argv, " "), " >/dev/null 2>&1");
    done(ToolResult{WEXITSTATUS(system(command.c_str())), ""});
  }
  void OnServiceEvent(const host::ServiceEvent&) override {}
  std::string runs;
};

class NoPlatform : public host::Platform {
 public:
  std::string name() const override { return "metal"; }
  const host::NodePaths& paths() const override { return paths_; }
  const host::Hardware& hardware() const override { return hardware_; }
  std::string k3s_address() const override { return ""; }
  bool k3s_confined() const override { return false; }
  bool owns_namespaces() const override { return true; }
  std::string Unimplemented(const std::string&) const override { return ""; }
  absl::Status Reboot() override { return absl::OkStatus(); }

 private:
  host::NodePaths paths_;
  host::Hardware hardware_;
};

std::string Output(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  for (int c = getc(pipe); c != EOF; c = getc(pipe)) text.push_back(static_cast<char>(c));
  pclose(pipe);
  return text;
}

TEST(VolumesOnADevice, MadeFoundAgainAndRemoved) {
  if (access("/usr/sbin/sfdisk", X_OK) != 0) GTEST_SKIP() << "no sfdisk";
  std::string why;
  constexpr uint64_t kSize = 300 * kMebibyte;
  auto disk = testing::LoopDisk::Make(kSize, &why);
  if (disk == nullptr || !testing::OwnMounts()) GTEST_SKIP() << why;
  std::string directory = "/tmp/basalt-volumes-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);

  testing::FakeClock clock;
  testing::FakeRandom random;
  testing::ManualExecutor executor(clock);
  testing::FakeVfs vfs;
  NoPlatform platform;
  ASSERT_TRUE(vfs.MakeDirs("state").ok());
  auto block = std::make_shared<LoopBlock>(*disk, kSize);
  ShellTools* tools = nullptr;
  auto restart = [&] {
    auto made = std::make_unique<ShellTools>();
    tools = made.get();
    auto controller = MakeStorageController({executor, vfs, clock, random, platform},
                                            {.block = block, .tools = std::move(made)});
    controller->Start();
    executor.RunUntilIdle();
    return controller;
  };
  auto config = [&](const std::string& names) {
    v1::MachineConfig out;
    std::istringstream words(names);
    for (std::string name; words >> name;) {
      v1::Volume& volume = *out.mutable_storage()->add_volumes();
      volume.set_name(name);
      volume.mutable_disk()->set_serial("loop");
      volume.set_max_size("100Mi");
      volume.set_path(directory + "/" + name);
    }
    return out;
  };
  std::unique_ptr<StorageController> controller = restart();
  auto execute = [&](const v1::MachineConfig& to) {
    absl::Status result = absl::UnknownError("it never ended");
    controller->Execute(&to, [&](absl::Status status) { result = std::move(status); });
    executor.RunUntilIdle();
    return result;
  };

  absl::Status status = execute(config("one two"));
  ASSERT_TRUE(status.ok()) << status << tools->runs;
  std::ofstream(directory + "/one/file") << "kept";
  EXPECT_TRUE(controller->Observe()[0].holds) << controller->Observe()[0].message;
  EXPECT_NE(Output("/usr/sbin/sfdisk --verify " + disk->device()).find("No errors detected"),
            std::string::npos);
  const std::string table = Output("/usr/sbin/sfdisk --dump " + disk->device());
  EXPECT_NE(table.find("name=\"one\""), std::string::npos) << table;
  EXPECT_NE(table.find("name=\"two\""), std::string::npos) << table;
  EXPECT_NE(table.find("type=0FC63DAF-8483-4772-8E79-3D69D8477DE4"), std::string::npos) << table;

  // Another noded, after everything was unmounted: checked, not formatted.
  controller.reset();
  ASSERT_TRUE(block->Unmount(directory + "/one").ok());
  ASSERT_TRUE(block->Unmount(directory + "/two").ok());
  controller = restart();
  ASSERT_TRUE(execute(config("one two")).ok()) << tools->runs;
  EXPECT_EQ(tools->runs.find("mke2fs"), std::string::npos) << tools->runs;
  EXPECT_NE(tools->runs.find("e2fsck -p"), std::string::npos) << tools->runs;
  std::ifstream file(directory + "/one/file");
  std::string content;
  file >> content;
  EXPECT_EQ(content, "kept");
  file.close();

  // Removed, and its place is free for another.
  ASSERT_TRUE(execute(config("one")).ok());
  const v1::MachineConfig one = config("one");
  controller->CollectGarbage({&one});
  executor.RunUntilIdle();
  EXPECT_EQ(Output("/usr/sbin/sfdisk --dump " + disk->device()).find("name=\"two\""),
            std::string::npos);
  status = execute(config("one three"));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_NE(Output("/usr/sbin/sfdisk --verify " + disk->device()).find("No errors detected"),
            std::string::npos);
  ASSERT_TRUE(execute(config("")).ok());
  for (int number : {1, 2}) {
    EXPECT_EQ(system(absl::StrCat("/usr/sbin/e2fsck -fn ", disk->device(), "p", number,
                                  " >/dev/null 2>&1")
                         .c_str()),
              0);
  }
  for (const char* name : {"one", "two", "three"}) rmdir((directory + "/" + name).c_str());
  rmdir(directory.c_str());
}

}  // namespace
}  // namespace basalt::storage
