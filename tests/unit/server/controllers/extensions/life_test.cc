// The life of extensions on a node: added live, kept over a boot, replaced and removed by one,
// refused before anything changes, taken back when they do not work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "api/coded_status.h"
#include "tests/unit/server/controllers/extensions/extension_world.h"

namespace basalt::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string IdOf(const sign::ExtensionManifest& m) {
  return host::ExtensionId({.name = m.name, .file = "", .root = m.root, .salt = ""});
}

TEST(ExtensionLife, OneIsAddedWithoutARestartAndItsModulesAreLoadedInTheirOrder) {
  ExtensionWorld w;
  const sign::ExtensionManifest nfs = SomeExtension("nfs");
  const std::string line = w.Publish(nfs);
  const auto plan = w.Plan(2, w.Section({line}));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->effect(), v1::EFFECT_LIVE);
  const auto done = w.Apply(2, w.Section({line}));
  EXPECT_EQ(done->last().state(), v1::APPLY_STATE_COMMITTED) << done->error;
  EXPECT_THAT(w.mounts.shown, ElementsAre(IdOf(nfs)));
  EXPECT_THAT(w.kernel.loads, ElementsAre("nfs_core", "nfs_tcp"));
  EXPECT_EQ(w.machine->reboots, 0);
  ASSERT_THAT(w.Extensions(), SizeIs(1));
  EXPECT_EQ(w.Extensions()[0].state(), "active");
  EXPECT_EQ(w.Extensions()[0].version(), "1.0.0");
  EXPECT_EQ(w.Extensions()[0].root_hash(), nfs.root);
  EXPECT_EQ(w.Extensions()[0].sbom_digest(), nfs.sbom.sha256.ToString());
  EXPECT_THAT(w.Extensions()[0].signers(), ElementsAre("config"));
  EXPECT_TRUE(w.Condition().holds);
}

TEST(ExtensionLife, ItIsThereAfterABootWithoutANetworkAndAnotherNodedTouchesNothing) {
  ExtensionWorld w;
  const sign::ExtensionManifest nfs = SomeExtension("nfs");
  w.Apply(2, w.Section({w.Publish(nfs)}));
  w.world.web.clear();
  w.Reboot();
  EXPECT_THAT(w.mounts.shown, ElementsAre(IdOf(nfs)));
  EXPECT_TRUE(w.kernel.modules["nfs_tcp"].loaded);
  EXPECT_THAT(w.Extensions()[0].signers(), ElementsAre("config"));
  const int shows = w.mounts.shows;
  w.Start();
  EXPECT_EQ(w.mounts.shows, shows) << "a noded that starts anew finds it as it has to be";
  EXPECT_EQ(w.Extensions()[0].state(), "active");
}

TEST(ExtensionLife, ReplacingAndRemovingRestartTheMachine) {
  ExtensionWorld w;
  const sign::ExtensionManifest old = SomeExtension("nfs"), next = SomeExtension("nfs", 1);
  w.Apply(2, w.Section({w.Publish(old)}));
  w.mounts.busy.insert(IdOf(old));
  const auto replaced = w.Apply(3, w.Section({w.Publish(next)}));
  EXPECT_EQ(replaced->last().state(), v1::APPLY_STATE_REBOOTING) << replaced->error;
  EXPECT_THAT(w.Extensions(), SizeIs(2));
  EXPECT_EQ(w.Extensions()[1].state(), "leaving");
  w.Reboot();
  EXPECT_EQ(w.h.ActiveGeneration(), 3);
  EXPECT_THAT(w.mounts.shown, ElementsAre(IdOf(next)));
  w.Apply(4, "");
  EXPECT_EQ(w.machine->reboots, 2);
  w.Reboot();
  EXPECT_EQ(w.h.ActiveGeneration(), 4);
  EXPECT_THAT(w.mounts.attached, IsEmpty());
  EXPECT_THAT(w.Extensions(), IsEmpty());
}

TEST(ExtensionLife, S5_WhatTheImageGrantDidNotSignIsRefusedAndNothingChanges) {
  ExtensionWorld w;
  const auto by_stranger = w.Apply(2, w.Section({w.Publish(SomeExtension("nfs"), &w.h.root_key)}));
  EXPECT_FALSE(by_stranger->error.ok() && by_stranger->last().state() == v1::APPLY_STATE_COMMITTED);
  EXPECT_THAT(w.mounts.attached, IsEmpty());
  // A manifest that is good, and not the one that the config names.
  const std::string line = w.Publish(SomeExtension("nfs"));
  w.Publish(SomeExtension("iscsi"));
  w.world.web["https://example.org/nfs-0.extension.json"] =
      w.world.web["https://example.org/iscsi-0.extension.json"];
  w.Apply(3, w.Section({line}));
  EXPECT_THAT(w.LastErrorCode(), "extension-mismatch");
  EXPECT_EQ(w.h.ActiveGeneration(), 1);
  EXPECT_THAT(w.mounts.attached, IsEmpty());
}

TEST(ExtensionLife, ForAnotherMachineKernelOrNameItIsRefusedWithBothNamed) {
  ExtensionWorld w;
  sign::ExtensionManifest other = SomeExtension("nfs");
  other.architecture = "arm64";
  w.Apply(2, w.Section({w.Publish(other)}));
  EXPECT_EQ(w.LastErrorCode(), "extension-wrong-architecture");
  other = SomeExtension("nfs");
  other.kernel_release = "6.1.0-57-cloud-amd64";
  w.Apply(3, w.Section({w.Publish(other)}));
  EXPECT_EQ(w.LastErrorCode(), "extension-wrong-kernel");
  EXPECT_THAT(w.h.ConfigStatus().last_error(), HasSubstr("6.1.0-57-cloud-amd64"));
  EXPECT_THAT(w.h.ConfigStatus().last_error(), HasSubstr(kKernel));
  std::string line = w.Publish(SomeExtension("nfs"));
  line.replace(line.find("nfs"), 3, "gpu");
  w.Apply(4, w.Section({line}));
  EXPECT_EQ(w.LastErrorCode(), "extension-name-mismatch");
  EXPECT_EQ(w.h.ActiveGeneration(), 1);
}

TEST(ExtensionLife, TwoWithOneFileAndOneWithAFileOfTheImageAreRefused) {
  ExtensionWorld w;
  sign::ExtensionManifest nfs = SomeExtension("nfs"), iscsi = SomeExtension("iscsi");
  iscsi.files["/usr/sbin/nfs"] = Sha256("another").Hex();
  const std::string both = w.Section({w.Publish(nfs), w.Publish(iscsi)});
  w.Apply(2, both);
  EXPECT_EQ(w.LastErrorCode(), "extension-conflict");
  EXPECT_THAT(w.h.ConfigStatus().last_error(), HasSubstr("/usr/sbin/nfs"));
  // They are known now: the plan says it by itself.
  const auto plan = w.Plan(3, both);
  EXPECT_EQ(api::Reason(plan.status()), "extension-conflict") << plan.status();
  w.mounts.root_files.insert("/usr/sbin/nfs");
  w.Apply(4, w.Section({w.Publish(nfs)}));
  EXPECT_EQ(w.LastErrorCode(), "extension-conflict");
  EXPECT_THAT(w.mounts.attached, IsEmpty());
}

TEST(ExtensionLife, TwoThatBringTheSameLibraryGoTogether) {
  ExtensionWorld w;
  sign::ExtensionManifest nfs = SomeExtension("nfs"), iscsi = SomeExtension("iscsi");
  nfs.files["/usr/lib/libmount.so.1"] = iscsi.files["/usr/lib/libmount.so.1"] =
      Sha256("libmount").Hex();
  w.Apply(2, w.Section({w.Publish(nfs), w.Publish(iscsi)}));
  EXPECT_EQ(w.h.ActiveGeneration(), 2);
  EXPECT_THAT(w.mounts.shown, ::testing::UnorderedElementsAre(IdOf(iscsi), IdOf(nfs)));
}

TEST(ExtensionLife, AnImageWithAnotherKernelIsRefusedWhileAnExtensionIsForThisOne) {
  ExtensionWorld w;
  const std::string section = w.Section({w.Publish(SomeExtension("nfs"))});
  w.Apply(2, section);
  v1::MachineConfig config;
  const std::string line = w.Publish(SomeExtension("nfs"));
  auto& one = *config.mutable_system()->add_extensions();
  one.set_name("nfs");
  one.set_digest(line.substr(line.find("sha256:"), 71));
  absl::Status fits =
      w.controller->FitImage(config, {.version = "2.0.0", .kernel_release = "6.1.0-99"});
  EXPECT_EQ(api::Reason(fits), "extension-wrong-kernel") << fits;
  EXPECT_THAT(std::string(fits.message()), HasSubstr("nfs"));
  EXPECT_THAT(std::string(fits.message()), HasSubstr("image 2.0.0"));
  EXPECT_TRUE(w.controller->FitImage(config, {.version = "2.0.0", .kernel_release = kKernel}).ok());
}

TEST(ExtensionLife, OneForTheKernelOfTheImageThatComesWaitsForItAndGoesBackWithIt) {
  ExtensionWorld w;
  const sign::ExtensionManifest old = SomeExtension("nfs");
  w.Apply(2, w.Section({w.Publish(old)}));
  sign::ExtensionManifest next = SomeExtension("nfs", 1);
  next.kernel_release = w.next_kernel = "6.1.0-57-cloud-amd64";
  const auto applied = w.Apply(3, w.Section({w.Publish(next)}));
  EXPECT_EQ(applied->last().state(), v1::APPLY_STATE_REBOOTING) << applied->error;
  ASSERT_THAT(w.Extensions(), SizeIs(::testing::Ge(1)));
  EXPECT_EQ(w.Extensions()[0].state(), "waiting");
  EXPECT_EQ(w.mounts.attached.count(IdOf(next)), 0u) << "its modules are for another kernel";
  // The machine comes up with the old kernel: the image did not stay.
  w.next_kernel.clear();
  w.Reboot();
  w.Advance(absl::Minutes(10));
  EXPECT_EQ(w.h.ActiveGeneration(), 2);
  EXPECT_EQ(w.LastErrorCode(), "extension-wrong-kernel");
  EXPECT_THAT(w.mounts.shown, ElementsAre(IdOf(old)));
}

TEST(ExtensionLife, OneThatCannotBeAttachedTakesTheConfigBack) {
  ExtensionWorld w;
  const sign::ExtensionManifest nfs = SomeExtension("nfs");
  w.mounts.damaged.insert("/world/" + nfs.file.sha256.Hex());
  w.Apply(2, w.Section({w.Publish(nfs)}));
  EXPECT_EQ(w.h.ActiveGeneration(), 1);
  EXPECT_EQ(w.LastErrorCode(), "extension-missing");
  EXPECT_THAT(w.mounts.attached, IsEmpty());
}

TEST(ExtensionLife, AModuleThatTheKernelRefusesTakesTheConfigBackAndOneWithoutADeviceDoesNot) {
  ExtensionWorld w;
  w.kernel.modules["nfs_tcp"].on_image = false;
  w.Apply(2, w.Section({w.Publish(SomeExtension("nfs"))}));
  EXPECT_EQ(w.h.ActiveGeneration(), 1);
  EXPECT_FALSE(w.kernel.modules["nfs_core"].loaded) << "what it had loaded is unloaded";
  EXPECT_THAT(w.mounts.attached, IsEmpty());
  w.kernel.no_device.insert("iscsi_tcp");
  w.Apply(3, w.Section({w.Publish(SomeExtension("iscsi"))}));
  EXPECT_EQ(w.h.ActiveGeneration(), 3);
}

TEST(ExtensionLife, U4_ABlockThatIsNotWhatWasSignedIsSeenAndTheNodeGoesOn) {
  ExtensionWorld w;
  const sign::ExtensionManifest nfs = SomeExtension("nfs");
  w.Apply(2, w.Section({w.Publish(nfs)}));
  w.mounts.corrupt.insert(IdOf(nfs));
  w.Advance(absl::Seconds(31));
  EXPECT_EQ(w.Extensions()[0].state(), "corrupt");
  EXPECT_EQ(w.Condition().code, "extension-corrupt");
  EXPECT_EQ(w.h.ActiveGeneration(), 2);
}

TEST(ExtensionLife, OneThatIsLostFromTheDataDiskIsSaidAndFetchedAgain) {
  ExtensionWorld w;
  const std::string section = w.Section({w.Publish(SomeExtension("nfs"))});
  w.Apply(2, section);
  w.world.files.clear();
  w.Reboot();
  EXPECT_EQ(w.Extensions()[0].state(), "missing");
  EXPECT_EQ(w.Condition().code, "extension-missing");
  const std::map<std::string, std::string> web = std::exchange(w.world.web, {});
  w.Advance(absl::Seconds(11));
  EXPECT_EQ(w.Extensions()[0].state(), "missing") << "nobody has it";
  w.world.web = web;
  w.Advance(absl::Minutes(6));
  EXPECT_EQ(w.Extensions()[0].state(), "active");
  EXPECT_TRUE(w.Condition().holds);
}

TEST(ExtensionLife, FilesThatNoGenerationNamesAreRemoved) {
  ExtensionWorld w;
  w.Apply(2, w.Section({w.Publish(SomeExtension("nfs"))}));
  EXPECT_THAT(w.world.files, SizeIs(1));
  for (int64_t generation = 3; generation < 40; ++generation) {
    w.Apply(generation, "");
    if (w.machine->reboots == 1 && generation == 3) w.Reboot();
  }
  EXPECT_THAT(w.world.files, SizeIs(::testing::Le(1)));
}

// The power goes after each change of what is mounted, and after each write of what is kept: the
// next boot has the old config without the extension, or the new one with it.
TEST(ExtensionLife, D1_APowerCutAtEachStepLeavesOldOrNew) {
  int points = 0;
  for (const bool on_state : {false, true}) {
    for (int after = 0; after < 64; ++after) {
      ExtensionWorld w;
      const sign::ExtensionManifest nfs = SomeExtension("nfs");
      const std::string section = w.Section({w.Publish(nfs)});
      if (on_state) {
        w.h.vfs.CutAfter(after);
      } else {
        w.mounts.CutAfter(after);
      }
      w.Apply(2, section);
      const bool cut = w.h.vfs.cut() || w.mounts.cut();
      if (on_state) {
        w.Kill();
        w.h.vfs.CutPower(CutMode::kKeepAll, static_cast<uint64_t>(after));
        w.h.world.running.clear();
      }
      w.Reboot();
      w.Advance(absl::Minutes(10));
      const bool taken = w.h.ActiveGeneration() == 2;
      EXPECT_EQ(w.h.ConfigStatus().pending_generation(), 0) << after;
      EXPECT_EQ(w.mounts.shown.size(), taken ? 1u : 0u) << "state: " << on_state << " " << after;
      const auto again = w.Apply(3, section);
      EXPECT_EQ(w.h.ActiveGeneration(), 3) << again->error;
      EXPECT_THAT(w.mounts.shown, ElementsAre(IdOf(nfs)));
      ++points;
      if (!cut) break;
    }
  }
  RecordProperty("cuts", points);
  EXPECT_GT(points, 5);
}

}  // namespace
}  // namespace basalt::testing
