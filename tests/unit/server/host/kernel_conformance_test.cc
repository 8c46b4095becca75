// One suite for the kernel and its fake, so that the fake cannot lie: settings and modules below a
// directory that stands for /proc and /sys, the host name in a namespace of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "server/host/wall_clock.h"
#include "tests/support/kernel/fake_kernel.h"

namespace basalt::host {
namespace {

namespace fs = std::filesystem;

// The same machine twice: net.core.somaxconn, net.ipv4.conf.eth0/20.rp_filter, the module loop
// (loaded, not in use) and the module tun (on the image).
class World {
 public:
  virtual ~World() = default;
  virtual Kernel& kernel() = 0;
};

class RealWorld : public World {
 public:
  RealWorld() {
    char name[] = "/tmp/basalt-kernel-XXXXXX";
    root_ = mkdtemp(name);
    Put("/proc/sys/net/core/somaxconn", "4096\n");
    Put("/proc/sys/net/ipv4/conf/eth0.20/rp_filter", "0\n");
    Put("/sys/module/loop/initstate", "live\n");
    Put("/sys/module/loop/refcnt", "0\n");
    Put("/sys/module/loop/parameters/max_loop", "8\n");
    Put("/sys/module/loop/parameters/max_part", "0\n");
    fs::permissions(root_ + "/sys/module/loop/parameters/max_part", fs::perms::owner_read);
    Put("/usr/lib/basalt/modules.list", "# made\n/lib/m/tun.ko\n/lib/m/loop.ko\n");
    kernel_ = MakeKernel(root_);
  }
  ~RealWorld() override { fs::remove_all(root_); }
  Kernel& kernel() override { return *kernel_; }

 private:
  void Put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::string root_;
  std::unique_ptr<Kernel> kernel_;
};

class FakeWorld : public World {
 public:
  FakeWorld() {
    kernel_.sysctls = {{"net.core.somaxconn", "4096"}, {"net.ipv4.conf.eth0/20.rp_filter", "0"}};
    kernel_.modules["loop"] = {.loaded = true,
                               .on_image = true,
                               .parameters = {{"max_loop", "8"}, {"max_part", "0"}},
                               .writable = {"max_loop"}};
    kernel_.modules["tun"] = {.on_image = true};
  }
  Kernel& kernel() override { return kernel_; }

 private:
  testing::FakeKernel kernel_;
};

using Make = std::unique_ptr<World> (*)();

class KernelConformance : public ::testing::TestWithParam<Make> {
 protected:
  KernelConformance() : world_(GetParam()()), kernel_(world_->kernel()) {}
  std::unique_ptr<World> world_;
  Kernel& kernel_;
};

TEST_P(KernelConformance, ASettingIsReadBackAsItWasWritten) {
  EXPECT_EQ(*kernel_.Sysctl("net.core.somaxconn"), "4096");
  EXPECT_TRUE(kernel_.SetSysctl("net.core.somaxconn", "1024").ok());
  EXPECT_EQ(*kernel_.Sysctl("net.core.somaxconn"), "1024");
}

TEST_P(KernelConformance, ADotInsideANameIsWrittenAsASlash) {
  EXPECT_TRUE(kernel_.SetSysctl("net.ipv4.conf.eth0/20.rp_filter", "1").ok());
  EXPECT_EQ(*kernel_.Sysctl("net.ipv4.conf.eth0/20.rp_filter"), "1");
}

TEST_P(KernelConformance, WhatTheKernelDoesNotHaveIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(kernel_.Sysctl("net.core.nothing").status()));
  EXPECT_TRUE(absl::IsNotFound(kernel_.SetSysctl("net.core.nothing", "1")));
  EXPECT_EQ(kernel_.Module("zfs"), ModuleState{});
  EXPECT_TRUE(absl::IsNotFound(kernel_.LoadModule("zfs", {})));
  EXPECT_FALSE(kernel_.SetModuleParameter("loop", "nothing", "1").ok());
}

TEST_P(KernelConformance, AModuleIsDescribedAsItIs) {
  const ModuleState loop = kernel_.Module("loop");
  EXPECT_TRUE(loop.loaded && loop.on_image && !loop.built_in);
  EXPECT_EQ(loop.users, 0);
  EXPECT_THAT(loop.parameters, ::testing::ElementsAre(::testing::Pair("max_loop", "8"),
                                                      ::testing::Pair("max_part", "0")));
  EXPECT_THAT(loop.writable, ::testing::ElementsAre("max_loop"));
  const ModuleState tun = kernel_.Module("tun");
  EXPECT_TRUE(tun.on_image && !tun.here());
}

TEST_P(KernelConformance, AParameterThatMayChangeIsChanged) {
  EXPECT_TRUE(kernel_.SetModuleParameter("loop", "max_loop", "64").ok());
  EXPECT_EQ(kernel_.Module("loop").parameters.at("max_loop"), "64");
}

TEST_P(KernelConformance, ANameThatIsNoneIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(kernel_.SetHostName("")));
  EXPECT_TRUE(absl::IsInvalidArgument(kernel_.SetHostName(std::string(65, 'a'))));
}

INSTANTIATE_TEST_SUITE_P(Both, KernelConformance,
                         ::testing::Values(Make{[]() -> std::unique_ptr<World> {
                                             return std::make_unique<RealWorld>();
                                           }},
                                           Make{[]() -> std::unique_ptr<World> {
                                             return std::make_unique<FakeWorld>();
                                           }}),
                         [](const auto& info) { return info.index == 0 ? "real" : "fake"; });

TEST(LinuxKernel, NoNameLeavesTheDirectoryOfTheSettings) {
  std::unique_ptr<Kernel> kernel = MakeKernel("");
  for (const char* name : {"net./.x", "..", "kernel.//.x", "net..x", ""}) {
    EXPECT_TRUE(absl::IsInvalidArgument(kernel->Sysctl(name).status())) << name;
  }
}

TEST(LinuxKernel, TheHostNameIsThatOfItsNamespace) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (unshare(CLONE_NEWUTS) != 0) _exit(77);
    std::unique_ptr<Kernel> kernel = MakeKernel("");
    _exit(kernel->SetHostName("pi-server-0").ok() && kernel->HostName() == "pi-server-0" ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "no namespaces here";
  EXPECT_EQ(status, 0);
}

TEST(LinuxKernel, ModulesSayWhatTheyDependOn) {
  const std::string file = std::string("\0license=GPL\0depends=llc,stp-core\0name=bridge\0", 46);
  EXPECT_THAT(ModuleDependencies(file), ::testing::ElementsAre("llc", "stp_core"));
  EXPECT_THAT(ModuleDependencies(std::string("\0depends=\0", 10)), ::testing::IsEmpty());
  EXPECT_THAT(ModuleDependencies("no module"), ::testing::IsEmpty());
  EXPECT_THAT(ModuleDependencies(std::string("\0depends=endless", 16)), ::testing::IsEmpty());
}

TEST(WallClock, TheKernelSaysWhetherTheClockIsKept) {
  const ClockState state = RealWallClock().State();
  EXPECT_GE(state.most_error, absl::ZeroDuration());
  // Not kept, or not off by more than the kernel itself gives up at.
  EXPECT_TRUE(!state.synchronised || state.most_error < absl::Seconds(16));
}

}  // namespace
}  // namespace basalt::host
