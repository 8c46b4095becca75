// Kernel settings: what is refused, what of the hardening holds, what is remembered.
#include "server/controllers/system/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/coded_status.h"

namespace basalt::system {
namespace {

constexpr int64_t kMemory = int64_t{4} << 30;

TEST(Settings, EverySettingOfTheBaselineMayBeSaidAgain) {
  EXPECT_GT(Baseline().size(), 30u);
  for (const auto& [name, value] : Baseline()) {
    EXPECT_TRUE(CheckSetting(name, value, kMemory).ok()) << name;
    EXPECT_EQ(WeakenedBy(name, value), "") << name;
  }
}

TEST(Settings, AValueThatANodeDoesNotSurviveIsRefusedWithTheReason) {
  struct Case {
    const char* name;
    const char* value;
  };
  for (const Case& c : std::vector<Case>{{"kernel.panic", "0"},
                                         {"kernel.panic_on_oops", "0"},
                                         {"kernel.pid_max", "300"},
                                         {"fs.file-max", "1024"},
                                         {"fs.nr_open", "1024"},
                                         {"user.max_net_namespaces", "0"},
                                         {"vm.min_free_kbytes", "2097152"},
                                         {"vm.nr_hugepages", "2048"},
                                         {"kernel.kexec_load_disabled", "0"},
                                         {"kernel.unprivileged_bpf_disabled", "0"},
                                         {"kernel.unprivileged_bpf_disabled", "2"},
                                         {"kernel.pid_max", "many"}}) {
    const absl::Status status = CheckSetting(c.name, c.value, kMemory);
    EXPECT_EQ(api::Reason(status), "sysctl-breaks-node") << c.name << "=" << c.value;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(c.name));
    EXPECT_NE(api::Hint(status), "") << c.name;
  }
  for (const Case& c : std::vector<Case>{{"kernel.panic", "30"},
                                         {"kernel.pid_max", "4194304"},
                                         {"vm.min_free_kbytes", "65536"},
                                         {"vm.nr_hugepages", "512"},
                                         {"kernel.yama.ptrace_scope", "2"},
                                         {"vm.swappiness", "10"}}) {
    EXPECT_TRUE(CheckSetting(c.name, c.value, kMemory).ok()) << c.name << "=" << c.value;
  }
}

TEST(Settings, OnlyAWeakerValueThanTheImagesIsAWarning) {
  EXPECT_NE(WeakenedBy("kernel.kptr_restrict", "0"), "");
  EXPECT_EQ(WeakenedBy("kernel.yama.ptrace_scope", "2"), "");
  EXPECT_EQ(WeakenedBy("fs.inotify.max_user_watches", "1048576"), "");
  EXPECT_NE(WeakenedBy("fs.inotify.max_user_watches", "8192"), "");
  EXPECT_EQ(WeakenedBy("vm.swappiness", "10"), "");
}

TEST(Settings, TheReportTellsWhatHoldsWhatTheConfigWantedAndWhatWasChanged) {
  FoundSettings found;
  for (const auto& [name, value] : Baseline()) found[name] = value;
  found["kernel.kptr_restrict"] = "1";   // by the config
  found["kernel.dmesg_restrict"] = "0";  // by nobody who is known
  found["dev.tty.legacy_tiocsti"] = std::nullopt;
  std::map<std::string, std::string> verdicts;
  for (const v1::KernelSetting& setting : HardeningReport({{"kernel.kptr_restrict", "1"}}, found)) {
    verdicts[setting.name()] = setting.verdict();
  }
  EXPECT_EQ(verdicts["kernel.kptr_restrict"], "by-config");
  EXPECT_EQ(verdicts["kernel.dmesg_restrict"], "changed");
  EXPECT_EQ(verdicts["dev.tty.legacy_tiocsti"], "unknown");
  EXPECT_EQ(verdicts["kernel.sysrq"], "holds");
  EXPECT_EQ(verdicts.size(), Baseline().size());
}

TEST(Settings, TheKernelsTabsAreBlanks) {
  EXPECT_TRUE(SameValue("4096\t131072\t6291456", "4096 131072  6291456"));
  EXPECT_FALSE(SameValue("1", "10"));
}

TEST(Settings, FirstValuesReadBackAsTheyWereWritten) {
  const Settings first = {{"kernel.core_pattern", "|/bin/false"},
                          {"net.ipv4.tcp_rmem", "4096\t131072\t6291456"},
                          {"vm.x", "a=b"}};
  EXPECT_EQ(FromText(ToText(first)), first);
  EXPECT_EQ(FromText("garbage\n=1\nvm.a=1"), (Settings{{"vm.a", "1"}}));
}

TEST(Settings, SettingsOfInterfacesAreThoseThatMayComeLater) {
  EXPECT_TRUE(OfInterface("net.ipv4.conf.eth0.rp_filter"));
  EXPECT_TRUE(OfInterface("net.ipv6.neigh.eth0/20.gc_stale_time"));
  EXPECT_FALSE(OfInterface("net.ipv4.conf.all.rp_filter"));
  EXPECT_FALSE(OfInterface("net.ipv4.ip_forward"));
}

}  // namespace
}  // namespace basalt::system
